"""What a design shows beyond its means: tests, intervals, and what is still unknown.

A module a question, with the function that makes a `Finding` of it; `sections.py` puts them in
order. Not here: methods that know of no design (`analysis.statistics`), what is compared with what
(`analysis.design`), and means with their ranks (`analysis.ranking`).
"""
