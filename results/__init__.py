"""Published numbers, installed as `topo_sweep.published`; sweeps write their folders beside it."""
