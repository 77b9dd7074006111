"""How long work takes: steps that are timed here, rows of a store, a run as it goes.

Not here: what is done with the time, such as the size of packs (`packing`) or tables (`bench`).
"""
