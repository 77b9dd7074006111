"""What is said to differ from the paper."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from nas_core.protocols.search import SEARCH_PRESETS
from nas_core.protocols.training import PRESETS, Protocol
from tests.topo_sweep.paper.compare_rows import (
    evaluation,
    four_methods,
    known,
    only,
    search,
    source,
)
from topo_sweep.paper.compare import compare
from topo_sweep.paper.differences import is_taken_over, paper_protocol
from topo_sweep.paper.published import rows_of
from topo_sweep.paper.table_4 import COUNTERPARTS

SMALL = Protocol(init_channels=4, epochs=5)


def test_nothing_differs_where_protocol_data_and_searches_are_the_papers() -> None:
    compared = compare([source(*four_methods())], "2")

    assert compared.tables[0].differs == ()
    assert "as in the paper" in compared.text


def test_each_setting_that_differs_is_named_with_both_values() -> None:
    images: dict[str, Any] = {"dataset": "digits", "holdout": 100, "train_limit": 500}
    asked: dict[str, Any] = {"images": 200, "epochs": 10}
    protocol = SEARCH_PRESETS["search_subset"].with_values(asked)
    searched_row = search(
        "search_subset", 0, **images, **asked, protocol_hash=protocol.protocol_hash
    )
    trial = evaluation(searched_row, 0.9, **images, protocol_hash=SMALL.protocol_hash)
    comparison = only([source([trial], [searched_row], protocols=[SMALL])], "2")

    evaluated, data, searched = comparison.differs
    assert evaluated == "evaluation: init_channels 4 (paper 16), epochs 5 (paper 100)"
    assert data == (
        "data: digits (paper cifar10); 100 training images held out (paper: none, as far as it "
        "says); 500 training images (paper 50,000)"
    )
    assert searched == "search: epochs 10 (paper 50), images 200 (preset 2,500)"


def test_a_value_that_the_paper_does_not_print_is_called_the_presets() -> None:
    asked: dict[str, Any] = {"images": 200, "epochs": 4, "cells": 16}
    searched_row = search("search_subspace", 0, "SS3", **asked)
    protocol = Protocol(init_channels=4, crop_padding=0, flip=False)
    trial = evaluation(searched_row, 0.9, protocol_hash=protocol.protocol_hash)
    comparison = only([source([trial], [searched_row], protocols=[protocol])], "ablations")

    evaluated, searched = comparison.differs
    assert evaluated == (
        "evaluation: init_channels 4 (paper 16), crop_padding 0 (preset 4), "
        "flip False (preset True)"
    )
    assert searched == "search: epochs 4 (preset 50), images 200 (preset 2,500)"


def test_the_images_of_the_combination_are_printed() -> None:
    row = search("search_subset_sparse", 0, images=200)

    assert only([source([], [row])], "2").differs == ("search: images 200 (paper 2,500)",)


def test_a_known_search_protocol_is_compared_whole() -> None:
    changed = SEARCH_PRESETS["search_subset"].with_values({"init_channels": 4})
    searches = [search("search_subset", 0, protocol_hash=changed.protocol_hash)]
    told = only([source([], searches, search_protocols=[changed])], "2")
    untold = only([source([], searches)], "2")

    assert told.differs == ("search: init_channels 4 (paper 16)",)
    assert untold.differs == (
        f"search: protocol {changed.protocol_hash} is unknown here, so it could not be compared",
    )


def test_other_pixels_may_hide_behind_the_same_name() -> None:
    rows = source([known("DARTS_V2", 0, 0.9)], layout="Hugging Face layout (Parquet)")

    (said,) = only([rows], "3").differs
    assert "Hugging Face layout (Parquet), fingerprint aaaa: pixels may be re-compressed" in said


def test_a_part_of_the_papers_data_set_is_said_with_its_counts() -> None:
    whole = source([known("DARTS_V2", 0, 0.9)])
    counts = {"train_images": 300, "test_images": 10_000}
    part = replace(whole, trials=whole.trials.assign(**counts))

    assert only([whole], "3").differs == ()
    assert only([part], "3").differs == (
        "data: a data set of 300 training and 10,000 test images (paper 50,000 and 10,000)",
    )


def test_an_unknown_evaluation_protocol_is_said_to_be_unknown() -> None:
    rows = source([known("DARTS_V2", 0, 0.9, protocol_hash="beef")])

    assert only([rows], "3").differs == (
        "shallow evaluation protocol beef: unknown here, so it could not be compared",
    )


def test_every_row_of_table_4_knows_by_what_it_was_trained() -> None:
    own = {row for row in rows_of("4") if row.startswith("eDARTS")}
    assert {row for row in rows_of("4") if not is_taken_over(row)} == own
    assert not is_taken_over("")
    for beside in set(COUNTERPARTS.values()):
        assert paper_protocol("final", beside).init_channels == (32 if beside in own else 36)
        assert paper_protocol("shallow", beside) == PRESETS["shallow"]
    assert paper_protocol("final", "DARTS (first order) + cutout").drop_path == 0.2
    assert paper_protocol("final", "PC-DARTS + cutout").batch_size == 128
    assert paper_protocol("final", "Fair DARTS") == PRESETS["final_36"]
