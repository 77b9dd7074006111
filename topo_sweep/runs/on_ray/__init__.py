"""The one folder that knows Ray: the cluster, the trainable of a worker, the driver.

Not here: what a trial is and what becomes of its rows, which is the same without Ray.
"""
