"""The token's file, and which token a cluster is shown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nas_core.errors import InputError
from topo_sweep.runs.on_ray import tokens
from topo_sweep.runs.on_ray.tokens import ensure_token, lets_in, mode_for, token_file, token_place

HEX = set("0123456789abcdef")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without a token."""
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_a_token_is_made_that_only_this_user_can_read_and_is_kept(home: Path) -> None:
    before = os.umask(0)
    try:
        place = ensure_token()
    finally:
        os.umask(before)
    path = home / ".ray" / "auth_token"
    content = path.read_text(encoding="ascii")

    assert place == str(path)
    assert (len(content), set(content) <= HEX) == (64, True)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert ensure_token() == place
    assert path.read_text(encoding="ascii") == content


def test_of_two_that_make_a_token_at_once_one_stays(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, link = home / ".ray" / "auth_token", os.link

    def beside_another(written: str, place: Path) -> None:
        path.write_text("of another", encoding="ascii")
        link(written, place)

    monkeypatch.setattr(os, "link", beside_another)

    assert ensure_token() == str(path)
    assert path.read_text(encoding="ascii") == "of another"
    assert list(path.parent.iterdir()) == [path]


def test_a_variable_names_another_place_or_holds_the_token(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(home / "mine"))
    assert token_place() is None
    assert ensure_token() == token_place() == str(home / "mine")
    assert not (home / ".ray").exists()

    monkeypatch.setenv("RAY_AUTH_TOKEN", "5" * 64)
    assert ensure_token() == token_place() == "RAY_AUTH_TOKEN"


def test_a_token_that_others_could_read_is_closed_and_that_is_said_without_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ensure_token()
    path = token_file()
    path.chmod(0o644)

    ensure_token()

    assert path.stat().st_mode & 0o777 == 0o600
    (record,) = caplog.records
    assert record.message.startswith(f"others could read the token in {path}")
    assert path.read_text(encoding="ascii") not in record.message


def test_what_holds_no_token_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / ".ray").mkdir()
    (home / ".ray" / "auth_token").touch()
    with pytest.raises(InputError, match="holds no token: remove it"):
        ensure_token()

    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(home / ".ray" / "auth_token" / "below"))
    with pytest.raises(InputError, match=r"cannot write .*; RAY_AUTH_TOKEN_PATH names another"):
        ensure_token()


def answers(monkeypatch: pytest.MonkeyPatch, without: bool | None, *, with_token: bool) -> None:
    """Let a cluster answer this to who shows no token, and to who shows one."""
    monkeypatch.setattr(
        tokens, "lets_in", lambda _, **asked: with_token if asked["with_token"] else without
    )


def test_a_token_is_shown_only_to_a_cluster_that_asks_for_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ensure_token()
    answers(monkeypatch, without=True, with_token=True)
    assert mode_for("there:1") == {"RAY_AUTH_MODE": "disabled"}
    answers(monkeypatch, without=False, with_token=True)
    assert mode_for("there:1") == {"RAY_AUTH_MODE": "token"}


@pytest.mark.parametrize(
    ("without", "has_token", "why"),
    [
        (None, True, "what listens at there:1 does not answer as a Ray cluster does"),
        (False, False, "the Ray cluster at there:1 wants a token: copy that of its head to"),
        (False, True, "the Ray cluster at there:1 wants another token than that of"),
    ],
)
def test_who_is_not_let_in_hears_why_without_the_token(
    without: bool | None, has_token: bool, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = Path(ensure_token()).read_text(encoding="ascii") if has_token else "no token"
    answers(monkeypatch, without, with_token=False)

    with pytest.raises(InputError) as refused:
        mode_for("there:1")

    assert str(refused.value).startswith(why)
    assert content not in str(refused.value)


def test_where_nothing_answers_in_time_it_is_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_ASK", "import time; time.sleep(60)")
    monkeypatch.setattr(tokens, "_ANSWER_SECONDS", 0.1)
    assert lets_in("there:1", with_token=False) is None


@pytest.mark.parametrize(("code", "answer"), [(0, True), (3, False), (1, None)])
def test_the_answer_is_told_by_an_exit_code(
    code: int, answer: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "_ASK", f"raise SystemExit({code})")
    assert lets_in("there:1", with_token=True) is answer
