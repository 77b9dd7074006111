"""What each node of a cluster has, and which of them train as the driver would.

Nothing else has to be the same everywhere: images travel through Ray's object store, so a node
needs no data set, and rows are written by the driver alone. Only checkpoints lie in the results
folder, and are kept where a node sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from nas_core.errors import InputError, first_line
from topo_sweep.analysis.text import plain_table
from topo_sweep.runs.execution import Execution, times_in_one

ANSWER_SECONDS: Final = 20.0
"""A process of Python starts in this time, also where a machine is busy."""
SILENT: Final = TimeoutError(f"does not answer in {ANSWER_SECONDS:.0f} s")
"""What a node answers that does not."""

Versions = Mapping[str, str]
"""Of Python, ray, torch and topo-sweep; 'none' where there is none."""


@dataclass(frozen=True, kw_only=True)
class NodeFacts:
    """A node of the cluster.

    Args:
        node_id: Ray's.
        address: of its network card, or the name that it was started with.
        is_alive: whether it belongs to the cluster now.
        cpus: that it lends.
        gpus: that it lends.
        memory_bytes: that it lends.
        versions: of a node that answered.
        problem: why it did not.

    """

    node_id: str
    address: str
    is_alive: bool
    cpus: float
    gpus: float
    memory_bytes: float
    versions: Versions | None = None
    problem: str | None = None


def versions_here() -> Versions:
    """Return the versions of this process."""
    return _versions_function()()


def nodes_of_now() -> list[NodeFacts]:
    """Return every node, the dead ones too, and ask those alive for their versions."""
    nodes = ray.nodes()
    answers = _answers([node for node in nodes if node["Alive"]], _versions_function())
    return [_facts(node, answers.get(node["NodeID"])) for node in nodes]


def fault_of(node: NodeFacts) -> str | None:
    """Return why a node that was asked cannot train as the driver does, if it cannot."""
    return node.problem if node.versions is None else fault(node.versions)


def ports_of_now() -> dict[str, int]:
    """Return a port of Ray by the address of each machine."""
    return {address(node): node["NodeManagerPort"] for node in ray.nodes() if node["Alive"]}


def nodes_table(nodes: Sequence[NodeFacts]) -> str:
    """Return a table with a line a node."""
    names = list(versions_here())
    rows = [
        (
            node.address,
            "alive" if node.is_alive else "dead",
            f"{node.cpus:g}",
            f"{node.gpus:g}",
            f"{node.memory_bytes / 2**30:.1f} GiB",
            *([node.problem or "", *[""] * (len(names) - 1)] if node.versions is None else []),
            *(() if node.versions is None else [node.versions[name] for name in names]),
        )
        for node in nodes
    ]
    return plain_table(["node", "state", "CPUs", "GPUs", "memory", *names], rows)


def places(execution: Execution, node: Mapping[str, Any]) -> int:
    """Return how many workers of a settled execution one of Ray's nodes can hold."""
    wanted = {"CPU": float(execution.cpus), "GPU": execution.gpus_of_each}
    total = node["Resources"]
    return min(_times(each, total.get(name, 0)) for name, each in wanted.items() if each)


def _times(each: float, total: float) -> int:
    """Return how often a node has this of one resource; a part of a GPU is of a single one."""
    return int(total / each) if each >= 1 else int(total) * times_in_one(each)


def check_nodes(execution: Execution) -> None:
    """Refuse a cluster in which a node that can hold a worker has other versions than this driver.

    Raises:
        InputError: names each such node and what differs, and each that does not answer.

    """
    nodes = [node for node in ray.nodes() if node["Alive"] and places(execution, node)]
    answers = _answers(nodes, _versions_function())
    wrong = [named(node, why) for node in nodes if (why := fault(answers[node["NodeID"]]))]
    if wrong:
        raise InputError(
            f"{'; '.join(wrong)}; this driver has {words(versions_here())}: install the same "
            "there, or stop those nodes (`topo-sweep cluster info` shows all)"
        )


def read_each_others_files(folder: Path) -> list[str]:
    """Let each node write a file and read those of all; return a sentence for each that fails.

    The files are removed.

    Args:
        folder: is there, at least on this machine.

    """
    nodes = {node["NodeID"]: address(node) for node in ray.nodes() if node["Alive"]}
    names = {node_id: str(folder / f".doctor-{node_id}") for node_id in nodes}
    try:
        written = {node_id: ask(node_id, _writing_function(), names[node_id]) for node_id in nodes}
        wrong = {
            node_id: f"cannot write there ({first_line(answer)})"
            for node_id, answer in _outcomes(written).items()
            if isinstance(answer, Exception)
        }
        all_names = [name for node_id, name in names.items() if node_id not in wrong]
        read = {node_id: ask(node_id, _reading_function(), all_names) for node_id in nodes}
        for node_id, answer in _outcomes(read).items():
            missing = len(all_names) if isinstance(answer, Exception) else answer
            if missing and node_id not in wrong:
                wrong[node_id] = f"cannot read what {missing} of {len(all_names)} nodes wrote"
    finally:
        for name in names.values():
            Path(name).unlink(missing_ok=True)
    return [f"{nodes[node_id]} {why}" for node_id, why in wrong.items()]


