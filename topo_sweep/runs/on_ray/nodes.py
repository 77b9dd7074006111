"""What each node of a cluster has, and which of them train as the driver would.

Nothing else has to be the same everywhere: images travel through Ray's object store, so a node
needs no data set unless it is to read them itself, and rows are written by the driver alone. Only
checkpoints lie in the results folder, and are kept where a node sees it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from nas_core.errors import InputError, first_line
from topo_sweep.analysis.text import plain_table
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.on_ray.questions import (
    cuda_function,
    images_function,
    question,
    reading_function,
    versions_function,
    writing_function,
)
from topo_sweep.runs.on_ray.room import places

if TYPE_CHECKING:
    from topo_sweep.runs.images import ImagesByPath

ANSWER_SECONDS: Final = 20.0
"""A process of Python starts in this time, also where a machine is busy."""
READ_SECONDS: Final = 60.0
"""In which a node has read the images itself, or has PyTorch look for its GPUs."""
SILENT: Final = TimeoutError(f"does not answer in {ANSWER_SECONDS:.0f} s")
"""What a node answers that does not."""
NOT_READ: Final = TimeoutError(f"has not read the images in {READ_SECONDS:.0f} s")
"""Likewise, where it reads them itself."""
NOT_LOOKED: Final = TimeoutError(f"has not looked for its GPUs in {READ_SECONDS:.0f} s")
"""Likewise, where workers get GPUs."""

_LOGGER = logging.getLogger(__name__)

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
    return versions_function()()


def nodes_of_now() -> list[NodeFacts]:
    """Return every node, the dead ones too, and ask those alive for their versions."""
    nodes = ray.nodes()
    answers = _answers([node for node in nodes if node["Alive"]], versions_function())
    return [_facts(node, answers.get(node["NodeID"])) for node in nodes]


def fault_of(node: NodeFacts) -> str | None:
    """Return why a node that was asked cannot train as the driver does, if it cannot."""
    return node.problem if node.versions is None else fault(node.versions)


def ports_of_now() -> dict[str, int]:
    """Return a port of Ray by the address of each machine."""
    return {address(node): node["NodeManagerPort"] for node in ray.nodes() if node["Alive"]}


def nodes_table(
    nodes: Sequence[NodeFacts], more: Mapping[str, Mapping[str, str]] | None = None
) -> str:
    """Return a table with a line a node, and a column for each of `more`, which has words by id."""
    names, more = list(versions_here()), more or {}
    rows = [
        (
            node.address,
            "alive" if node.is_alive else "dead",
            f"{node.cpus:g}",
            f"{node.gpus:g}",
            f"{node.memory_bytes / 2**30:.1f} GiB",
            *([node.problem or "", *[""] * (len(names) - 1)] if node.versions is None else []),
            *(() if node.versions is None else [node.versions[name] for name in names]),
            *(by_id[node.node_id] for by_id in more.values()),
        )
        for node in nodes
    ]
    return plain_table(["node", "state", "CPUs", "GPUs", "memory", *names, *more], rows)


def check_nodes(execution: Execution, by_path: ImagesByPath | None = None) -> None:
    """Refuse a cluster in which a node that can hold a worker has not what this driver has.

    A table of these nodes is logged before.

    Those are versions, GPUs that PyTorch can use, where workers get any, and the images, where each
    node reads them itself.

    Raises:
        InputError: names each such node and what differs, and each that does not answer.

    """
    nodes = [node for node in ray.nodes() if node["Alive"] and places(execution, node)]
    answers = _answers(nodes, versions_function())
    facts = [_facts(node, answers[node["NodeID"]]) for node in nodes]
    _refuse(
        facts,
        [fault_of(node) for node in facts],
        f"; this driver has {words(versions_here())}: install the same there, or stop those nodes "
        "(`topo-sweep cluster info` shows all)",
    )
    if execution.gpus_of_each:
        _check_cuda(facts)
    if by_path is not None:
        _check_images(facts, by_path)


def _check_cuda(nodes: Sequence[NodeFacts]) -> None:
    """Refuse nodes whose GPUs PyTorch cannot use.

    Raises:
        InputError: names each of them.

    """
    asked = {n.node_id: ask(n.node_id, cuda_function()) for n in nodes}
    answers = dict.fromkeys(asked, NOT_LOOKED) | heard(asked, READ_SECONDS)
    _refuse(
        nodes,
        [lack(answers[node.node_id], "look for GPUs") for node in nodes],
        ": install a PyTorch and a driver there that fit, start those nodes with --num-gpus 0, or "
        "use --gpus-per-pack 0 to train on CPUs",
        column="CUDA",
        fine="found",
    )


def _check_images(nodes: Sequence[NodeFacts], by_path: ImagesByPath) -> None:
    """Refuse nodes that do not read the driver's images.

    Raises:
        InputError: names each of them.

    """
    asked = {n.node_id: ask(n.node_id, images_function(), *question(by_path)) for n in nodes}
    answers = dict.fromkeys(asked, NOT_READ) | heard(asked, READ_SECONDS)
    _refuse(
        nodes,
        [lack(answers[node.node_id], "read images") for node in nodes],
        f": with --no-ship-data each node reads {by_path.folder}, where this driver found "
        f"{by_path.data.dataset} with fingerprint {by_path.fingerprint}; let it see the same files "
        "there, or leave out --no-ship-data",
        column="images",
        fine="as here",
    )


def _refuse(
    nodes: Sequence[NodeFacts],
    faults: Sequence[str | None],
    advice: str,
    *,
    column: str = "",
    fine: str = "",
) -> None:
    """Refuse nodes that lack something, after a table of all.

    Args:
        nodes: those that were asked.
        faults: what each lacks, if anything.
        advice: the end of the error.
        column: of the table, for what they lack; none where their versions say it.
        fine: stands there where a node lacks nothing.

    Raises:
        InputError: names each of them.

    """
    both = list(zip(nodes, faults, strict=True))
    wrong = [f"node {node.address} {why}" for node, why in both if why]
    if wrong:
        said = {node.node_id: why or fine for node, why in both}
        _LOGGER.warning("%s", nodes_table(nodes, {column: said} if column else {}))
        raise InputError(f"{'; '.join(wrong)}{advice}")


def read_each_others_files(folder: Path) -> list[str]:
    """Let each node write a file and read those of all; return a sentence for each that fails.

    The files are removed.

    Args:
        folder: is there, at least on this machine.

    """
    nodes = {node["NodeID"]: address(node) for node in ray.nodes() if node["Alive"]}
    names = {node_id: str(folder / f".doctor-{node_id}") for node_id in nodes}
    try:
        written = {node_id: ask(node_id, writing_function(), names[node_id]) for node_id in nodes}
        wrong = {
            node_id: f"cannot write there ({first_line(answer)})"
            for node_id, answer in _outcomes(written).items()
            if isinstance(answer, Exception)
        }
        all_names = [name for node_id, name in names.items() if node_id not in wrong]
        read = {node_id: ask(node_id, reading_function(), all_names) for node_id in nodes}
        for node_id, answer in _outcomes(read).items():
            missing = len(all_names) if isinstance(answer, Exception) else answer
            if missing and node_id not in wrong:
                wrong[node_id] = f"cannot read what {missing} of {len(all_names)} nodes wrote"
    finally:
        for name in names.values():
            Path(name).unlink(missing_ok=True)
    return [f"{nodes[node_id]} {why}" for node_id, why in wrong.items()]


def lack(answer: str | Exception | None, what_for: str) -> str | None:
    """Return in words what a node of this answer lacks, if anything.

    Args:
        answer: its own words, or why there are none.
        what_for: what it was to do, as 'read images'.

    """
    if isinstance(answer, TimeoutError):
        return str(answer)
    if isinstance(answer, Exception):
        return f"cannot {what_for} ({first_line(answer)})"
    return answer


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
