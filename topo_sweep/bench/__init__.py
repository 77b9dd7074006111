"""What work takes on the device at hand: trainings, searches, Ray, stores, each side by side.

Not here: how a step is timed (`runs/timing`), and the forecast of a sweep. The scripts in
`benchmarks/` compare with what is no part of the program.
"""
