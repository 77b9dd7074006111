"""A cluster that `topo-sweep cluster start` started: who gets in, what is left of its token."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.new_user import new_user, ran
from tests.integration.processes import children, is_running, kill, named, wait_until
from tests.integration.small_searches import SPEC, SWEEP, assert_same_rows

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="nodes are started on Linux alone"),
]

WRONG = "5" * 64
CLIENT = """
import sys, ray
ray.init(sys.argv[1], logging_level="CRITICAL")

@ray.remote(num_cpus=0)
def task(path):
    open(path, "w").close()

ray.get(task.remote(sys.argv[2]))
"""


@dataclass(frozen=True)
class Started:
    """A head of this machine alone, and all that its user has."""

    folder: Path
    address: str
    environment: Mapping[str, str]
    said: str

    @property
    def token(self) -> str:
        """What nobody may see."""
        return (self.folder / "home" / ".ray" / "auth_token").read_text(encoding="ascii")

    @property
    def note(self) -> Path:
        """What was started."""
        return self.folder / "state" / "topo-sweep" / "nodes.json"

    def pids(self) -> list[int]:
        """Return the processes that were noted."""
        nodes = json.loads(self.note.read_text(encoding="utf-8"))["nodes"]
        return [process["pid"] for node in nodes for process in node["processes"]]

    def program(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `topo-sweep` as its user."""
        return ran(("-m", "topo_sweep", *arguments), self.folder, self.environment)

    def client(self, name: str, **environment: str) -> tuple[str, bool]:
        """Run a task as another user would; return what it said, and whether the task ran."""
        there = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "HOME": str(self.folder / name)}
        path = self.folder / f"{name} was here"
        everybodys = {k: v for k, v in self.environment.items() if k not in ("HOME", "RAY_ADDRESS")}
        client = ("-c", CLIENT, self.address, str(path))
        ended = ran(client, self.folder, everybodys | there | environment)
        return ended.stdout + ended.stderr, path.exists()


@pytest.fixture(scope="module")
def started() -> Iterator[Started]:
    """Start a head."""
    folder, environment = new_user()
    begin = ("-m", "topo_sweep", "cluster", "start", "--head", "--port", "0", "--num-cpus", "1")
    ended = ran(begin, folder, environment)
    try:
        assert ended.returncode == 0, ended.stderr
        address = ended.stdout.split()[-1]
        yield Started(folder, address, environment, ended.stdout + ended.stderr)
    finally:
        note = folder / "state" / "topo-sweep" / "nodes.json"
        if note.exists():
            ran(("-m", "topo_sweep", "cluster", "stop"), folder, environment)
        shutil.rmtree(folder, ignore_errors=True)


def listening(pids: list[int]) -> set[str]:
    """Return the addresses at which these processes listen, as the kernel writes them."""
    descriptors = (path for pid in pids for path in Path(f"/proc/{pid}/fd").iterdir())
    sockets = {str(path.readlink()) for path in descriptors if path.is_symlink()}
    tables = [Path(f"/proc/net/{name}").read_text(encoding="ascii") for name in ("tcp", "tcp6")]
    rows = [line.split() for table in tables for line in table.splitlines()[1:]]
    return {row[1].partition(":")[0] for row in rows if f"socket:[{row[9]}]" in sockets}


def listed_processes() -> set[bytes]:
    """Return the command lines of all processes of this machine, as anybody can list them."""
    lines = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended since
            lines.add(path.read_bytes())
    return lines


