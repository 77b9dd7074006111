"""Faster forms of a search network's parts, with the values and gradients of PyTorch's own.

`layers` on a CPU, `edges` that read the same maps, and the `switch` that says when either runs.
Not here: what the parts compute; that is in `networks/operations.py` and `networks/supernet.py`.
"""