# A node without topo-sweep has to answer too. So these are functions in functions: they travel
# whole, where one of a module would be imported there.


def _versions_function() -> Callable[[], dict[str, str]]:
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


def seeing_function() -> Callable[[str, str], tuple[dict[str, str], bool]]:
    """Return what tells versions, and whether a file of this path has this digest there."""
    versions = _versions_function()

    def seeing(manifest: str, digest: str) -> tuple[dict[str, str], bool]:
        import hashlib
        from pathlib import Path

        try:
            content = Path(manifest).read_bytes()
        except OSError:
            return versions(), False
        return versions(), hashlib.sha256(content).hexdigest().startswith(digest)

    return seeing


def _writing_function() -> Callable[[str], None]:
    def writing(name: str) -> None:
        from pathlib import Path

        Path(name).write_text(name, encoding="utf-8")

    return writing


def _reading_function() -> Callable[[list[str]], int]:
    def reading(names: list[str]) -> int:
        from pathlib import Path

        def is_there(path: Path) -> bool:
            # A network file system may show a new file only after its folder was listed.
            listed = path.parent.is_dir() and path in path.parent.iterdir()
            return listed and path.read_text(encoding="utf-8") == str(path)

        return sum(not is_there(Path(name)) for name in names)

    return reading


def ask(node_id: str, function: Callable[..., Any], *arguments: object) -> ray.ObjectRef[Any]:
    """Call a function on a node, and on no other."""
    there = NodeAffinitySchedulingStrategy(node_id, soft=False)
    remote: Any = ray.remote(function)
    return remote.options(num_cpus=0, max_retries=0, scheduling_strategy=there).remote(*arguments)


def _answers(nodes: Iterable[Mapping[str, Any]], function: Callable[[], Any]) -> dict[str, Any]:
    """Return by id what nodes answer; an exception where one fails or does not answer."""
    return _outcomes({node["NodeID"]: ask(node["NodeID"], function) for node in nodes})


def _outcomes(asked: Mapping[str, ray.ObjectRef[Any]]) -> dict[str, Any]:
    return dict.fromkeys(asked, SILENT) | heard(asked, ANSWER_SECONDS)


def heard(asked: Mapping[str, ray.ObjectRef[Any]], seconds: float) -> dict[str, Any]:
    """Return by id what was answered in so many seconds."""
    if not asked:
        return {}
    ready, _ = ray.wait(
        list(asked.values()), num_returns=len(asked), timeout=seconds, fetch_local=False
    )
    heard: dict[str, Any] = {}
    for node_id, reference in asked.items():
        if reference in ready:
            try:
                heard[node_id] = ray.get(reference)
            except Exception as error:  # noqa: BLE001 - whatever goes wrong there is the answer
                heard[node_id] = error
    return heard


def fault(answer: Versions | Exception) -> str | None:
    """Return in words why a node of this answer cannot train as the driver does, if it cannot."""
    if isinstance(answer, TimeoutError):
        return str(answer)
    if isinstance(answer, Exception):
        return f"cannot say which versions it has ({first_line(answer)})"
    driver = versions_here()
    differ = {name: answer[name] for name in driver if answer[name] != driver[name]}
    return f"has {words(differ)}" if differ else None


def words(versions: Versions) -> str:
    """Return 'Python 3.11, ray 2.60.0'."""
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def named(node: Mapping[str, Any], why: str) -> str:
    """Return the beginning of a sentence about one of Ray's nodes."""
    return f"node {address(node)} {why}"


def address(node: Mapping[str, Any]) -> str:
    """Return where one of Ray's nodes is."""
    return str(node["NodeManagerAddress"])


def _facts(node: Mapping[str, Any], answer: Any) -> NodeFacts:  # noqa: ANN401 - or an exception
    total, is_silent = node["Resources"], isinstance(answer, Exception)
    return NodeFacts(
        node_id=node["NodeID"],
        address=address(node),
        is_alive=node["Alive"],
        cpus=total.get("CPU", 0.0),
        gpus=total.get("GPU", 0.0),
        memory_bytes=total.get("memory", 0.0),
        versions=None if is_silent else answer,
        problem=fault(answer) if is_silent else None,
    )
