"""Nodes that join while a sweep runs: asked like the first ones, and used only where they pass."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import ray
from ray import tune

from nas_core.errors import TopoSweepError
from nas_core.files import digest_of_file
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.images import ImagesByPath
from topo_sweep.runs.on_ray.nodes import (
    ANSWER_SECONDS,
    NOT_LOOKED,
    NOT_READ,
    READ_SECONDS,
    SILENT,
    address,
    ask,
    fault,
    heard,
    named,
    versions_here,
    words,
)
from topo_sweep.runs.on_ray.questions import question, seeing_function
from topo_sweep.runs.on_ray.room import places
from topo_sweep.store.files import is_elsewhere

_LOGGER = logging.getLogger(__name__)


class Watch:
    """Knows which nodes of the connected cluster have passed; at first it waits for their answers.

    Args:
        execution: settled.
        manifest: the file `sweep.json` of the sweep, by which a node sees its folder or does not;
            one that lies elsewhere, each node reaches by itself.
        by_path: images that nodes read themselves; None where they are sent.

    """

    def __init__(
        self, execution: Execution, manifest: Path, by_path: ImagesByPath | None = None
    ) -> None:
        self._execution = execution
        self._manifest = manifest
        self._by_path = by_path
        self._seconds, self._silent = ANSWER_SECONDS, SILENT
        if execution.gpus_of_each:
            self._seconds, self._silent = READ_SECONDS, NOT_LOOKED
        if by_path is not None:
            self._seconds, self._silent = READ_SECONDS, NOT_READ
        self._asked: dict[str, ray.ObjectRef[Any]] = {}
        self._asked_at: dict[str, float] = {}
        """Of those that have not answered, and of which that was not said yet."""
        self._passed: set[str] = set()
        self._refused: set[str] = set()
        self.look(seconds=self._seconds)

    @property
    def passed(self) -> Collection[str]:
        """Ids of the nodes that may train."""
        return self._passed

    @property
    def refused(self) -> Collection[str]:
        """Ids of the nodes that may not, and of those that have not answered yet."""
        return self._refused | self._asked.keys()

    def look(self, *, seconds: float = 0.0) -> None:
        """Ask nodes that are new; hear what is answered in so many seconds, and say what is wrong.

        Each node is named once, and one that answers late once more.
        """
        nodes = {node["NodeID"]: node for node in ray.nodes() if node["Alive"]}
        self._ask_who_is_new(nodes)
        answers = heard(self._asked, seconds)
        unseen = []
        for node_id, answer in answers.items():
            del self._asked[node_id]
            is_late = self._asked_at.pop(node_id, None) is None
            if node_id not in nodes:  # it has left since
                continue
            is_error = isinstance(answer, Exception)
            versions, sees_results, lacks_gpus, lacks_images = (
                (answer, True, None, None) if is_error else answer
            )
            since = None
            if why := fault(versions):
                since = f"this driver has {words(versions_here())}"
            elif why := lacks_gpus:
                since = "each worker gets a GPU"
            elif self._by_path is not None and (why := lacks_images):
                since = f"with --no-ship-data it reads {self._by_path.folder}"
            if why:
                self._refused.add(node_id)
                named_so = named(nodes[node_id], why)
                _LOGGER.warning("%s; it gets no trial, since %s", named_so, since)
            else:
                self._passed.add(node_id)
                if is_late:
                    _LOGGER.warning("%s", named(nodes[node_id], "has answered; it gets trials"))
                reaches = sees_results or not self._manifest.exists()  # gone, it tells nothing
                reaches |= is_elsewhere(self._manifest)
                unseen += [] if reaches else [address(nodes[node_id])]
        if unseen:
            _LOGGER.warning(
                "node %s: the results folder is not visible there, so checkpoints are not kept, "
                "and what is interrupted there starts over",
                ", ".join(unseen),
            )
        self._say_who_is_silent(nodes)

    def _ask_who_is_new(self, nodes: Mapping[str, Mapping[str, Any]]) -> None:
        known = self._passed | self._refused | self._asked.keys()
        for node_id, node in nodes.items():
            if node_id not in known and places(self._execution, node):
                images = () if self._by_path is None else question(self._by_path)
                sees = str(self._manifest.absolute()), self._digest()
                gpus = self._execution.gpus_of_each
                self._asked[node_id] = ask(node_id, seeing_function(), *sees, gpus, *images)
                self._asked_at[node_id] = time.monotonic()

    def _say_who_is_silent(self, nodes: Mapping[str, Mapping[str, Any]]) -> None:
        """Name once who has not answered in time; what it was asked stays open."""
        latest = time.monotonic() - self._seconds
        for node_id in [each for each, asked_at in self._asked_at.items() if asked_at <= latest]:
            del self._asked_at[node_id]
            if node_id in nodes:
                named_so = named(nodes[node_id], str(self._silent))
                _LOGGER.warning("%s; it gets no trial before it answers", named_so)

    def _digest(self) -> str:
        """Return the digest of the manifest; where it is gone for now, what each begins with."""
        with contextlib.suppress(OSError):
            return digest_of_file(self._manifest)
        return ""


class _Places(tune.PlacementGroupFactory):
    """Equal to others of the same resources, whichever nodes are left out.

    So a trial takes over the worker of an earlier one, though another node was refused since.
    """

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Places) and self.bundles == other.bundles

    def __hash__(self) -> int:
        return hash(tuple(tuple(bundle.items()) for bundle in self.bundles))


def places_but(cpus: int, config: Mapping[str, Any]) -> tune.PlacementGroupFactory:
    """Return what Tune asks Ray for: CPUs and `gpus`, on any node but those that `not_on` names."""
    wanted = {"CPU": float(cpus), **({"GPU": config["gpus"]} if config.get("gpus") else {})}
    refused = config.get("not_on")
    if not refused:
        return _Places([wanted])
    elsewhere = {"ray.io/node-id": f"!in({','.join(refused)})"}
    return _Places([wanted], bundle_label_selector=[elsewhere])


class OtherVersionsError(TopoSweepError):
    """A worker has other versions than the driver: its node joined and was not asked yet."""


def checked(trainable: type[tune.Trainable]) -> type[tune.Trainable]:
    """Return the trainable that refuses to train where versions are others than here."""
    driver = versions_here()

    class Checked(trainable):  # type: ignore[misc, valid-type] # a class that is only known now
        def setup(self, config: dict[str, Any], **arguments: Any) -> None:  # noqa: ANN401
            if versions_here() != driver:
                raise OtherVersionsError(f"this node has {words(versions_here())}")
            super().setup(config, **arguments)

    Checked.__name__ = trainable.__name__
    return Checked
