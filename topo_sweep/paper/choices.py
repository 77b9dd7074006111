"""What the eDARTS paper's text leaves open in each preset, and what we chose: data alone.

"The paper" is eDARTS; the codes of others are named. `paper/notes.py` fills in the values.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from nas_core.protocols.search import ATTENTION

Kind = Literal["differs", "inferred", "open", "same"]

KINDS: Final[Mapping[Kind, str]] = {
    "differs": "the text has something else, or more",
    "inferred": "the text suggests it without saying it, or the code that it builds on has it",
    "open": "the text does not say, so it is our choice",
    "same": "as in the text, and others differ",
}

TOPICS: Final = (
    *("reduction wiring", "random streams", "seeds", "data", "images searched on", "alpha images"),
    *("batch-norm statistics", "unrolled step", "validation accuracy", "wiring of both cells"),
    *("attention values", "93% rule", "pooling", "skip dropout", "method"),
)
"""What notes are about where it is no setting of a protocol."""


@dataclass(frozen=True, kw_only=True)
class Note:
    """One difference or choice.

    Args:
        setting: a setting of the preset, or one of `TOPICS`.
        paper: what the paper's text has.
        ours: what the preset has; in the data below with {setting} for values of the preset.
        why: the reason or the source of ours, a sentence or two.
        kind: one of `KINDS`.

    """

    setting: str
    paper: str
    ours: str
    why: str
    kind: Kind = "open"

    def __str__(self) -> str:
        return f"{self.setting}. Paper: {self.paper}. Ours: {self.ours}. {self.why}"


_NOT_GIVEN: Final = "not given"
_SGD: Final = (
    "SGD {learning_rate} to {learning_rate_min} by a cosine stepped once an epoch, momentum "
    "{momentum}, weight decay {weight_decay}, clip {gradient_clip}"
)

_STREAMS: Final = Note(
    setting="random streams",
    paper=_NOT_GIVEN,
    ours="keyed by seed, epoch and purpose",
    why="All networks of a seed see the same images in the same order and start alike.",
)
_TRAINING: Final = (
    Note(
        setting="learning_rate",
        paper="builds on the DARTS code",
        ours=_SGD,
        why="Where the text is silent these are that code's values.",
        kind="inferred",
    ),
    _STREAMS,
)
_TOPOLOGY_SWEEP: Final = (
    Note(
        setting="reduction wiring",
        paper=f"{_NOT_GIVEN} for the topology sweep",
        ours="0: every node reads inputs 0 and 1",
        why="`reduction_topology: same` in the sweep's file is the other natural reading.",
    ),
    Note(
        setting="seeds",
        paper="one run a topology, as far as it says",
        ours="as many as a sweep asks for",
        why="Noise of SD 0.22 between seeds alone would spread 180 runs over the 1.2 points "
        "that the paper reports.",
    ),
)
_SHALLOW: Final = (
    *_TOPOLOGY_SWEEP,
    Note(
        setting="drop_path",
        paper="0.2",
        ours="{drop_path}, growing linearly from 0, one mask an image and edge",
        why="The schedule is that of the DARTS code.",
        kind="inferred",
    ),
    *_TRAINING,
)
_FINAL: Final = (
    Note(
        setting="93% rule",
        paper="trains only cells above 93% shallow accuracy this far",
        ours="any cell that is given",
        why="The rule selects cells, so it belongs to a sweep and not to a protocol.",
        kind="differs",
    ),
    Note(
        setting="init_channels",
        paper="20-32: 20 cells, 32 channels",
        ours="{cells}-{init_channels}",
        why="The codes of P-DARTS and PC-DARTS have 36 channels by default, so their networks are "
        "larger.",
        kind="same",
    ),
    Note(
        setting="epochs",
        paper="the pipeline of P-DARTS and PC-DARTS",
        ours="{epochs} epochs, batch {batch_size}, cutout {cutout}, auxiliary weight "
        "{auxiliary_weight}",
        why="The two codes agree but for the batch: 96 in PC-DARTS, by default 128 in P-DARTS.",
        kind="inferred",
    ),
    Note(
        setting="drop_path",
        paper="0.3, scheduled",
        ours="{drop_path}, growing linearly from 0: {drop_path} * epoch / {epochs}",
        why="The schedule is that of both codes; one mask an image and edge.",
        kind="inferred",
    ),
    *_TRAINING,
)

_SEARCH: Final = (
    Note(
        setting="learning_rate",
        paper=_NOT_GIVEN,
        ours=f"{_SGD}, batch {{batch_size}}",
        why="From the DARTS code.",
        kind="inferred",
    ),
    Note(
        setting="alpha_learning_rate",
        paper=_NOT_GIVEN,
        ours="Adam {alpha_learning_rate}, betas {alpha_beta1} and {alpha_beta2}, weight decay "
        "{alpha_weight_decay}, alphas start at {alpha_std} * N(0, 1)",
        why="From the DARTS code.",
        kind="inferred",
    ),
    Note(
        setting="images searched on",
        paper=f"{_NOT_GIVEN} which",
        ours="{images:,} + {images:,}, class-balanced, the same for all seeds; half and half of a "
        "smaller data set",
        why="The DARTS code cuts the training images at the middle of their file. Our smaller "
        "subsets are parts of larger ones.",
    ),
    Note(
        setting="alpha images",
        paper=_NOT_GIVEN,
        ours="the next batch of a new order each epoch",
        why="The DARTS code draws a new random batch for every alpha step.",
    ),
    Note(
        setting="batch-norm statistics",
        paper=_NOT_GIVEN,
        ours="not updated in alpha steps",
        why="The DARTS code updates them; only the supernet's validation accuracy would notice.",
    ),
    Note(
        setting="validation accuracy",
        paper=f"{_NOT_GIVEN} when it is measured",
        ours="in the last epoch only",
        why="The DARTS code measures it every epoch; no decision of a search depends on it.",
    ),
    _STREAMS,
)
_UNROLLED: Final = Note(
    setting="unrolled step",
    paper=_NOT_GIVEN,
    ours="with momentum and weight decay, gradient not clipped",
    why="So does the DARTS code, although the weights' own steps are clipped at {gradient_clip:g}.",
    kind="inferred",
)
_SECOND_ORDER: Final = (*_SEARCH, _UNROLLED)
_EPOCH_UPDATE: Final = Note(
    setting="alpha_every",
    paper="one alpha step an epoch; not given when in it",
    ours="{alpha_every}, before the last weight step",
    why=(
        "The weights have then seen nearly all images of the epoch. The second order looks ahead "
        "on that step's batch, which holds what is left of the images: 4 of 2,500 at batch 64."
    ),
)
_ORDER_INFERRED: Final = Note(
    setting="alpha_order",
    paper=f"{_NOT_GIVEN} here; Table II is second order throughout",
    ours="{alpha_order}",
    why="The search builds on Table II's data subset and epoch update.",
    kind="inferred",
)
_ATTENTION: Final = (
    Note(
        setting="attention",
        paper="adds w_o to the alphas; may be read as once or at each update",
        ours="{attention}, softmax(alpha + w_o): a constant that is never accumulated",
        why="Added at each update it outruns Adam's step and leaves only separable convolutions; "
        "per_update is an option.",
    ),
    Note(
        setting="attention values",
        paper=", ".join(f"{name} {value:+g}" for name, value in ATTENTION.items()),
        ours="the same, 0 for all other operations",
        why="The paper names no value for pooling, skip and none.",
        kind="inferred",
    ),
)
_FIXED_WIRING: Final = (
    Note(
        setting="topology",
        paper="one of its best topologies, which it does not name",
        ours="{topology}, so it must be given",
        why="Add --topology 17, or --topology-from RESULTS for the best of a sweep.",
    ),
    Note(
        setting="wiring of both cells",
        paper=_NOT_GIVEN,
        ours="the same in normal and reduction cell where one index is given",
        why="The second phase of the topology sweep uses one wiring for both cells.",
        kind="inferred",
    ),
)
_SUBSPACE: Final = (
    Note(
        setting="operations",
        paper="SS1 to SS8",
        ours="{operations}",
        why="The preset is SS1 alone; the grid goes through all eight.",
        kind="differs",
    ),
    Note(
        setting="cells",
        paper="5 and 16 (SS1 also 10 and 20)",
        ours="{cells}",
        why="The preset is one depth; the grids go through all.",
        kind="differs",
    ),
    Note(
        setting="pooling",
        paper="one pooling in every sub-space; not given which",
        ours="max",
        why="The topology sweep's reduction cell pools by max; avg is an option of the grid.",
    ),
    Note(
        setting="images",
        paper=f"{_NOT_GIVEN} here; Table II has 2,500 + 2,500 for its data subset",
        ours="{images:,} + {images:,}",
        why="The studies of sub-spaces are taken to build on the cheapest method of Table II.",
        kind="inferred",
    ),
    Note(
        setting="alpha_every",
        paper=f"{_NOT_GIVEN} here; Table II has one alpha step an epoch",
        ours="{alpha_every}, before the last weight step",
        why="As for images; when in an epoch is not given either.",
        kind="inferred",
    ),
)
_EDARTS: Final = (
    *_FIXED_WIRING,
    *_ATTENTION,
    _ORDER_INFERRED,
    _EPOCH_UPDATE,
    *_SECOND_ORDER,
)


def _method(name: str, source: str) -> Note:
    return Note(
        setting="method",
        paper="compares with its published cell and numbers",
        ours=f"a search by {name}",
        why=f"What follows is from {source}.",
    )


def _search_of(rates: str, alpha_images: str | None = None) -> tuple[Note, ...]:
    """Return the notes of any search with reasons of this method's own."""
    whys = {"learning_rate": rates, "alpha_learning_rate": rates, "alpha images": alpha_images}
    return tuple(
        dataclasses.replace(note, why=whys.get(note.setting) or note.why) for note in _SEARCH
    )


