"""From data frames to matplotlib figures, a file a kind of picture.

Not here: reading a store, and deciding which numbers are honest to draw (`analysis`).
"""