def test_nobody_gets_in_without_the_token_or_with_another_and_no_task_of_theirs_runs(
    started: Started,
) -> None:
    clients = {
        "without": {},
        "wrong": {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": WRONG},
        "right": {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": started.token},
    }
    with ThreadPoolExecutor() as pool:
        futures = {
            name: pool.submit(started.client, name, **environment)
            for name, environment in clients.items()
        }
    ended = {name: future.result() for name, future in futures.items()}

    assert {name: has_run for name, (_, has_run) in ended.items()} == {
        "without": False,
        "wrong": False,
        "right": True,
    }
    assert "Error" in ended["without"][0]
    assert "Error" in ended["wrong"][0]
    assert not any(started.token in said for said, _ in ended.values())


@pytest.mark.long
def test_a_sweep_joins_it_by_itself_with_the_same_rows_and_the_token_is_nowhere_to_be_read(
    started: Started, whole: Path
) -> None:
    (started.folder / "small.yaml").write_text(SPEC, encoding="utf-8")
    command_lines: set[bytes] = set()
    with ThreadPoolExecutor() as pool:
        arguments = (*SWEEP, "--seeds", "20", "--cluster", "--address", started.address)
        running = pool.submit(started.program, *arguments)
        while not running.done():
            command_lines |= listed_processes()
            time.sleep(0.1)
    sweep = running.result()
    info = started.program("cluster", "info", "--address", started.address)
    others = {**started.environment, "RAY_AUTH_TOKEN": WRONG}
    refused = ran(("-m", "topo_sweep", "cluster", "info"), started.folder, others)

    assert sweep.returncode == 0, sweep.stderr
    assert "Ray cluster with 1 node, 1 CPUs, 0 GPUs; 1 CPU a trial, no GPU" in sweep.stderr
    assert "warning" not in sweep.stderr
    assert_same_rows(started.folder / "results", whole, seeds=(20,))
    assert "token: the cluster asks for one" in info.stdout
    assert refused.returncode == 2
    assert "wants another token than that of RAY_AUTH_TOKEN" in refused.stderr
    said = [started.said, *(each.stdout + each.stderr for each in (sweep, info, refused))]
    written = [
        path.read_bytes()
        for path in started.folder.rglob("*")
        if path.is_file() and path.name != "auth_token"
    ]
    assert len(written) > 20, "the logs of Ray are among them"
    for process in (b"gcs_server", b"raylet", b"small.yaml", b"ray::", b"GcsClient"):
        assert any(process in each for each in command_lines), process
    for secret in (started.token, WRONG):
        for content in (*command_lines, *written, *(each.encode() for each in said)):
            assert secret.encode() not in content


@pytest.mark.long
def test_ray_of_a_run_on_this_machine_lets_in_who_has_the_token_alone_and_no_process_shows_it() -> (
    None
):
    folder, environment = new_user()
    (folder / "small.yaml").write_text(SPEC, encoding="utf-8")
    run = subprocess.Popen(
        [sys.executable, "-m", "topo_sweep", *SWEEP, "--seeds", "0-99"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until(lambda: bool(named("ray::", children(run.pid))), run)
        (raylet,) = named("raylet/raylet", children(run.pid))
        command_line = Path(f"/proc/{raylet}/cmdline").read_text(encoding="utf-8")
        addresses = re.findall(r"--gcs-address=([^\s\0]+)", command_line)
        local = Started(folder, addresses[0], environment, said="")
        without = local.client("without")
        with_token = local.client("right", RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=local.token)
        command_lines = listed_processes()
        assert run.poll() is None, "it was there for both"
    finally:
        run.send_signal(signal.SIGINT)
        said = "".join(run.communicate(timeout=60))
    token = local.token
    shutil.rmtree(folder)

    assert (without[1], with_token[1]) == (False, True), without[0] + with_token[0]
    assert "AuthenticationError" in without[0]
    for content in (*command_lines, said.encode(), without[0].encode(), with_token[0].encode()):
        assert token.encode() not in content


@pytest.mark.long
def test_the_doctor_looks_at_it_from_inside(started: Started) -> None:
    results = started.folder / "results"
    results.mkdir(exist_ok=True)
    before = sorted(results.iterdir())

    ended = started.program("doctor", "--address", started.address, "--format", "json")

    assert ended.returncode == 0, ended.stderr + ended.stdout
    levels = {each["check"]: (each["level"], each["found"]) for each in json.loads(ended.stdout)}
    assert {level for level, _ in levels.values()} == {"ok"}
    assert levels["cluster"][1] == "Ray cluster with 1 node, 1 CPUs, 0 GPUs"
    assert levels["entry"][1] == "the cluster asks for a token"
    (node,) = (found for check, (_, found) in levels.items() if check.startswith("node "))
    assert all(f"{check} {levels[check][1]}" in node for check in ("GPUs", "CUDA"))
    assert " ms on the " in node
    assert f" free for {results}" in node
    assert levels["results folder"][1] == "each node reads what the others write there"
    assert sorted(results.iterdir()) == before
    assert started.token not in ended.stdout + ended.stderr


def test_it_listens_on_the_loopback_alone_and_its_files_are_its_users(started: Started) -> None:
    token_file = started.folder / "home" / ".ray" / "auth_token"

    assert token_file.stat().st_mode & 0o777 == 0o600
    assert token_file.parent.stat().st_mode & 0o777 == 0o700
    assert started.note.parent.stat().st_mode & 0o777 == 0o700
    in_ipv4, in_ipv6 = "0100007F", "0000000000000000FFFF00000100007F"
    assert listening(started.pids()) == {in_ipv4, in_ipv6}


@pytest.mark.long
def test_stop_ends_all_that_was_started_and_nothing_else(started: Started) -> None:
    pids = started.pids()
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        assert len(pids) >= 4
        assert all(map(is_running, pids))
        ended = started.program("cluster", "stop")
        assert ended.stdout == f"stopped: head {started.address}\n"
        assert not any(map(is_running, pids))
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()
        kill(*(pid for pid in pids if is_running(pid)))
