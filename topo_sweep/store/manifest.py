"""`sweep.json`: what a sweep is, which data it used, and everything that was asked of it.

What is done stands in the Parquet files alone; see `store/parquet.py`.
"""

from __future__ import annotations

import functools
import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from nas_core.errors import InputError
from nas_core.files import digest, is_regular
from nas_core.protocols.training import DataOptions, Protocol
from topo_sweep.spec.adaptive import Adaptive
from topo_sweep.spec.load import SweepSpec, spec_from_json_value
from topo_sweep.spec.networks import SweepName, TopologySweep
from topo_sweep.store.files import write_durably

STORE_VERSION: Final = 2
"""What is written; 1 had fewer keys, and is read too."""
_DIGEST: Final = "digest"
_LIBRARIES: Final = ("torch", "torchvision", "ray", "numpy", "pandas", "pyarrow")


class NewerStoreError(InputError):
    """A store was made by a newer version; nothing of it is damaged, and nothing may be changed."""


class Request(BaseModel):
    """One request for trials and the environment in which it was made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    spec: dict[str, Any]
    requested_at: datetime
    code_version: str
    python: str
    libraries: dict[str, str]
    hardware: dict[str, str | int]


class PackTime(BaseModel):
    """How fast trainings are in a pack of some size, or one of them by PyTorch's own layers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int
    packed: bool
    images_per_second: float
    """In steps of training; an image counts once for each training."""
    memory_bytes: int | None


class _Measured(BaseModel):
    """Where something was decided by measuring; None where nothing was measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: str | None = None
    on_gpu: bool | None = None
    threads: int | None = None

    def is_of(self, *, on_gpu: bool, threads: int) -> bool:
        """Return whether it was decided by measuring, on a GPU or not, with so many threads."""
        return (self.on_gpu, self.threads) == (on_gpu, threads)


class Packing(_Measured):
    """How trainings were put together, and for 'auto' what was measured."""

    asked: int | Literal["auto"]
    """The value of `--pack`."""
    size: int | None
    """Trainings that go together at most; None: each alone, by PyTorch's own layers."""
    most: int | None = None
    """Trainings a worker, when it was measured: no size above was tried."""
    measured: tuple[PackTime, ...] = ()


class Sharing(_Measured):
    """How many packs share a GPU, and for 'auto' what was measured."""

    asked: float | Literal["auto"]
    """The value of `--gpus-per-pack`."""
    packs: int
    """That share a GPU at most."""
    ran_out_at: tuple[int, ...] = ()
    """Numbers of packs on a GPU with which its memory ran out."""
    trainings: int = 1
    """In the largest pack."""
    pack_bytes: int | None = None
    """What a pack takes of a GPU, with the images and all that its process needs."""
    gpu_bytes: int | None = None


class CompileTime(BaseModel):
    """What a step takes, as written and compiled, and how long it took to compile."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds: float
    compiled_seconds: float
    compile_seconds: float


class Compiling(_Measured):
    """Whether networks were compiled, and for 'auto' what was measured."""

    asked: Literal["auto", "on"]
    """The value of `--compile`."""
    taken: bool
    steps: int | None = None
    graphs: int | None = None
    """That were left when it was decided."""
    measured: CompileTime | None = None
    """None where there was too little to train, or it could not be measured."""


class Manifest(BaseModel):
    """The content of `sweep.json`; frozen, so a change is a new one that replaces the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    store_version: int = STORE_VERSION
    sweep: SweepName
    kind: str
    protocol: Protocol
    protocol_hash: str
    data: DataOptions
    fingerprint: str
    """Hash of all pixels and labels of the data set."""
    layout: str
    """The form in which the data was found."""
    train_images: int | None = None
    test_images: int | None = None
    """Images of the data set, before hold-out and limit; None in stores of earlier versions."""
    requests: tuple[Request, ...] = ()
    packing: Packing | None = None
    """None where nothing was ever put together, and in stores of earlier versions."""
    packs: tuple[tuple[str, ...], ...] = ()
    """Ids of trials that were planned to train together, as one network."""
    split_packs: tuple[tuple[str, ...], ...] = ()
    """Those that did not fit into memory; their halves are among `packs`."""
    sharing: Sharing | None = None
    """None where each pack had GPUs of its own, or none, and in stores of earlier versions."""
    compiling: Compiling | None = None
    """None where that was never asked for, and in stores of earlier versions."""

    def specs(self) -> list[SweepSpec]:
        """Return the requests as sweeps; their trials together are what is planned."""
        return [spec_from_json_value(request.spec) for request in self.requests]

    @property
    def race(self) -> TopologySweep | None:
        """The newest adaptive request, with what was decided; None where none was made."""
        asked = next((each for each in reversed(self.requests) if _race(each)), None)
        spec = spec_from_json_value(asked.spec) if asked else None
        return spec if isinstance(spec, TopologySweep) else None

    @property
    def adaptive(self) -> Adaptive | None:
        """How the newest adaptive request chose who got more seeds; None where none was made."""
        races = (_race(request) for request in reversed(self.requests))
        return next((race for race in races if race), None)

    @property
    def seeds_beforehand(self) -> list[int]:
        """The seeds that requests name themselves, whatever results added to them."""
        return sorted({seed for spec in self.specs() for seed in spec.seeds})

    @property
    def origins(self) -> list[str]:
        """Where requests say that their networks or wirings come from, each once."""
        said = (request.spec.get("origin") for request in self.requests)
        return list(dict.fromkeys(str(origin) for origin in said if origin))

    def with_request(self, spec: SweepSpec) -> Manifest:
        """Return the manifest with this request added, unless it already holds it."""
        value = spec.to_json_value()
        if any(request.spec == value for request in self.requests):
            return self
        request = Request(
            spec=value,
            requested_at=datetime.now(UTC),
            code_version=code_version(),
            python=platform.python_version(),
            libraries=library_versions(),
            hardware=hardware(),
        )
        kept = self.requests[:-1] if self._grows_into(request, spec) else self.requests
        return self.model_copy(update={"requests": (*kept, request)})

    def _grows_into(self, request: Request, spec: SweepSpec) -> bool:
        """Return whether a request is the last one with more decided: a round of a race."""
        if not (self.requests and _race(self.requests[-1]) and _race(request)):
            return False
        last = self.requests[-1]
        alike = [
            asked.model_copy(
                update={"requested_at": None, "spec": {**asked.spec, "adaptive": race.settings}}
            )
            for asked in (last, request)
            if (race := _race(asked))
        ]
        is_same = alike[0] == alike[1]
        return is_same and spec_from_json_value(last.spec).trials().keys() <= spec.trials().keys()

    def with_packs(self, packs: Iterable[tuple[str, ...]]) -> Manifest:
        """Return the manifest with these packs; a trial is in the last one that names it."""
        packs = tuple(packs)
        again = {key for pack in packs for key in pack}
        kept = (pack for pack in self.packs if not again.intersection(pack))
        return self.model_copy(update={"packs": (*kept, *packs)})

    def with_split(self, pack: tuple[str, ...], halves: Iterable[tuple[str, ...]]) -> Manifest:
        """Return the manifest with two packs in the place of one that did not fit into memory."""
        split_packs = (*self.split_packs, pack)
        return self.model_copy(update={"split_packs": split_packs}).with_packs(halves)

    def write(self, path: Path) -> None:
        """Replace the file; its last line is a digest of all others."""
        value = self.model_dump(mode="json")
        text = json.dumps({**value, _DIGEST: _digest(value)}, indent=1)
        write_durably(path, (text + "\n").encode())


