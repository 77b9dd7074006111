"""What a design shows beyond its means: tests, intervals, and what is still unknown.

A module an idea; each gives a `Finding`, a section of `topo-sweep analyze`. Not here: what is
compared with what (`analysis.design`), and means with their ranks (`analysis.ranking`).
"""
