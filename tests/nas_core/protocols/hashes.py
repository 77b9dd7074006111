"""What every kind of protocol promises of its hash."""

from __future__ import annotations

from collections.abc import Mapping

from nas_core.protocols.training import NetworkTraining


def check_every_field_is_hashed(
    default: NetworkTraining, other_values: Mapping[str, object]
) -> None:
    """Check that each field, set to another value, gives a hash of its own."""
    assert set(other_values) | {"numerics_version"} == set(type(default).model_fields)
    hashes = {
        default.with_values({field: value}).protocol_hash for field, value in other_values.items()
    }
    assert len(hashes | {default.protocol_hash}) == len(other_values) + 1
