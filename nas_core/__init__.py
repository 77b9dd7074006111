"""The science of topo-sweep: topologies, genotypes, networks, data and training.

No Ray, click or pandas in here. Import from the modules, e.g. `nas_core.cells.topology.Topology`.
"""
