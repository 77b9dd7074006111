"""The eDARTS paper: its numbers, what its text leaves open, and our figures beside them.

Not here: statistics that would make sense without the paper (`analysis`), and pictures.
"""
