"""What a packed network is made of: memory, blocks, wires, cells.

Not here: the network itself, which is `networks/packed.py`, and what its parts compute, which is in
`networks/operations.py` and `networks/evaluation.py`.
"""
