"""What a cell is: wirings and their classes, operations by name, genotypes, search spaces.

Here also: from the weights of a relaxed cell to a genotype. Not here: modules, tensors or anything
that is trained; nothing in this folder imports torch.
"""
