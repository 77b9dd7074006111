"""Methods of statistics: tables and arrays in, numbers and intervals out.

What scipy and statsmodels have is taken from there; here is what they have not, or not for tables
with holes. Not here: what a number says about a sweep (`analysis.inference`).
"""
