"""Faster forms of what supernets and packs are made of, with PyTorch's values and gradients.

`columns` lays maps out, `depthwise`, `pointwise` and `grouped` are convolutions with what stands
behind them, `edges` are those of a search cell, and the `switch` says which form runs when.
Not here: what the parts compute; that is in `networks/operations.py` and `networks/supernet.py`.
"""
