"""Which search is chosen; what may be drawn together is tested with pictures of many searches."""

from __future__ import annotations

from datetime import timedelta

import pytest

from nas_core.errors import InputError
from tests.topo_sweep.analysis.search_rows import T0, search, searches
from topo_sweep.analysis.searches import chosen_search


def test_the_newest_search_is_chosen_unless_another_is_named() -> None:
    rows = searches(
        [
            search("a1", seed=20, finished_at=T0 + timedelta(hours=1)),
            search("a2", seed=21, finished_at=T0 + timedelta(hours=3)),
            search("b3", seed=20, finished_at=T0 + timedelta(hours=2)),
        ]
    )
    assert chosen_search(rows)["search_id"] == "a2"
    assert chosen_search(rows, seed=20)["search_id"] == "b3"
    assert chosen_search(rows, search_id="a1")["search_id"] == "a1"
    assert chosen_search(rows, search_id="b")["search_id"] == "b3"
    with pytest.raises(InputError, match="a is the beginning of 2 search ids"):
        chosen_search(rows, search_id="a")
    with pytest.raises(InputError, match=r"no search fits --seed 5: .* with seeds 20, 21"):
        chosen_search(rows, seed=5)
    with pytest.raises(InputError, match="no search fits --search z"):
        chosen_search(rows, search_id="z")
    with pytest.raises(InputError, match="no finished search"):
        chosen_search(rows[:0])
