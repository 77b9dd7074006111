"""What a store costs, measured on a made-up one of the size that is asked for."""

from __future__ import annotations

from topo_sweep.bench.stores import store_figures, store_text


def test_a_store_of_the_size_is_appended_to_read_and_ranked() -> None:
    told: list[str] = []
    figures = store_figures(trials=30, repeats=2, tell=told.append)

    assert (figures["trials"], figures["curve_rows"]) == (30, 150)
    assert figures["bytes"] > 1000
    assert [side["side"] for side in figures["sides"]] == [
        "append of 30 rows and their curves",
        "open and read the rows",
        "read the curves",
        "rank",
        "plan another run",
    ]
    assert all(side["seconds"] > 0 for side in figures["sides"])
    assert told[0] == "writing a store of 30 trials"
    once = store_figures(trials=30, repeats=1, tell=told.append)
    # A checksum has as many bytes as it needs.
    assert abs(figures["bytes"] - once["bytes"]) < 100, "what is read does not grow with turns"
    assert store_text(figures).splitlines()[1].startswith("append of 30 rows and their curves")
