"""What changes weights and alphas: the loop of epochs, its two kinds of steps, checkpoints.

Not here: what the epochs are for, and where their rows go; that is the instrument's.
"""
