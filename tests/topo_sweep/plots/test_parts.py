"""What pictures share: texts that can be read, and files in three formats, whole or not there."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from nas_core.errors import InputError, TopoSweepError
from topo_sweep.plots.parts import draw_map, ink, write_figure


def test_a_text_is_white_on_dark_boxes_and_black_on_light_and_hatched_ones() -> None:
    axes, grid = Figure().subplots(), np.array([[1.0, 2.0, np.nan]])
    image = draw_map(axes, grid, (1, 2), "viridis", label="", extend="neither", pad=0)

    assert [ink(image, value) for value in (0.5, 1.0, 2.0, np.nan)] == [
        *("white", "white", "black", "black")
    ]


def test_a_suffix_in_capitals_is_a_suffix(tmp_path: Path) -> None:
    write_figure(Figure(), tmp_path / "a.PNG")
    assert (tmp_path / "a.PNG").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["a.jpg", "a", "a.png.txt"])
def test_another_suffix_is_refused_with_the_three_that_work(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.png, \.svg or \.pdf, got .*" + name):
        write_figure(Figure(), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot write .*none.*No such file"):
        write_figure(Figure(), tmp_path / "none" / "a.png")


def test_a_picture_that_cannot_be_drawn_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    figure = Figure()
    figure.text(0, 0, r"$\frac$")

    with pytest.raises(ValueError, match="frac"):
        write_figure(figure, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_text_stays_text_in_vector_pictures(tmp_path: Path) -> None:
    figure = Figure()
    figure.text(0.5, 0.5, "last-epoch accuracy")
    write_figure(figure, tmp_path / "a.svg")
    write_figure(figure, tmp_path / "a.pdf")

    assert ">last-epoch accuracy</text>" in (tmp_path / "a.svg").read_text()
    content = (tmp_path / "a.pdf").read_bytes()
    assert b"/Type0" in content
    assert b"/Type3" not in content


def test_a_pipe_gets_a_png_whatever_it_is_called(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_figure(Figure(), pipe)
        assert os.read(reader, 4) == b"\x89PNG"
    finally:
        os.close(reader)


def test_a_device_takes_a_picture_and_a_full_one_is_no_mistake_of_the_user(tmp_path: Path) -> None:
    write_figure(Figure(), Path("/dev/null"))
    with (tmp_path / "redirected").open("wb") as file:
        write_figure(Figure(), Path(f"/dev/fd/{file.fileno()}"))
    assert (tmp_path / "redirected").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(TopoSweepError, match="cannot write /dev/full: No space left") as failed:
        write_figure(Figure(), Path("/dev/full"))
    assert not isinstance(failed.value, InputError)
