"""Every defect that must be impossible is carried by a test."""

from scripts.defects import TARGET, carried, page


def test_every_defect_is_carried_by_a_test() -> None:
    assert [name for name, tests in carried().items() if not tests] == []


def test_the_page_names_the_tests_as_they_are() -> None:
    assert TARGET.read_text() == page(), "run: python -m scripts.defects"
