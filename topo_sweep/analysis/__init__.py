"""From the rows of a store to numbers: accuracies, rankings, choices for the next sweep.

Here also: a ranking as a table of text, and what tables share. Not here: pictures, the paper, and
what a command prints beside a table.
"""
