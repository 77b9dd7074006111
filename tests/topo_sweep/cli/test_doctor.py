"""`topo-sweep doctor` as its reader sees it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.program import done, program
from topo_sweep.runs.reports import doctor
from topo_sweep.runs.reports.doctor import Finding

OK = Finding("disk", "ok", "much room")
WARN = Finding("token", "warn", "others can read it", "chmod 600 it")
FAIL = Finding("nodes", "fail", "10.0.0.2 has torch 0.1", "install the same")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, str | None]]:
    """Which clusters were asked; this machine is well but for a warning, a cluster is not."""
    clusters: list[tuple[Path, str | None]] = []

    def of_cluster(results: Path, address: str | None) -> list[Finding]:
        clusters.append((results, address))
        return [FAIL]

    monkeypatch.setattr(doctor, "machine_findings", lambda _: iter([OK, WARN]))
    monkeypatch.setattr(doctor, "cluster_findings", of_cluster)
    return clusters


def test_each_check_is_a_line_and_a_warning_is_no_failure(
    asked: list[tuple[Path, str | None]], tmp_path: Path
) -> None:
    assert done(tmp_path, "doctor").output.splitlines() == [
        "ok    disk   much room",
        "warn  token  others can read it: chmod 600 it",
    ]
    assert asked == []


@pytest.mark.parametrize(
    ("options", "address"), [(("--cluster",), None), (("--address", "a:1"), "a:1")]
)
def test_a_failure_is_named_again_and_ends_with_1(
    options: tuple[str, ...],
    address: str | None,
    asked: list[tuple[Path, str | None]],
    tmp_path: Path,
) -> None:
    ended = program(tmp_path, "doctor", *options, "--results", "there")

    assert (ended.code, ended.errors) == (1, "topo-sweep: 1 check failed: nodes\n")
    assert ended.output.splitlines()[-1] == (
        "fail  nodes  10.0.0.2 has torch 0.1: install the same"
    )
    assert asked == [(Path("there"), address)]


def test_a_program_gets_a_record_a_check(
    asked: list[tuple[Path, str | None]], tmp_path: Path
) -> None:
    records = json.loads(done(tmp_path, "doctor", "--format", "json").output)
    assert [record["level"] for record in records] == ["ok", "warn"]
    assert records[1] == {
        "check": "token",
        "level": "warn",
        "found": "others can read it",
        "advice": "chmod 600 it",
    }
    assert asked == []
