"""Whether the images that were found are those of a sweep, and enough for its trials.

Also how a machine that they are not sent to reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from nas_core.data.cifar import NoFilesError
from nas_core.data.splits import Dataset, Split, data_directory, load_dataset, split
from nas_core.errors import InputError, TopoSweepError, first_line
from nas_core.protocols.training import DataOptions
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.plan import Plan
from topo_sweep.runs.runner import check_trials
from topo_sweep.spec.trials import Planned


class OtherImagesError(TopoSweepError):
    """A worker that reads images by their path found others than the driver, or none."""


@dataclass(frozen=True, kw_only=True)
class ImagesByPath:
    """Images that each worker reads for itself.

    Args:
        folder: of their files, an absolute path.
        data: which they are, and how they are split.
        fingerprint: of those that the driver found.

    """

    folder: Path
    data: DataOptions
    fingerprint: str

    @classmethod
    def of(cls, dataset: Dataset, data: DataOptions, data_dir: Path | None) -> ImagesByPath:
        """Return those that were loaded here."""
        folder = data_directory(data_dir).absolute()
        return cls(folder=folder, data=data, fingerprint=dataset.fingerprint)

    def read(self) -> Split:
        """Read them from this machine.

        Raises:
            OtherImagesError: they are not those of the driver, or cannot be read.

        """
        try:
            dataset = load_dataset(self.data.dataset, self.folder)
        except InputError as error:
            raise OtherImagesError(first_line(error)) from None
        if dataset.fingerprint != self.fingerprint:
            raise OtherImagesError(
                f"{self.folder} holds others, fingerprint {dataset.fingerprint}, not "
                f"{self.fingerprint}"
            )
        return split(dataset, self.data)


def checked_images(
    data: DataOptions, trials: Collection[Planned], dataset: Dataset, *, partial_data: bool = False
) -> Split:
    """Return the images of a sweep, on which all of these trials can be trained.

    Args:
        data: how the data set is split.
        trials: what is to be trained; where nothing is, any part of a data set will do.
        dataset: what was found.
        partial_data: whether it may have other numbers of images than it should.

    Raises:
        InputError: not the whole data set, more images asked for than there are, or trials that
            would fail on them.

    """
    if trials and not partial_data:
        _check_whole(dataset, data)
    images = split(dataset, data)
    check_trials(trials, images)
    return images


def _check_whole(dataset: Dataset, data: DataOptions) -> None:
    """Refuse a part of a data set under the name of the whole, and what holds more than it.

    With a `train_limit` the number of training images is the user's own choice, so there may be
    fewer than in the whole. Test images are the yardstick, and no option but one chooses them.
    """
    info, train, test = dataset.info, len(dataset.train), len(dataset.test)
    enough = train == info.train_images or (train < info.train_images and data.train_limit)
    if enough and test == info.test_images:
        return
    raise InputError(
        f"{info.name} has {info.train_images:,} training and {info.test_images:,} test images, but "
        f"{train:,} and {test:,} were found: name the folder of the whole data set, or allow fewer "
        "training images with --train-limit N, or any numbers with --partial-data"
    )


def check_same_images(plan: Plan, execution: Execution, say: Callable[[str], None]) -> None:
    """Refuse other pixels than those of a sweep also where nothing is left to train on them.

    The images are loaded for that, and never downloaded. Where there are none nothing can differ:
    results may be looked at where they were not made.

    Raises:
        InputError: they differ, or are damaged.

    """
    name = plan.spec.data.dataset
    try:
        dataset = load_dataset(name, execution.data_dir)
    except NoFilesError:
        say(f"data: no {name} is here to compare with that of the sweep")
        return
    check_fingerprint(plan, dataset)


def check_fingerprint(plan: Plan, dataset: Dataset) -> None:
    """Refuse other pixels under the same name: their accuracies cannot be compared.

    Raises:
        InputError: names both fingerprints.

    """
    if others := plan.fingerprints - {dataset.fingerprint}:
        raise InputError(
            f"the {dataset.info.name} images differ from those of this sweep: fingerprint "
            f"{dataset.fingerprint} ({dataset.layout}), but its rows were trained on "
            f"{' and '.join(sorted(others))}; use the same files, or another folder with --results"
        )
