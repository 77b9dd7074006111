"""Faults at random instants, and what must be left of a sweep all the same."""
