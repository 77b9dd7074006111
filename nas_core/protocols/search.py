"""Every setting of a search that can change what it finds, and the presets of the paper.

What a search does with them is in `training/search_state.py` and in `training/search_steps.py`;
nothing here imports torch.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from nas_core.cells.genotype import OPERATION_NAMES
from nas_core.cells.spaces import canonical_operations, space_operations
from nas_core.cells.topology import Topology, topology_count
from nas_core.errors import InputError
from nas_core.protocols.training import NetworkTraining, Settings, stable_hash

NODES: Final = 4
"""Intermediate nodes of a search cell, as in DARTS."""

ATTENTION: Final[Mapping[str, float]] = {
    "sep_conv_3x3": 0.0006,
    "sep_conv_5x5": 0.0004,
    "dil_conv_5x5": -0.0006,
    "dil_conv_3x3": -0.0004,
}
"""The paper's operation attention w_o, added to alphas; other operations have none."""


def _operations(written: object) -> object:
    """Turn a space's name, 'a,b' or a list into a tuple."""
    if isinstance(written, str):
        names = [name.strip() for name in written.split(",")]
        is_space = re.fullmatch(r"SS\d+|all", names[0], re.IGNORECASE) is not None
        return space_operations(names[0]) if is_space else tuple(names)
    return tuple(written) if isinstance(written, list) else written


def _wirings(written: object) -> object:
    """Turn one index into the same wiring for both cells."""
    if type(written) is int:
        return (written, written)
    return tuple(written) if isinstance(written, list) else written


_Index = Annotated[int, Field(ge=0, lt=topology_count(NODES))]


class SearchStage(Settings):
    """One stage of a progressive search (P-DARTS).

    `operations_kept` of every edge enter it, the strongest of the stage before; `skip_dropout`
    is the initial rate of the dropout behind skip connections.
    """

    cells: int = Field(ge=1, le=100)
    operations_kept: int = Field(ge=2, le=len(OPERATION_NAMES))
    skip_dropout: float = Field(default=0.0, ge=0, lt=1)


