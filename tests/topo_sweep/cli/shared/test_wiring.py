"""The fixed wiring that `--topology` and `--topology-from` ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas_core.errors import InputError
from tests.topo_sweep.analysis.adaptive.races import stored_race
from tests.topo_sweep.analysis.choice_rows import topologies
from topo_sweep.cli.shared.options import WiringChoice
from topo_sweep.cli.shared.wiring import Wiring, chosen_wiring


def chosen(*settings: str, index: int | None = None, folder: Path | None = None) -> Wiring:
    return chosen_wiring(WiringChoice(topology=index, topology_from=folder), settings)


def test_an_index_is_a_setting_of_the_search_and_nothing_is_chosen_unasked() -> None:
    assert chosen(index=0) == Wiring({"topology": 0})
    assert chosen("epochs=3") == chosen("topology=17") == Wiring({})


def test_the_best_of_a_sweep_comes_with_its_origin_and_how_sure_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    topologies(tmp_path, {3: [0.5, 0.6], 17: [0.9, 0.8]})

    wiring = chosen(folder=tmp_path)

    assert wiring.settings == {"topology": 17}
    assert wiring.origin is not None
    assert wiring.origin.startswith("the best of 2 classes of small-digits-")
    assert capsys.readouterr().err == "", "not before the whole request is checked"
    assert wiring.remarks[0].startswith("warning: no images were held out")
    assert wiring.remarks[-1] == f"topology 17: {wiring.origin}"


def test_the_best_of_a_race_is_its_own_with_its_statement(tmp_path: Path) -> None:
    wiring = chosen(folder=stored_race(tmp_path).folder)

    assert wiring.settings == {"topology": 7}
    assert any("of a race for the 2 best classes: With 95%" in said for said in wiring.remarks)


@pytest.mark.parametrize("text", ["topology=3", "search.topology=3"])
@pytest.mark.parametrize("option", [{"index": 3}, {"folder": Path()}])
def test_a_wiring_set_beside_an_option_is_refused(text: str, option: dict[str, int | Path]) -> None:
    with pytest.raises(InputError, match=f"--set {text} and --topology or --topology-from differ"):
        chosen(text, **option)  # type: ignore[arg-type] # either of them


def test_an_index_beside_a_sweep_is_refused() -> None:
    with pytest.raises(InputError, match="both name a wiring: give one"):
        chosen(index=3, folder=Path())
