"""What is told of sweeps and machines without training: states, plans, files, what is missing.

Not here: the progress of a run that goes on, and anything that writes rows.
"""
