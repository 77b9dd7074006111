"""Which columns the tables of a store have."""

from __future__ import annotations

from topo_sweep.store.tables import TABLES, TRIAL_SCHEMA, TRIALS


def test_the_documented_trial_columns_are_there() -> None:
    documented = (
        "trial_id, sweep, kind, genotype, topology, class_id, reduction_topology, seed, "
        "protocol_hash, dataset, status, error, attempt, epochs, train_loss, train_accuracy, "
        "val_accuracy, test_accuracy, best_test_accuracy, parameters, multiply_adds, "
        "train_seconds, device, node, execution, search_id, finished_at"
    )
    assert set(documented.split(", ")) <= set(TRIAL_SCHEMA.names)


def test_a_table_and_its_curve_are_tied_by_the_key_and_the_time() -> None:
    for name, table in TABLES.items():
        assert table.name == name
        for schema in (table.schema, table.curve_schema):
            assert not schema.field(table.key).nullable
            assert not schema.field("finished_at").nullable
            assert len(schema.names) == len(set(schema.names))
        assert table.seconds in table.schema.names
        assert "epoch" in table.curve_schema.names


def test_a_search_is_written_before_the_evaluations_of_what_it_found() -> None:
    """A crash between the two must not leave an evaluation whose search is unknown."""
    assert list(TABLES) == ["searches", "trials"]


def test_what_a_failed_trial_lacks_may_be_missing() -> None:
    for name in ("error", "train_loss", "test_accuracy", "parameters", "device"):
        assert TRIALS.schema.field(name).nullable, name
    for name in ("status", "seed", "protocol_hash", "fingerprint", "attempt"):
        assert not TRIALS.schema.field(name).nullable, name
