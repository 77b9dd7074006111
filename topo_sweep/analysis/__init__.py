"""From the rows of a store to numbers: accuracies, rankings, choices for the next sweep.

Not here: pictures, the paper, and how results are printed by commands.
"""
