"""The plot commands of cells as their users meet them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nas_core.cells.genotype import KNOWN_CELLS
from nas_core.errors import InputError
from tests.topo_sweep.cli.program import Program
from tests.topo_sweep.conftest import make_sweep, small_spec
from topo_sweep.cli.plot_cell import in_figures
from topo_sweep.store.opened import open_sweep

PNG = b"\x89PNG"


@pytest.mark.slow
def test_a_cell_can_be_given_as_a_name_as_text_or_in_a_file(program: Program) -> None:
    genotype = KNOWN_CELLS["PDARTS"]
    Path("darts.txt").write_text(genotype.to_darts() + "\n", encoding="utf-8")
    Path("cell.json").write_text(genotype.to_json(), encoding="utf-8")

    assert program("plot", "cell", "PDARTS") == "cell.png\n"
    for number, notation in enumerate(("PDARTS", str(genotype), "darts.txt", "cell.json")):
        program("plot", "cell", notation, "-o", f"{number}.svg")
    first, *others = (path.read_bytes() for path in Path().glob("*.svg"))
    assert len(others) == 3
    assert set(others) == {first}
    assert Path("cell.png").read_bytes().startswith(PNG)


@pytest.mark.parametrize("text", ["DARTS_V9", "none.json", "x" * 5000, "{}"])
def test_what_is_no_cell_is_refused_in_one_line(text: str, program: Program) -> None:
    program("plot", "cell", text, code=2)
    assert program.errors.count("\n") == 1
    assert not list(Path().iterdir())


@pytest.mark.slow
def test_the_search_cell_is_drawn_with_what_was_asked_for(program: Program) -> None:
    assert program("plot", "supernet") == "supernet.png\n"
    for name, arguments in (
        ("space", ("--space", "SS3")),
        (
            "operations",
            ("--operations", "none,skip_connect,max_pool_3x3,sep_conv_5x5,sep_conv_3x3"),
        ),
        ("both", ("--space", "SS3", "--topology", "93")),
    ):
        program("plot", "supernet", *arguments, "-o", f"{name}.svg")
    assert Path("space.svg").read_bytes() == Path("operations.svg").read_bytes()
    assert Path("space.svg").read_bytes() != Path("both.svg").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--space", "SS9"), "unknown space 'SS9'"),
        (("--operations", "sep_conv_3x2"), "use sep_conv_3x3 or"),
        (("--operations", "none,skip_connect"), "needs a learnable operation"),
        (("--operations", "sep_conv_3x3", "--space", "SS1"), "not both"),
        (("--topology", "180"), "180 is not in the range"),
    ],
)
def test_a_search_cell_that_cannot_be_is_refused_in_one_line(
    arguments: tuple[str, ...], message: str, program: Program
) -> None:
    program("plot", "supernet", *arguments, code=2)
    assert program.errors.count("\n") == 1
    assert message in program.errors


@pytest.mark.slow
def test_a_picture_can_go_to_stdout_which_must_take_it(tmp_path: Path) -> None:
    plot = f'"{sys.executable}" -m topo_sweep plot supernet -o -'
    drawn = subprocess.run(["bash", "-c", plot], cwd=tmp_path, capture_output=True, check=True)
    assert drawn.stdout.startswith(b"\x89PNG\r\n")
    full = subprocess.run(["bash", "-c", f"{plot} > /dev/full"], capture_output=True, check=False)
    assert full.returncode == 1
    assert full.stderr.startswith(b"topo-sweep: cannot write to stdout: ")
    assert not list(tmp_path.iterdir())


def test_a_pipe_gets_the_picture_and_nothing_behind_it(program: Program) -> None:
    assert program("plot", "cell", "DARTS_V2", "-o", "/dev/null") == ""


def test_figures_that_cannot_be_made_are_said_with_the_way_out(tmp_path: Path) -> None:
    folder = make_sweep(tmp_path, small_spec()).paths.folder
    (folder / "figures").write_text("in the way")
    with pytest.raises(InputError, match=r"cannot make .*figures: File exists; -o names another"):
        in_figures(open_sweep(folder), "cell")
