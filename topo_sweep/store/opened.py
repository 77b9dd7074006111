"""Finding sweeps on disk and reading what they hold."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nas_core.cells.genotype import Genotype
from nas_core.cells.topology import isomorphism_classes, topology_count
from nas_core.errors import InputError
from topo_sweep.spec.networks import Population
from topo_sweep.spec.random_cells import RANDOM
from topo_sweep.spec.trials import Planned, searches_among, without_void
from topo_sweep.store.manifest import Manifest, read_manifest
from topo_sweep.store.parquet import ResultStore
from topo_sweep.store.paths import RESULTS, StorePaths
from topo_sweep.store.tables import SEARCHES, TRIALS, Table
from topo_sweep.store.uris import folder_of

if TYPE_CHECKING:
    import pandas as pd

    from nas_core.protocols.search import SearchProtocol
    from nas_core.protocols.training import NetworkTraining


@dataclass(frozen=True)
class OpenedSweep:
    """A sweep on disk: the rows in its store, and the requests in its manifest.

    `chosen_from` is how many sweeps the given folder held; 1 where the folder was the sweep.
    """

    store: ResultStore
    manifest: Manifest
    chosen_from: int = 1

    @property
    def folder(self) -> Path:
        """The sweep's folder."""
        return self.store.paths.folder

    @property
    def ranks_topologies(self) -> bool:
        """Whether its networks differ in their topology alone."""
        return self.manifest.kind == "topologies"

    @property
    def holds_searches(self) -> bool:
        """Whether it searches cells and trains what is found."""
        return self.manifest.kind == "search"

    def trials(
        self, columns: Collection[str] | None = None, *, random_cells: bool = True
    ) -> pd.DataFrame:
        """Return one row a training, those of cells that searches found included.

        Beside the columns of the store, each has `train_images` and `test_images`, the counts of
        the data set as it was found; missing where the sweep does not hold them.

        Args:
            columns: what to read, beside what every reader needs; None is all.
            random_cells: whether those of a sweep of searches are among them, which stand beside
                what was found; to rank or draw what was found, leave them out.

        Raises:
            InputError: rows that were trained on other images or by another protocol than the sweep
                says, or accuracies that cannot be.

        """
        needed = None if columns is None else {*columns, "fingerprint", "protocol_hash", "kind"}
        rows = self._checked(self.store.rows(TRIALS, needed), TRIALS)
        if self.holds_searches and not random_cells:
            rows = rows[rows["kind"] != RANDOM]
        protocol = self.manifest.protocol_hash
        if others := set(rows["protocol_hash"].unique()) - {protocol}:
            raise InputError(
                f"{self.folder} holds rows of another protocol: its sweep.json says {protocol}, "
                f"these rows {', '.join(sorted(others))}; put sweep.json back as it was, or move "
                "the foreign Parquet parts away"
            )
        return self._counted(rows)

    def searches(self) -> pd.DataFrame:
        """Return one row a search, with `train_images` and `test_images` as in `trials`.

        Raises:
            InputError: rows that were searched on other images than the sweep says, or accuracies
                that cannot be.

        """
        return self._counted(self._checked(self.store.searches(), SEARCHES))

    def search_epochs(self) -> pd.DataFrame:
        """Return the alphas and genotypes of the searches, a row an epoch."""
        return self.store.search_epochs()

    def search_protocols(self) -> dict[str, SearchProtocol]:
        """Return the settings of every search that was asked for, by protocol hash."""
        protocols = (search.protocol for search in searches_among(self._requested().values()))
        return {protocol.protocol_hash: protocol for protocol in protocols}

    def protocols(self) -> list[tuple[str, NetworkTraining]]:
        """Return the settings of its trainings, if it has any, and of its searches, with names."""
        name = self.folder.name
        trains = any(spec.trains_cells for spec in self.manifest.specs())
        training = [(name, self.manifest.protocol)] if trains else []
        searching = self.search_protocols().items()
        return [*training, *((f"{name}, search {key}", each) for key, each in searching)]

    def planned(self) -> dict[str, Planned]:
        """Return all trials and searches that were ever asked of this sweep, by id."""
        return without_void(self._requested(), found_by_search(self.store.searches()))

    def populations(self) -> dict[Population, list[Genotype]]:
        """Return every random cell that was asked for, by what it was drawn from."""
        drawn: dict[Population, dict[Genotype, None]] = {}
        for spec in self.manifest.specs():
            for population, cells in spec.populations().items():
                drawn.setdefault(population, {}).update(dict.fromkeys(cells))
        return {population: list(cells) for population, cells in drawn.items()}

    def _requested(self) -> dict[str, Planned]:
        """Return the union of the trials of all requests."""
        requests = (spec.trials() for spec in self.manifest.specs())
        return {key: trial for trials in requests for key, trial in trials.items()}

    def _checked(self, rows: pd.DataFrame, table: Table) -> pd.DataFrame:
        others = set(rows["fingerprint"].unique()) - {self.manifest.fingerprint}
        if others:
            raise InputError(
                f"{self.folder} holds rows of other images: its data has fingerprint "
                f"{self.manifest.fingerprint}, these rows {', '.join(sorted(others))}; move the "
                "foreign Parquet parts away"
            )
        for column in rows.filter(like="_accuracy"):
            is_bad = (rows[column] < 0) | (rows[column] > 1)
            if is_bad.any():
                bad = rows[is_bad]
                raise InputError(
                    f"{self.folder} holds {table.key} {bad[table.key].iloc[0]} with {column} "
                    f"{bad[column].iloc[0]:g}, and accuracies are fractions from 0 to 1: move the "
                    "damaged Parquet part away and run the sweep again"
                )
        return rows

    def _counted(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the rows with the counts of the data set, missing where they are not known."""
        import pandas as pd

        train, test = self.manifest.train_images, self.manifest.test_images
        return rows.assign(
            train_images=pd.Series(train, rows.index, "Int64"),
            test_images=pd.Series(test, rows.index, "Int64"),
        )


def is_sweep(folder: Path) -> bool:
    """Return whether a folder is a sweep: it has a `sweep.json`.

    Raises:
        StoreError: a folder elsewhere cannot be read.

    """
    ResultStore(StorePaths(folder)).refresh()
    return StorePaths(folder).manifest.exists()


def sweeps_in(folder: Path) -> list[OpenedSweep]:
    """Open the sweeps among a folder's own children, by name; none where there is no folder.

    Kept studies further down are left alone.

    Raises:
        InputError: one of them is damaged.

    """
    return [_opened(child) for child in _sweeps_among_children(folder)]


def sweep_folders(results: Path) -> list[Path]:
    """Return the folder itself where it is a sweep, else those of its children that are.

    Raises:
        InputError: there is no such folder, or no sweep in it.

    """
    folders = [results] if is_sweep(results) else _sweeps_among_children(results)
    if not folders:
        open_sweep(results)  # says what is wrong
    return folders


def _sweeps_among_children(folder: Path) -> list[Path]:
    ResultStore(StorePaths(folder)).refresh()
    children = sorted(folder.iterdir()) if folder.is_dir() else []
    return [child for child in children if is_sweep(child)]


def open_sweep(path: Path) -> OpenedSweep:
    """Open a sweep's folder, or of a folder of sweeps the one with the newest row.

    Raises:
        InputError: nothing there, or not a sweep.

    """
    if is_sweep(path):
        return _opened(path)
    if not path.is_dir():
        raise InputError(f"there is no folder {path}: run a sweep first, or name its folder")
    sweeps = sweeps_in(path)
    if not sweeps:
        raise InputError(
            f"{path} is no sweep and holds none (looked for {path}/sweep.json and "
            f"{path}/*/sweep.json): run a sweep first, or name its folder"
        )
    newest = max(sweeps, key=by_newest_row)
    return OpenedSweep(newest.store, newest.manifest, chosen_from=len(sweeps))


def only_sweep(path: str | Path) -> OpenedSweep:
    """Return the sweep in a folder, or at a URI, that is one or holds a single one.

    Raises:
        InputError: nothing there, not a sweep, or several of them, which are named.

    """
    folder = folder_of(str(path))
    several = [] if is_sweep(folder) else sweeps_in(folder)
    if len(several) > 1:
        names = ", ".join(sweep.folder.name for sweep in several)
        raise InputError(f"{path} holds {len(several)} sweeps, so name one of them: {names}")
    return open_sweep(folder)


def load_results(path: str | Path = RESULTS) -> pd.DataFrame:
    """Return the trials of a sweep as a DataFrame, one row a trial, for notebooks.

    Accuracies are fractions 0..1 of the last epoch, `train_seconds` are wall clock. `status` is
    ok, diverged or failed.

    Args:
        path: a sweep's folder, or a folder that holds a single one; or its URI.

    Raises:
        InputError: nothing there, not a sweep, or several of them, which are named.

    >>> rows = load_results("results/studies/table2-digits/full")
    >>> len(rows), int(rows["search_id"].nunique()), set(rows["status"])
    (10, 10, {'ok'})

    """
    return only_sweep(path).trials()


def load_curves(
    path: str | Path = RESULTS,
    *,
    columns: Sequence[str] | None = None,
    topology: int | None = None,
    class_id: int | None = None,
    reduction_topology: int | None = None,
    seed: int | None = None,
) -> pd.DataFrame:
    """Return the learning curves of a sweep's trainings, one row an epoch.

    Of large sweeps choose some: curves of other trainings are not read from disk. All 32 million
    rows of 324,000 trainings would need several GB.

    Args:
        path: a sweep's folder, or a folder that holds a single one; or its URI.
        columns: which measured columns to read, one name or several; None is all:
            `learning_rate`, `train_loss`, `train_accuracy`, `val_accuracy` and `test_accuracy`
            (fractions 0..1, empty where they were not measured), `seconds`.
        topology: trainings with this normal wiring alone, an index.
        class_id: those of this class of normal wirings alone.
        reduction_topology: those with this reduction wiring alone, an index.
        seed: those of this seed alone.

    Returns:
        The columns `trial_id`, `epoch` (from 0), those that were chosen, `finished_at`, and of the
        training `seed`, `topology`, `class_id`, `reduction_topology` and `status`; in the order in
        which trainings ended. No rows where nothing of that kind has ended.

    Raises:
        InputError: as `load_results`, a column that curves do not have, or a topology or class that
            no cell of as many nodes has.

    >>> curves = load_curves("results/studies/table2-digits/full", columns=["test_accuracy"])
    >>> len(curves), curves["trial_id"].nunique(), int(curves["epoch"].max())
    (50, 10, 4)

    """
    names = TRIALS.curve_schema.names
    chosen = names if columns is None else [columns] if isinstance(columns, str) else columns
    if unknown := sorted(set(chosen) - set(names)):
        measured = [name for name in names if name not in ("trial_id", "epoch", "finished_at")]
        raise InputError(f"curves have no column {unknown[0]!r}: use {', '.join(measured)}")
    sweep = only_sweep(path)
    where = {
        "seed": seed,
        "topology": topology,
        "class_id": class_id,
        "reduction_topology": reduction_topology,
    }
    rows = sweep.trials(where)
    for name, number in where.items():
        if number is not None:
            rows = rows[rows[name] == number]
    if rows.empty:
        _check_cells_have(where, sweep.store.rows(TRIALS, ["genotype"])["genotype"].unique())
    return sweep.store.epochs(TRIALS, rows, columns=chosen, also=(*where, "status"))


def _check_cells_have(where: Mapping[str, int | None], genotypes: Collection[str]) -> None:
    """Refuse numbers of topologies and classes that no cell of as many nodes has."""
    if not len(genotypes):
        return
    nodes = max(len(Genotype.from_string(text).normal.nodes) for text in genotypes)
    topologies = topology_count(nodes)
    counts = {"topology": topologies, "reduction_topology": topologies}
    if where["class_id"] is not None:  # of six nodes the classes take seconds
        counts["class_id"] = len(isomorphism_classes(nodes))
    for name, count in counts.items():
        number = where[name]
        if number is not None and not 0 <= number < count:
            raise InputError(f"there is no {name} {number}: {nodes} nodes have 0..{count - 1}")


def found_by_search(searches: pd.DataFrame) -> dict[str, Genotype | None]:
    """Return what each search that ended found, by search id; failed ones have not ended."""
    ended = searches[searches["status"] != "failed"]
    return {
        str(search_id): Genotype.from_string(text) if isinstance(text, str) else None
        for search_id, text in zip(ended["search_id"], ended["genotype"], strict=True)
    }


def by_newest_row(sweep: OpenedSweep) -> tuple[str, str]:
    """Return a key to sort by: the time of the newest row (none is oldest), then of the request."""
    newest = sweep.store.newest_row()
    requested = max((r.requested_at.isoformat() for r in sweep.manifest.requests), default="")
    return newest.isoformat() if newest else "", requested


def _opened(folder: Path) -> OpenedSweep:
    paths = StorePaths(folder)
    return OpenedSweep(ResultStore(paths), read_manifest(paths.manifest))
