"""The instrument: enumerate topologies, run sweeps on Ray, rank and plot what was measured."""
