"""Methods of statistics: tables and arrays in, numbers and intervals out.

What scipy has is taken from there; here is what it has not, or not for tables with holes. Tests
compare with statsmodels. Not here: what a number says about a sweep (`analysis.inference`).
"""
