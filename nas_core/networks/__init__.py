"""Modules: operations, the evaluation network, the search network and its alphas.

Here also: faster forms of the search network's parts, same values.
Not here: anything that changes a weight.
"""
