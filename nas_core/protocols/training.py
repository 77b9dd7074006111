"""Settings that can change an accuracy: the training protocol and the choice of data, hashed.

What should not change an accuracy (threads, device) is execution and lives with the workers.
Nothing here imports torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nas_core.errors import InputError, valid_keys_hint

DatasetName = Literal["digits", "cifar10", "cifar100"]


class Settings(BaseModel):
    """Frozen, strictly typed settings whose hash does not depend on key order or on new keys.

    The hash covers the keys that differ from their defaults. A key added later with the old
    behaviour as its default therefore leaves every old hash as it was; defaults never change.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def canonical(self) -> str:
        """Return the JSON text that is hashed."""
        return json.dumps(self.model_dump(exclude_defaults=True), sort_keys=True)

    def with_values(self, values: Mapping[str, Any]) -> Self:
        """Return these settings with some values replaced.

        Raises:
            InputError: names all unknown keys (with the nearest valid ones) and all bad values.

        """
        try:
            return type(self).model_validate(self.model_dump() | dict(values))
        except ValidationError as error:
            problems = (_problem(detail, type(self)) for detail in error.errors(include_url=False))
            raise InputError("; ".join(problems)) from None


class NetworkTraining(Settings):
    """What the training of any network needs, that of a cell or that of a supernet.

    Epochs count passes over the training images; rates are per epoch. The defaults are those of
    the DARTS code, on which the paper builds; subclasses add their own.
    """

    purpose: ClassVar[str]
    """What the settings are for, in a word."""

    cells: int = Field(default=5, ge=1, le=100)
    init_channels: int = Field(default=16, ge=1, le=1024)
    epochs: int = Field(default=100, ge=1)
    batch_size: int = Field(default=64, ge=1)
    learning_rate: float = Field(default=0.025, gt=0)
    learning_rate_min: float = Field(default=0.0, ge=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=3e-4, ge=0)
    gradient_clip: float = Field(default=5.0, gt=0)
    crop_padding: int = Field(default=4, ge=0, le=64)
    flip: bool = True
    cutout: int = Field(default=0, ge=0, le=512)
    precision: Literal["float32", "float64", "bfloat16", "tf32"] = "float32"
    """Of arithmetic: tf32 rounds the factors of products to 10 bits, on GPUs alone."""
    numerics_version: Literal[1] = 1
    """Grows when any random stream or the arithmetic of a training changes."""

    @property
    def protocol_hash(self) -> str:
        """Sixteen hexadecimal digits that name this protocol everywhere."""
        return stable_hash("protocol", self.canonical())

    @property
    def total_epochs(self) -> int:
        """Epochs of all stages together; only a progressive search has several."""
        return self.epochs


class Protocol(NetworkTraining):
    """Every setting of a cell's training that can change an accuracy.

    The defaults are the paper's shallow protocol ("5-16"; section IV-A, and where it is silent
    the DARTS code).

    Raises:
        pydantic.ValidationError: an unknown key or a bad value; `with_values` says the same in the
            one line of an `InputError`.

    >>> from nas_core import Protocol
    >>> protocol = Protocol(cells=20, init_channels=36)
    >>> (protocol.epochs, protocol.learning_rate, protocol.drop_path)
    (100, 0.025, 0.2)
    >>> protocol.with_values({"epoch": 600})
    Traceback (most recent call last):
    nas_core.errors.InputError: unknown key 'epoch' (did you mean epochs?)

    """

    purpose = "evaluation"

    auxiliary: bool = False
    auxiliary_weight: float = Field(default=0.4, ge=0)
    drop_path: float = Field(default=0.2, ge=0, lt=1)


class DataOptions(Settings):
    """Which images a trial trains and is judged on, part of its identity beside the protocol.

    `holdout` images of the training set become the validation set; of the rest a class-balanced
    `train_limit` train (all of them where it is None).
    """

    dataset: DatasetName = "cifar10"
    holdout: int = Field(default=0, ge=0)
    train_limit: int | None = Field(default=None, ge=1)


# The paper's final evaluation, after P-DARTS and PC-DARTS.
_FINAL: Final = Protocol(
    cells=20,
    init_channels=32,
    epochs=600,
    batch_size=96,
    cutout=16,
    auxiliary=True,
    drop_path=0.3,
)

PRESETS: Final[Mapping[str, Protocol]] = {
    # The paper's proxy: 5 cells, 16 channels, 100 epochs.
    "shallow": Protocol(),
    # Seconds a training on 8x8 digits; mirrored digits are other digits, so no flips.
    "demo": Protocol(
        init_channels=4,
        epochs=5,
        batch_size=48,
        learning_rate=0.05,
        drop_path=0.0,
        crop_padding=0,
        flip=False,
    ),
    "final": _FINAL,
    # With the channels of the networks whose accuracies Tables III and IV take from their authors.
    "final_36": _FINAL.with_values({"init_channels": 36}),
}


def stable_hash(*parts: str, digits: int = 16) -> str:
    """Return hexadecimal digits that depend on these texts alone, on any platform."""
    text = json.dumps(parts, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


def stable_hashes(first: Sequence[str], last: Iterable[str], *, digits: int = 16) -> list[str]:
    """Return `stable_hash(*first, text)` of each text, where what comes first is hashed once.

    Args:
        first: one text or more.
        last: a text of each hash.
        digits: of a hash.

    """
    begun = hashlib.sha256(f"{json.dumps(list(first), ensure_ascii=True)[:-1]}, ".encode())
    hashes = []
    for text in last:
        whole = begun.copy()
        whole.update(f"{json.dumps(text, ensure_ascii=True)}]".encode())
        hashes.append(whole.hexdigest()[:digits])
    return hashes


def _problem(detail: Mapping[str, Any], model: type[BaseModel]) -> str:
    """Return a sentence for one thing that was wrong, with what is allowed instead.

    `detail` is one of a validation error's; the keys of `model` are valid.
    """
    key = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        hint = valid_keys_hint(str(detail["loc"][-1]), model.model_fields)
        return f"unknown key {key!r} ({hint})"
    if detail["type"] == "missing":
        return f"the key {key!r} is missing"
    message = detail["msg"].removeprefix("Value error, ")
    if not key:  # values that do not fit each other: the message names them
        return str(message)
    return f"{key} = {detail['input']!r:.80}: {message[:1].lower()}{message[1:]}"