_ORDER_OF_METHOD: Final = Note(
    setting="alpha_order", paper=_NOT_GIVEN, ours="{alpha_order}", why="As in the authors' code."
)
_PCDARTS: Final = (
    _method("PC-DARTS", "Xu et al. (2020), section 4.2, and the authors' train_search.py"),
    Note(
        setting="partial_channels",
        paper=_NOT_GIVEN,
        ours="1/{partial_channels} of the channels pass the operations",
        why="The authors' choice for CIFAR-10; edges compete by a softmax of their own.",
    ),
    Note(
        setting="warmup_epochs",
        paper=_NOT_GIVEN,
        ours="{warmup_epochs} of {epochs} epochs train weights alone",
        why="As in the authors' code.",
    ),
    _ORDER_OF_METHOD,
    *_search_of("From the authors' code, for its larger batch."),
)
_PDARTS: Final = (
    _method("P-DARTS", "Chen et al. (2019), section 4.2, and the authors' train_search.py"),
    Note(
        setting="stages",
        paper=_NOT_GIVEN,
        ours="{stages}",
        why="Cells and operations of each stage as in the authors' code, {epochs} epochs each.",
    ),
    Note(
        setting="warmup_epochs",
        paper=_NOT_GIVEN,
        ours="{warmup_epochs} of a stage's {epochs} epochs train weights alone",
        why="As in the authors' code.",
    ),
    Note(
        setting="skip dropout",
        paper=_NOT_GIVEN,
        ours="rates of `stages`; the masks are drawn on the device",
        why="0, 0.4, 0.7 are their paper's for CIFAR-10, their README's command starts at 0.1; "
        "masks are as large as the maps, so a CPU and a GPU draw different ones.",
    ),
    Note(
        setting="max_skips",
        paper=_NOT_GIVEN,
        ours="{max_skips} in the normal cell",
        why="The authors' code prints a cell for every limit; 2 is what their paper reports.",
    ),
    Note(
        setting="alpha_clip",
        paper=_NOT_GIVEN,
        ours="{alpha_clip}",
        why="The authors' code clips the gradient of the alphas, that of DARTS does not.",
    ),
    _ORDER_OF_METHOD,
    *_search_of("From the authors' code.", alpha_images="The authors' code does the same."),
)

_DIGITS: Final = Note(
    setting="data",
    paper="CIFAR-10",
    ours="made for scikit-learn's 8x8 digits",
    why="It shows the instrument in minutes; what it finds says nothing about CIFAR-10.",
    kind="differs",
)

CHOICES: Final[Mapping[str, tuple[Note, ...]]] = {
    "shallow": _SHALLOW,
    "demo": (_DIGITS, *_TOPOLOGY_SWEEP, *_TRAINING),
    "final": _FINAL,
    "search_darts_1st": _SEARCH,
    "search_darts_2nd": _SECOND_ORDER,
    "search_subset": _SECOND_ORDER,
    "search_sparse": (_EPOCH_UPDATE, *_SECOND_ORDER),
    "search_subset_sparse": (_EPOCH_UPDATE, *_SECOND_ORDER),
    "search_subspace": (*_SUBSPACE, _ORDER_INFERRED, *_SECOND_ORDER),
    "search_edarts": _EDARTS,
    "search_pcdarts": _PCDARTS,
    "search_pdarts": _PDARTS,
    "search_demo": (_DIGITS, *_EDARTS),
}
"""By preset. Differences in value from what the paper gives are in `paper/notes.py`."""