class SearchProtocol(NetworkTraining):
    """Every setting of a search that can change what it finds.

    The defaults are DARTS' second-order search as the paper's Table II uses it (Liu et al.,
    2019, section 3.1 and appendix A.1.1; the authors' `train_search.py`).

    Raises:
        pydantic.ValidationError: an unknown key, a bad value, or values that do not fit each other;
            `with_values` says the same in the one line of an `InputError`.

    >>> from nas_core import SearchProtocol
    >>> protocol = SearchProtocol(operations="SS1", topology=17)
    >>> protocol.operations
    ('none', 'max_pool_3x3', 'skip_connect', 'sep_conv_3x3', 'dil_conv_3x3')
    >>> (protocol.topology, protocol.alpha_order)
    ((17, 17), 2)

    """

    purpose = "search"

    cells: int = Field(default=8, ge=1, le=100)
    epochs: int = Field(default=50, ge=1)
    learning_rate_min: float = Field(default=0.001, ge=0)
    images: int = Field(default=25_000, ge=1)
    """Images for the weights, and as many others for the alphas; where there are fewer, half
    and half of them."""
    operations: Annotated[
        tuple[str, ...], BeforeValidator(_operations), AfterValidator(canonical_operations)
    ] = OPERATION_NAMES
    topology: Annotated[tuple[_Index, _Index] | None, BeforeValidator(_wirings)] = None
    """Indices of the fixed wirings of normal and reduction cell; None searches all 14 edges."""
    attention: Literal["none", "once", "per_update"] = "none"
    """Operation attention: a constant offset of the alphas, or added at each of their updates."""
    alpha_order: Literal[1, 2] = 2
    alpha_every: Literal["step", "epoch"] | Annotated[int, Field(ge=1)] = "step"
    """An alpha step before every weight step, before one at the end of an epoch, or every n."""
    alpha_at: Literal["last", "last_full"] = "last"
    """Of an alpha step each epoch: before the last weight step, whose batch is what is left over,
    or before the last of `batch_size` images (the last one where none is full)."""
    alpha_learning_rate: float = Field(default=3e-4, gt=0)
    alpha_beta1: float = Field(default=0.5, ge=0, lt=1)
    alpha_beta2: float = Field(default=0.999, ge=0, lt=1)
    alpha_weight_decay: float = Field(default=1e-3, ge=0)
    alpha_clip: float | None = Field(default=None, gt=0)
    """Greatest norm of an alpha gradient; DARTS does not clip it, P-DARTS does."""
    alpha_std: float = Field(default=1e-3, ge=0)
    """Standard deviation of the initial alphas."""
    warmup_epochs: int = Field(default=0, ge=0)
    """Epochs of each stage that train weights alone."""
    stop: Literal["none", "skips", "ranking"] = "none"
    """DARTS+ stopping: two skips in a cell of either type, or a stable ranking of learnables."""
    stop_skips: int = Field(default=2, ge=1)
    stop_stable_epochs: int = Field(default=10, ge=1)
    partial_channels: int = Field(default=1, ge=1)
    """K of PC-DARTS: 1/K of the channels pass the operations, the rest pass by."""
    edge_normalisation: bool = False
    """Weigh the edges of a node by a softmax of their own (PC-DARTS)."""
    stages: tuple[SearchStage, ...] = Field(default=(), strict=False)
    """Of a progressive search, `epochs` each; the first has `cells`. None: a single stage."""
    max_skips: int | None = Field(default=None, ge=0)
    """Most skip connections of the normal cell that is found (P-DARTS)."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.init_channels % self.partial_channels or (
            self.partial_channels > 1 and self.init_channels // self.partial_channels < 2
        ):
            raise ValueError(
                f"partial_channels={self.partial_channels} must divide "
                f"init_channels={self.init_channels} and leave 2 channels or more"
            )
        if self.max_skips is not None and self.max_skips > 2 * NODES:
            raise ValueError(
                f"max_skips={self.max_skips} is more than the {2 * NODES} edges of a cell"
            )
        kept_last = self.all_stages[-1].operations_kept
        could_be_skip_alone = {"none", "skip_connect"} <= set(self.operations) and kept_last < 3
        if self.max_skips is not None and could_be_skip_alone:
            raise ValueError(
                f"max_skips needs 3 operations or more in the last stage, got {kept_last}: an edge "
                "with none and skip alone cannot do without the skip"
            )
        if self.stop != "none" and self.stages:
            raise ValueError(
                f"stop={self.stop} would end a search in stages before its last: use stop=none"
            )
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"warmup_epochs={self.warmup_epochs} leaves no epoch of {self.epochs} for alphas"
            )
        kept = [len(self.operations), *(stage.operations_kept for stage in self.stages)]
        if self.stages and (
            self.stages[0].cells != self.cells
            or kept[1] != kept[0]
            or any(after >= before for before, after in itertools.pairwise(kept[1:]))
        ):
            raise ValueError(
                f"stages do not fit cells={self.cells} and {kept[0]} operations: the first stage "
                "has just these, and each later one keeps fewer; give search: {stages: [...]} in "
                "a file"
            )
        return self

    @property
    def protocol_hash(self) -> str:
        """Sixteen hexadecimal digits that name these settings everywhere."""
        return stable_hash("search protocol", self.canonical())

    @property
    def all_stages(self) -> tuple[SearchStage, ...]:
        """The stages; a search that is not progressive has one."""
        return self.stages or (
            SearchStage(cells=self.cells, operations_kept=max(2, len(self.operations))),
        )

    @property
    def total_epochs(self) -> int:
        """Epochs of all stages together."""
        return self.epochs * len(self.all_stages)

    def alpha_steps_due(self, images: int) -> range:
        """Return before which weight steps (from 1) of an epoch of so many images alphas learn."""
        full, left_over = divmod(images, self.batch_size)
        steps = full + (left_over > 0)
        if self.alpha_every != "epoch":
            period = 1 if self.alpha_every == "step" else self.alpha_every
            return range(period, steps + 1, period)
        last = max(full, 1) if self.alpha_at == "last_full" else steps
        return range(last, last + 1)

    @property
    def topologies(self) -> tuple[Topology, Topology] | None:
        """The fixed wirings of normal and reduction cell."""
        if self.topology is None:
            return None
        normal, reduction = (Topology.from_index(index, NODES) for index in self.topology)
        return normal, reduction


_SPARSE: Final[Mapping[str, Any]] = {"alpha_every": "epoch", "alpha_at": "last_full"}
_SUBSET_SPARSE: Final[Mapping[str, Any]] = {"images": 2_500, **_SPARSE}

SEARCH_PRESETS: Final[Mapping[str, SearchProtocol]] = {
    "search_darts_1st": SearchProtocol(alpha_order=1),
    "search_darts_2nd": SearchProtocol(),
    # Section III-A: as deep as the final network, with the batch that fits its 11 GB.
    "search_darts_20": SearchProtocol(cells=20, batch_size=16),
    "search_subset": SearchProtocol(images=2_500),
    "search_sparse": SearchProtocol(**_SPARSE),
    "search_subset_sparse": SearchProtocol(**_SUBSET_SPARSE),
    "search_subspace": SearchProtocol(
        cells=5, operations=space_operations("SS1"), **_SUBSET_SPARSE
    ),
    # Its topology must be given: the paper does not name its own.
    "search_edarts": SearchProtocol(cells=5, attention="once", **_SUBSET_SPARSE),
    # Xu et al. (2020), section 4.2 and the authors' `train_search.py`.
    "search_pcdarts": SearchProtocol(
        batch_size=256,
        learning_rate=0.1,
        alpha_order=1,
        alpha_learning_rate=6e-4,
        warmup_epochs=15,
        partial_channels=4,
        edge_normalisation=True,
    ),
    # Chen et al. (2019), section 4.2 and the authors' `train_search.py`.
    "search_pdarts": SearchProtocol(
        cells=5,
        epochs=25,
        batch_size=96,
        learning_rate_min=0.0,
        alpha_order=1,
        alpha_learning_rate=6e-4,
        alpha_clip=5.0,
        warmup_epochs=10,
        stages=(
            SearchStage(cells=5, operations_kept=8),
            SearchStage(cells=11, operations_kept=5, skip_dropout=0.4),
            SearchStage(cells=17, operations_kept=3, skip_dropout=0.7),
        ),
        max_skips=2,
    ),
    # An eDARTS search in small, for `make demo-search` and tests: digits, few channels.
    "search_demo": SearchProtocol(
        cells=5,
        init_channels=4,
        images=192,
        attention="once",
        **_SPARSE,
        crop_padding=0,
        flip=False,
    ),
}
"""The paper's searches, those that it compares with, and a small one."""

NEEDS_TOPOLOGY: Final = ("search_edarts", "search_demo")
"""Presets that search along a fixed wiring, which has to be given."""


def check_topology_given(preset: str, protocol: SearchProtocol) -> None:
    """Refuse a search along a fixed topology without one.

    Raises:
        InputError: says how to give it.

    """
    if preset in NEEDS_TOPOLOGY and protocol.topology is None:
        raise InputError(
            f"{preset} searches along a fixed topology, and none is given: add --topology 17, or "
            "--topology-from RESULTS for the best of a sweep"
        )


_DROPOUT_DECAY = 0.2
"""P-DARTS: once alphas learn, the dropout behind skips decays by e^-0.2 an epoch."""


def skip_dropout_rate(protocol: SearchProtocol, epoch: int) -> float:
    """Return P-DARTS' schedule: linear decay while weights warm up, then exponential."""
    stage, in_stage = divmod(epoch, protocol.epochs)
    initial = protocol.all_stages[stage].skip_dropout
    if in_stage < protocol.warmup_epochs:
        return initial * (protocol.epochs - in_stage - 1) / protocol.epochs
    return initial * math.exp(-_DROPOUT_DECAY * (in_stage - protocol.warmup_epochs))
