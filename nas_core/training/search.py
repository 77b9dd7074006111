"""One bilevel search: the loop of its epochs, see `training/loop.py`."""

from __future__ import annotations

from collections.abc import Generator

from nas_core.training.epochs import SearchEpoch, Steps
from nas_core.training.search_state import SearchState
from nas_core.training.search_steps import epoch_side_by_side


class Search(SearchState):
    """One search on the device that holds the images; `epochs` runs it.

    A pure function of its arguments and, in float32, of the threads that add numbers up.

    Args:
        protocol: every setting.
        split: the two halves of images; their device is where everything runs.
        seed: names the random streams.
        checkpoint: where to go on from, and where to save the state whenever it is due.

    Raises:
        InputError: see `check_searchable`.

    >>> from nas_core import Search, SearchProtocol, load_dataset
    >>> from nas_core.data.splits import search_split, split
    >>> from nas_core.protocols.training import DataOptions
    >>> digits = split(load_dataset("digits"), DataOptions(dataset="digits", train_limit=40))
    >>> protocol = SearchProtocol(cells=1, init_channels=2, epochs=1, operations="SS1")
    >>> search = Search(protocol, search_split(digits, 20), seed=0)
    >>> [(epoch.weight_steps, epoch.alpha_steps) for epoch in search.epochs()]
    [(1, 1)]
    >>> search.history[-1].genotype.count("@")
    16

    """

    def run_epoch(self, epoch: int) -> Generator[Steps, None, SearchEpoch]:
        """Search one epoch; the first of a stage builds it."""
        (searched,) = yield from epoch_side_by_side([self], epoch, self.told)
        return searched
