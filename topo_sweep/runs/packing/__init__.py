"""Which trainings go together: packs of them, their size, how many packs share a GPU.

Not here: the packed network and its training, see `nas_core`; handing packs out, see `agenda`.
"""
