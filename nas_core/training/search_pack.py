"""Searches of one protocol that differ in seed, as one: what an epoch of them does.

The loop around it is in `training/loop.py`, a step in `training/search_steps.py`. Letters: K
members, B batch.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence

from torch import Tensor

from nas_core.data.splits import SearchSplit
from nas_core.errors import InputError
from nas_core.networks.kernels.switch import models_pay
from nas_core.networks.supernet import PackedSearchNetwork
from nas_core.protocols.search import SearchProtocol
from nas_core.training.checkpoint import Checkpoint
from nas_core.training.epochs import SearchEpoch, SearchPackEpoch, Steps
from nas_core.training.loop import Loop
from nas_core.training.search import Search
from nas_core.training.search_steps import epoch_side_by_side


class PackSearch(Loop[SearchPackEpoch]):
    """Searches that differ in seed; each is what `Search` would be, but for rounding.

    A member that has diverged or stopped is out of the network; the others go on without it. Where
    maps are so large that nothing is gained side by side, an epoch of one follows that of another.

    Args:
        seeds: of the members, at least one.
        protocol: every setting.
        split: the two halves of images; their device is where everything runs.
        checkpoint: of the whole pack: where to go on from, and where to save whenever it is due.

    Raises:
        InputError: no seed, a progressive protocol, or see `check_searchable`.

    """

    protocol: SearchProtocol
    network: PackedSearchNetwork

    def __init__(
        self,
        seeds: Sequence[int],
        protocol: SearchProtocol,
        split: SearchSplit,
        *,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        if not seeds:
            raise InputError("a pack of searches needs one seed or more")
        if protocol.stages:
            raise InputError(
                "searches in stages do not go together: each stage keeps other operations for each "
                "seed; search them one by one"
            )
        self.members = tuple(Search(protocol, split, seed=seed) for seed in seeds)
        super().__init__(
            SearchPackEpoch,
            protocol,
            split.weights,
            split.info,
            seed=seeds[0],
            checkpoint=checkpoint,
        )

    @property
    def going_on(self) -> list[int]:
        """Numbers of the members that have epochs left."""
        return [
            number
            for number, member in enumerate(self.members)
            if not member.diverged
            and member.stopped_because is None
            and len(member.history) < self.protocol.total_epochs
        ]

    @property
    def stopped_because(self) -> str | None:
        """Why the loop ended before its last epoch, if it did."""
        return None if self.going_on else "every search has ended"

    def history_of(self, number: int) -> tuple[SearchEpoch, ...]:
        """Return the epochs of a member."""
        return tuple(self.members[number].history)

    def has_diverged(self, number: int) -> bool:
        """Whether the loss or the alphas of a member are no longer finite, which ended it."""
        return self.members[number].diverged

    def has_stopped(self, number: int) -> bool:
        """Whether a member ended by its rule before its last epoch, see `Search`."""
        return self.members[number].stopped_because is not None

    def facts(self, number: int = 0) -> dict[str, int | str | None]:
        """Return what `Search.facts` does, of a member."""
        return self.members[number].facts()

    def build(self, epoch: int) -> None:
        """Let the members, which are built, have the epochs so far."""
        self.network = PackedSearchNetwork([member.network for member in self.members])
        for number, member in enumerate(self.members):
            epochs = (each.members[number] for each in self.history)
            member.history = [each for each in epochs if each is not None]

    def run_epoch(self, epoch: int) -> Generator[Steps, None, SearchPackEpoch]:
        """Search one epoch with the members that go on."""
        numbers = self.going_on
        searches = [self.members[number] for number in numbers]
        ended: list[SearchEpoch] = []
        groups = self._side_by_side(searches)
        for done, group in enumerate(groups):

            def told(step: int, of: float, done: int = done) -> Iterator[Steps]:
                return self.told(int(done * of) + step, len(groups) * of)

            ended += yield from epoch_side_by_side(group, epoch, told)
        for search, result in zip(searches, ended, strict=True):
            search.history.append(result)
        by_number = dict(zip(numbers, ended, strict=True))
        return SearchPackEpoch(tuple(by_number.get(n) for n in range(len(self.members))))

    def _side_by_side(self, searches: list[Search]) -> list[list[Search]]:
        """Return those whose steps are taken together."""
        height, width = searches[0].split.weights.pixels.shape[-2:]
        size = self.protocol.batch_size * self.protocol.init_channels * height * width
        if models_pay(size, self.device):
            return [searches]
        return [[search] for search in searches]

    def logits(self, images: Tensor) -> Tensor:
        """Classify normalised images (B, 3, H, W), mixing as now: logits (K, B, classes)."""
        mixings = [member.alphas.mixing() for member in self.members]
        return self.network(images.expand(len(mixings), *images.shape), mixings)

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that the next epoch depends on, by name."""
        return {
            f"{number}.{name}": tensor
            for number in self.going_on
            for name, tensor in self.members[number].tensors().items()
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `tensors` returned."""
        for number in self.going_on:
            start = f"{number}."
            own = {k.removeprefix(start): t for k, t in tensors.items() if k.startswith(start)}
            self.members[number].restore(own)
