"""Modules: operations, the evaluation network, the search network and its alphas.

Here also: several evaluation networks as one, and faster forms of the parts, same values.
Not here: anything that changes a weight.
"""
