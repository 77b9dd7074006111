"""When DARTS+ ends a search: by skips, or by a ranking of operations that stays the same."""

from __future__ import annotations

from pathlib import Path

import torch

from nas_core.cells.discretisation import EdgeWeights
from nas_core.protocols.search import SearchProtocol
from nas_core.training.epochs import SearchEpoch, stop_reason
from tests.nas_core.training.searches import FIRST, started
from tests.nas_core.training.trainings import facts

SKIPS, RANKING = (SearchProtocol().with_values({"stop": kind}) for kind in ("skips", "ranking"))


def epoch_like(
    epoch: int,
    *,
    skips: int = 0,
    skips_reduction: int = 0,
    ranking: tuple[float, ...] = (0.3, 0.2),
    alpha_steps: int = 1,
) -> SearchEpoch:
    """Return an epoch whose edge ranks sep 3x3 and dil 3x3 by these weights."""
    names = ("sep_conv_3x3", "dil_conv_3x3")
    weights = {"skip_connect": 0.05 * (epoch % 3)} | dict(zip(names, ranking, strict=True))
    edge = EdgeWeights(0, 2, weights).to_json_value()
    return SearchEpoch(
        epoch=epoch,
        stage=0,
        learning_rate=0.1,
        train_loss=1.0,
        train_accuracy=0.5,
        alpha_loss=1.0,
        alpha_accuracy=0.5,
        val_accuracy=None,
        genotype="",
        skips_normal=skips,
        skips_reduction=skips_reduction,
        alphas={"normal": [edge], "reduction": [edge]},
        weight_steps=1,
        alpha_steps=alpha_steps,
        weight_seconds=1.0,
        alpha_seconds=1.0,
        seconds=1.0,
    )


def test_darts_plus_stops_at_two_skips_in_a_cell_of_either_type() -> None:
    assert stop_reason(SKIPS, []) is None
    assert stop_reason(SKIPS, [epoch_like(0, skips=1, skips_reduction=1)]) is None
    reason = stop_reason(SKIPS, [epoch_like(0), epoch_like(1, skips=2)])
    assert reason == "2 skip connections in the normal cell"
    reason = stop_reason(SKIPS, [epoch_like(0, skips=1, skips_reduction=3)])
    assert reason == "3 skip connections in the reduction cell"
    assert stop_reason(SKIPS.with_values({"stop_skips": 3}), [epoch_like(1, skips=2)]) is None
    assert stop_reason(SearchProtocol(), [epoch_like(1, skips=8)]) is None
    assert stop_reason(SKIPS, [epoch_like(0, skips=8, alpha_steps=0)]) is None, "warm-up"


def test_darts_plus_stops_where_the_ranking_was_stable_for_ten_epochs() -> None:
    other, last = (0.2, 0.3), (0.3, 0.2)
    history = [epoch_like(0, ranking=last), epoch_like(1, ranking=other)]
    for epoch in range(2, 12):
        history.append(epoch_like(epoch, ranking=last))
        assert stop_reason(RANKING, history) is None
    history.append(epoch_like(12, ranking=last))  # the tenth without a change since epoch 2
    assert stop_reason(RANKING, history) == (
        "the ranking of learnable operations was stable for 10 epochs"
    )
    history.append(epoch_like(13, ranking=other))
    assert stop_reason(RANKING, history) is None


def test_a_ranking_of_warm_up_epochs_does_not_count() -> None:
    warm = [epoch_like(epoch, alpha_steps=0) for epoch in range(20)]
    assert stop_reason(RANKING, [*warm, epoch_like(20)]) is None
    assert stop_reason(RANKING, [*warm, *(epoch_like(20 + n) for n in range(11))]) is not None


def test_a_search_stops_after_the_epoch_that_meets_the_criterion(tmp_path: Path) -> None:
    # With skips twice as likely from the start the first epoch meets it.
    protocol = FIRST.with_values({"stop": "skips", "stop_skips": 1, "epochs": 9})
    search = started(protocol, path=tmp_path / "state")
    with torch.no_grad():
        search.alphas.tensors["normal"][:, 1] += 1
    history = list(search.epochs())
    assert len(history) == 1
    assert history[0].skips_normal == 8
    assert search.stopped_because == "8 skip connections in the normal cell"
    again = started(protocol, path=tmp_path / "state")
    assert [facts(epoch) for epoch in again.epochs()] == [facts(epoch) for epoch in history]