def read_manifest(path: Path) -> Manifest:
    """Read `sweep.json`; of an earlier version it becomes what this one would have written.

    Raises:
        NewerStoreError: written by a newer version.
        InputError: no such file, not one of ours, or changed by hand.
        OSError: it is there, and the file system cannot read it now.

    """
    try:
        if not is_regular(path):
            raise ValueError("it is no regular file")
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path.parent} is no sweep: there is no {path.name}") from None
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"is unreadable ({error})") from None
    version = value.get("store_version") if isinstance(value, Mapping) else None
    if not isinstance(version, int):
        raise _damaged(path, "names no store_version")
    if version > STORE_VERSION:
        raise NewerStoreError(
            f"{path.parent} was made by a newer topo-sweep (store version {version}, this one "
            f"reads up to {STORE_VERSION}): upgrade topo-sweep"
        )
    written = value.pop(_DIGEST, None)  # an earlier version wrote none
    is_as_written = written is None or written == _digest(value)
    try:
        manifest = Manifest.model_validate_json(
            json.dumps({**value, "store_version": STORE_VERSION})
        )
        _check_unchanged(manifest, path)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise _damaged(path, f"is damaged: {key}: {first['msg']}") from None
    if not is_as_written:
        raise _damaged(path, "is damaged, or was changed by hand: it does not say what was written")
    return manifest


def _damaged(path: Path, how: str) -> InputError:
    return InputError(
        f"{path} {how}; put it back as it was, or let `topo-sweep check {path.parent} --repair` "
        "move it aside and ask for the sweep again"
    )


def _race(request: Request) -> Adaptive | None:
    value = request.spec.get("adaptive")
    return Adaptive.model_validate(value) if value else None


def _digest(value: Mapping[str, Any]) -> str:
    return digest(json.dumps(value, sort_keys=True).encode())


def _check_unchanged(manifest: Manifest, path: Path) -> None:
    """Refuse settings that are not those under which the rows were made."""
    settings = [(manifest.sweep, manifest.protocol, manifest.data)]
    for request in manifest.requests:
        protocol = Protocol.model_validate_json(json.dumps(request.spec.get("protocol")))
        data = DataOptions.model_validate_json(json.dumps(request.spec.get("data")))
        settings.append((str(request.spec.get("name")), protocol, data))
    said = (manifest.sweep, manifest.protocol_hash, manifest.data)
    for name, protocol, data in settings:
        if (name, protocol.protocol_hash, data) != said:
            raise InputError(
                f"{path} was changed by hand: it says {manifest.sweep}, protocol "
                f"{manifest.protocol_hash} and {manifest.data.canonical()}, but also settings of "
                f"{name}, protocol {protocol.protocol_hash} and {data.canonical()}; its rows were "
                "made under one of them, so put the file back as it was"
            )


@functools.cache
def code_version() -> str:
    """Return the package's version, and in a git checkout its commit."""
    version = importlib.metadata.version("topo-sweep")
    if not (Path(__file__).parents[2] / ".git").exists():
        return version  # installed; a work tree further up is someone else's
    folder = str(Path(__file__).parent)
    git = ("git", "-C", folder, "describe", "--always", "--dirty", "--abbrev=12")
    try:
        commit = subprocess.run(git, capture_output=True, text=True, timeout=10, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return version
    return f"{version}+{commit.stdout.strip()}"


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that touch the numbers, without importing them."""
    return {name: importlib.metadata.version(name) for name in _LIBRARIES}


def hardware() -> dict[str, str | int]:
    """Return this machine's processor, cores and system; each trial's row names its device."""
    return {
        "processor": _processor_name(),
        "machine": platform.machine(),
        "cores": os.cpu_count() or 0,
        "system": platform.system(),
    }


def _processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
