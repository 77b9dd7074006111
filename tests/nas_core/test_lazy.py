"""Public names of a package that are imported when they are first used."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nas_core.lazy import lazy_names


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package of one module `home`, on the path."""
    folder = tmp_path / "a_package"
    folder.mkdir()
    (folder / "__init__.py").write_text("own = 0\n")
    (folder / "home.py").write_text("first, second = 1, 2\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for module in ("a_package", "a_package.home"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    __import__("a_package")
    return "a_package"


def test_a_name_is_that_of_its_module_which_is_imported_only_then(package: str) -> None:
    find, listed = lazy_names(package, {"home": ("first", "second")})

    assert [name for name in listed() if not name.startswith("__")] == ["first", "second"]
    assert {"__name__", "__file__", "__doc__"} <= set(listed())
    assert listed() == sorted(listed())
    assert f"{package}.home" not in sys.modules
    assert (find("first"), find("second")) == (1, 2)
    assert f"{package}.home" in sys.modules


def test_another_name_is_no_attribute_though_its_module_may_hold_it(package: str) -> None:
    find, _ = lazy_names(package, {"home": ("first",)})

    with pytest.raises(AttributeError, match="module 'a_package' has no attribute 'second'"):
        find("second")
