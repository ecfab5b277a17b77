"""The named faults of `make mutants` are still faults of the code as it is."""

from tests.mutants.plant_faults import named


def test_every_named_fault_can_be_planted() -> None:
    assert len(named()) > 90
