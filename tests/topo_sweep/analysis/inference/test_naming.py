"""How groups are called in findings."""

from __future__ import annotations

import pandas as pd

from tests.topo_sweep.analysis.inference.tables import design
from topo_sweep.analysis.inference.naming import (
    listed,
    named,
    rank_words,
    shown_rows,
    yes_no,
)

DESIGN = design({0: [0.9], 1: [0.8], 4: [0.7]}, by="topology")


def test_groups_are_listed_up_to_a_number() -> None:
    assert listed(DESIGN, [1]) == "topology 1"
    assert listed(DESIGN, [2, 0, 1]) == "topologies 4, 0 and 1"
    assert listed(DESIGN, [2, 0, 1], most=2) == "topologies 4, 0 and 1 more"


def test_rows_have_their_groups_name_or_its_label() -> None:
    table = pd.DataFrame({"n": [5, 6]}, index=[2, 0])

    assert named(DESIGN, table).to_numpy().tolist() == [["topology 4", 5], ["topology 0", 6]]
    assert list(shown_rows(DESIGN, table)) == [("4", {"n": 5}), ("0", {"n": 6})]


def test_what_there_is_not_is_a_dash() -> None:
    assert (rank_words(1, 4), rank_words(3, 3), rank_words(pd.NA, pd.NA)) == ("1 to 4", "3", "-")
    assert (yes_no(True), yes_no(False), yes_no(pd.NA)) == ("yes", "no", "-")
