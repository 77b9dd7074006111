"""The race of an adaptive sweep: which class gets the next seed, and what it came to.

Not here: intervals that hold at any time (`analysis.statistics.anytime`), and the runs themselves.
"""
