"""The shipped sweep specs, installed as `topo_sweep.sweeps`; read with `importlib.resources`."""
