"""Checkpoints that hold what no training writes: headers, lengths and tensors."""

from __future__ import annotations

import functools
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nas_core.files import digest
from nas_core.training.checkpoint import Checkpoint
from tests.fuzz.inputs import FUZZ, JUNK, edited, mutated, works_or_is_refused
from tests.topo_sweep.conftest import make_sweep, small_spec
from topo_sweep.runs.reports.check import check_sweep
from topo_sweep.store.paths import StorePaths

KEY = "0123456789abcdef"
TENSORS = {"w": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2, dtype=torch.bfloat16)}


@functools.cache
def made(folder: Path) -> tuple[StorePaths, bytes]:
    """Return a sweep, and what a checkpoint of it holds."""
    paths = make_sweep(folder / "results of checkpoints", small_spec()).paths
    Checkpoint(paths.checkpoint(KEY), key=KEY).save(TENSORS, [{"loss": 0.5}])
    return paths, paths.checkpoint(KEY).read_bytes()


def with_header(header: str, tensors: bytes, length: int | None = None) -> bytes:
    content = header.encode(errors="surrogatepass")
    size = len(content) if length is None else length
    return size.to_bytes(8, "little") + content + tensors


def with_fitting_digest(header: dict[str, Any], tensors: bytes) -> bytes:
    """Return a file that says what it holds, as whoever made it up would."""

    def content(digits: str) -> bytes:
        metadata = {**header["__metadata__"], "digest": digits}
        text = json.dumps({**header, "__metadata__": metadata}, separators=(",", ":"))
        return with_header(text, tensors)

    return content(digest(content("0" * 16)))


@st.composite
def files(draw: st.DrawFn, whole: bytes) -> bytes:
    """Return a checkpoint of which header, length or tensors are others."""
    ends = 8 + int.from_bytes(whole[:8], "little")
    text, tensors = whole[8:ends].decode(), whole[ends:]
    if draw(st.booleans()):
        tensors = draw(st.one_of(st.binary(max_size=40), st.just(tensors[:-1])))
    kind = draw(st.sampled_from(["raw", "nested", "edited", "junk", "mutated", "fitting"]))
    if kind == "raw":
        return draw(st.binary(max_size=100))
    if kind == "nested":
        opening = draw(st.sampled_from(["[", '{"a":', '{"__metadata__":', "[[1],"]))
        return with_header(opening * draw(st.integers(1, 20_000)), tensors)
    if kind == "edited":
        length = draw(st.one_of(st.none(), st.integers(0, 2**64 - 1)))
        return with_header(draw(edited(text)), tensors, length)
    header: Any = json.loads(text)
    header = draw(JUNK) if kind == "junk" else draw(mutated(header))
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    if kind == "fitting" and isinstance(metadata, dict):
        return with_fitting_digest(header, tensors)
    return with_header(json.dumps(header), tensors)


@FUZZ
@given(data=st.data())
def test_any_checkpoint_is_read_or_means_starting_over(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    paths, whole = made(tmp_path_factory.getbasetemp())
    checkpoint = Checkpoint(paths.checkpoint(KEY), key=KEY)
    checkpoint.path.write_bytes(data.draw(files(whole)))

    if loaded := checkpoint.load():
        assert all(isinstance(tensor, torch.Tensor) for tensor in loaded[0].values())

    for repairs in (False, True):
        assert works_or_is_refused(check_sweep, paths.folder, repairs=repairs) is not None
    shutil.rmtree(paths.damaged, ignore_errors=True)
