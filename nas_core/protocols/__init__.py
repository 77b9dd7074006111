"""Every setting that can move an accuracy: of trainings, of searches, of the choice of data.

Here also: hashes and presets. Not here: what should not move one (threads, device), which is how a
run executes; nothing in this folder imports torch.
"""
