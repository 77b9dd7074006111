"""What nodes of a cluster are asked.

A node without topo-sweep has to answer too. So these are functions in functions: they travel whole,
where one of a module would be imported there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from topo_sweep.runs.images import ImagesByPath


def versions_function() -> Callable[[], dict[str, str]]:
    """Return what tells the versions of Python, ray, torch and topo-sweep, or 'none'."""

    def versions() -> dict[str, str]:
        import importlib.metadata
        import sys

        found = {"Python": f"{sys.version_info.major}.{sys.version_info.minor}"}
        for name in ("ray", "torch", "topo-sweep"):
            try:
                found[name] = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                found[name] = "none"
        return found

    return versions


def cuda_function() -> Callable[[], str | None]:
    """Return what tells why PyTorch can use no GPU of a node, None where it can."""

    def cuda() -> str | None:
        try:
            import torch
        except Exception as error:  # noqa: BLE001 - whatever goes wrong there is the answer
            return f"cannot import PyTorch ({' '.join(str(error).split())})"
        if torch.cuda.is_available():
            return None
        return f"lends GPUs to Ray, but PyTorch {torch.__version__} finds no CUDA device there"

    return cuda


def seeing_function() -> Callable[..., tuple[dict[str, str], bool, str | None, str | None]]:
    """Return what tells versions, and whether a file of this path has this digest there.

    And, where it is asked for GPUs, why none can be used, and where a `question` follows, what is
    wrong with the images there.
    """
    versions, cuda, reading = versions_function(), cuda_function(), images_function()

    def seeing(
        manifest: str, digest: str, gpus: float, *images: str
    ) -> tuple[dict[str, str], bool, str | None, str | None]:
        import hashlib
        from pathlib import Path

        wrong = cuda() if gpus else None, reading(*images) if images else None
        try:
            content = Path(manifest).read_bytes()
        except OSError:
            return versions(), False, *wrong
        return versions(), hashlib.sha256(content).hexdigest().startswith(digest), *wrong

    return seeing


def question(by_path: ImagesByPath) -> tuple[str, str, str]:
    """Return what `images_function` is asked: the data set, its folder and its fingerprint."""
    return by_path.data.dataset, str(by_path.folder), by_path.fingerprint


def images_function() -> Callable[[str, str, str], str | None]:
    """Return what tells why a node does not read the driver's images, None where it does."""

    def reading(name: str, folder: str, fingerprint: str) -> str | None:
        from pathlib import Path

        try:
            from nas_core.data.cifar import NoFilesError
            from nas_core.data.splits import load_dataset
        except ImportError as error:
            return f"cannot read images ({error})"
        try:
            found = load_dataset(name, Path(folder)).fingerprint
        except NoFilesError:
            return f"finds no {name} there"
        except Exception as error:  # noqa: BLE001 - whatever goes wrong there is the answer
            return f"cannot read {name} there ({' '.join(str(error).split())})"
        return None if found == fingerprint else f"finds another {name} there, fingerprint {found}"

    return reading


def writing_function() -> Callable[[str], None]:
    """Return what writes a file that holds its own name."""

    def writing(name: str) -> None:
        from pathlib import Path

        Path(name).write_text(name, encoding="utf-8")

    return writing


def reading_function() -> Callable[[list[str]], int]:
    """Return what tells how many of these files are not there as they were written."""

    def reading(names: list[str]) -> int:
        from pathlib import Path

        def is_there(path: Path) -> bool:
            # A network file system may show a new file only after its folder was listed.
            listed = path.parent.is_dir() and path in path.parent.iterdir()
            return listed and path.read_text(encoding="utf-8") == str(path)

        return sum(not is_there(Path(name)) for name in names)

    return reading
