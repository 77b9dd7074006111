"""What the picture of skips by method promises."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nas_core.errors import InputError
from tests.topo_sweep.analysis.search_rows import search, searches
from tests.topo_sweep.plots.figure_checks import bars, marks, unreadable, words
from topo_sweep.plots.skips import skips

TABLE_2 = {
    "search_darts_2nd": "DARTS",
    "search_subset": "DARTS + data subset",
    "search_sparse": "DARTS + epoch update",
    "search_subset_sparse": "DARTS + data subset + epoch update",
}
PUBLISHED = {
    method: {"skips_normal": 4.0 - i, "skips_reduction": 3.5 - i}
    for i, method in enumerate(TABLE_2)
}


def table(methods: Iterable[str] = TABLE_2, **values: Any) -> pd.DataFrame:
    """Return five searches a method; of method i they have i and i + 1 skips, in turn."""
    return searches(
        [
            search(
                f"{method} {seed}",
                method=method,
                space="all",
                seed=seed,
                skips_normal=i + seed % 2,
                skips_reduction=2 * i,
                **values,
            )
            for i, method in enumerate(methods)
            for seed in range(5)
        ]
    )


def test_each_search_is_a_point_and_each_method_has_its_mean() -> None:
    normal, reduction = skips(table(), TABLE_2, PUBLISHED).axes

    assert [round(value) for _, value in marks(normal, "points")] == [
        *(0, 1, 0, 1, 0, 1, 2, 1, 2, 1, 2, 3, 2, 3, 2, 3, 4, 3, 4, 3)
    ]
    assert [(x, round(mean, 6)) for x, mean, *_ in bars(normal)] == [
        *((0, 0.4), (1, 1.4), (2, 2.4), (3, 3.4))
    ]
    # 0, 1, 0, 1, 0: SD 0.547723; 2.776445 is the 97.5% point of t with 4 degrees of freedom.
    half = 2.776445 * 0.547723 / np.sqrt(5)
    assert bars(normal)[0][2:] == pytest.approx((0, 0.4 + half), abs=1e-5)
    assert [mean for _, mean, *_ in bars(reduction)] == [0, 2, 4, 6]


def test_what_was_published_of_a_method_stands_beside_its_searches() -> None:
    normal, reduction = skips(table(), TABLE_2, PUBLISHED).axes

    assert [value for _, value in marks(normal, "published")] == [4.0, 3.0, 2.0, 1.0]
    assert [value for _, value in marks(reduction, "published")] == [3.5, 2.5, 1.5, 0.5]
    assert [round(x) for x, _ in marks(normal, "published")] == [0, 1, 2, 3]


@pytest.mark.slow
def test_methods_of_table_2_come_first_and_others_have_nothing_published() -> None:
    figure = skips(
        table(("search_edarts", "search_subset", "search_darts_2nd")), TABLE_2, PUBLISHED
    )

    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert labels == ["DARTS\n2nd order\nn = 5", "data\nsubset\nn = 5", "eDARTS\nn = 5"]
    assert [value for _, value in marks(figure.axes[0], "published")] == [4.0, 3.0]
    assert "Table II, read as totals" in words(figure)
    labels = [
        label.get_text() for label in skips(table(), TABLE_2, PUBLISHED).axes[0].get_xticklabels()
    ]
    assert labels[2:] == ["epoch\nupdate\nn = 5", "data subset +\nepoch update\nn = 5"]
    assert "published" not in words(skips(table(("search_edarts",)), TABLE_2, PUBLISHED))


def test_one_method_with_several_settings_is_drawn_once_for_each() -> None:
    rows = table(("search_edarts",))
    other = rows.assign(
        search_id="b" + rows["search_id"], attention="once", protocol_hash="b", skips_normal=4
    )
    figure = skips(pd.concat([rows, other], ignore_index=True), TABLE_2, PUBLISHED)

    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert labels == ["eDARTS\nattention none\nn = 5", "eDARTS\nattention once\nn = 5"]
    assert [round(mean, 6) for _, mean, *_ in bars(figure.axes[0])] == [0.4, 4]


def test_a_method_with_two_protocols_that_no_name_tells_apart_is_refused() -> None:
    rows = table()
    rows.loc[0, "protocol_hash"] = "other"
    with pytest.raises(InputError, match="never mixes protocols of search_darts_2nd"):
        skips(rows, TABLE_2, PUBLISHED)


def test_failed_searches_are_left_out_and_counted() -> None:
    rows = table()
    rows.loc[0, ["status", "genotype", "skips_normal"]] = ["failed", None, pd.NA]

    figure = skips(rows, TABLE_2, PUBLISHED)
    assert "n = 4" in figure.axes[0].get_xticklabels()[0].get_text()
    assert "searches that found nothing, left out: 1" in words(figure)
    with pytest.raises(InputError, match="all 1 searches failed"):
        skips(rows[:1], TABLE_2, PUBLISHED)


@pytest.mark.slow
def test_all_texts_can_be_read() -> None:
    every = (*TABLE_2, "search_darts_1st", "search_edarts", "search_pcdarts", "search_pdarts")
    assert unreadable(skips(table(), TABLE_2, PUBLISHED)) == []
    assert unreadable(skips(table(every), TABLE_2, PUBLISHED)) == []
