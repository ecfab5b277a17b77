import subprocess
import sys

from scripts import defects


def test_the_page_names_the_tests_that_carry_each_id() -> None:
    """In a process of its own: pytest collects the tests a second time."""
    program = "from scripts import defects; print(defects.page(), end='')"
    page = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=defects.ROOT)
    assert defects.TARGET.read_text(encoding="utf-8") == page.stdout, "run: make docs"


def test_every_defect_has_a_test() -> None:
    rows = [line for line in defects.TARGET.read_text(encoding="utf-8").splitlines() if line.startswith("| ")][1:]
    assert [row for row in rows if row.endswith("|  |")] == []
