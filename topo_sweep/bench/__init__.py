"""What work takes on the device at hand: trainings, searches, Ray, stores, each side by side.

Not here: the steps that are timed, which are those of a run (`runs/step_time.py`), and the forecast
of a sweep. The scripts in `benchmarks/` compare with what is no part of the program.
"""
