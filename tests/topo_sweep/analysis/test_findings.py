"""One section of an analysis, for programs and for people."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from topo_sweep.analysis.findings import Finding

FINDING = Finding(
    title="how much",
    sentence="Nearly all of it is noise.",
    method="variance components",
    assumes="additive effects",
    numbers={"icc": np.float64(0.25), "low": np.nan, "n": 3, "balanced": True},
    tables={"means": pd.DataFrame({"class_id": [0, None], "mean": [0.5, np.nan]}, dtype=object)},
    shown={"means": [("class", "mean %"), ("0", "50.00"), ("1", "-")]},
)


def test_numbers_and_tables_become_plain_json_with_null_for_what_there_is_not() -> None:
    value = json.loads(json.dumps(FINDING.to_json_value(), allow_nan=False))

    assert value["numbers"] == {"icc": 0.25, "low": None, "n": 3, "balanced": True}
    assert value["tables"]["means"] == [
        {"class_id": 0, "mean": 0.5},
        {"class_id": None, "mean": None},
    ]
    assert value["sentence"] == FINDING.sentence


def test_people_read_the_sentence_first_and_the_assumption_last() -> None:
    assert FINDING.to_text().splitlines() == [
        "HOW MUCH",
        "Nearly all of it is noise.",
        "",
        "means:",
        "class  mean %",
        "    0   50.00",
        "    1       -",
        "[variance components: it assumes additive effects]",
    ]
