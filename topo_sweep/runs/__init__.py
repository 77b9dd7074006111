"""One run of a sweep: what is left, who trains it, how far it is, what is recorded.

Not here: what is asked for (`spec`), and anything that knows Ray, which is in `on_ray`.
"""
