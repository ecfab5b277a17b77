"""scripts.check_platform: what it finds in the platform's items, in tables and in a file."""

import json
from pathlib import Path
from typing import Any

import pytest

from scripts.check_platform import main, problems
from tests.harness.stored_tables import Stored
from tests.harness.tables import in_table

NIGHTS = [{"date": day, "status": "booked", "reservation_id": "RES-1"} for day in ("2026-12-20", "2026-12-21")]


def reserved(**changes: Any) -> dict[str, Any]:
    item = {
        "reservation_id": "RES-1",
        "customer_id": "guest-1",
        "check_in": "2026-12-20",
        "check_out": "2026-12-22",
        "status": "pending",
        "total_amount": 112_500,
        "created_at": "2026-11-24T13:00:00.000Z",
    }
    return item | changes


@in_table()
@pytest.mark.defect("R-13")
def test_it_names_what_is_wrong_with_a_reservation(changes: dict[str, Any], found: list[str]) -> None:
    assert list(problems([reserved(**changes)], NIGHTS)) == found


@pytest.mark.parametrize(
    ("night", "found"),
    [({"date": "2026-12-24", "status": "blocked"}, []), ({"date": "24.12.2026", "status": "free"}, ["date", "status"])],
)
def test_it_names_what_is_wrong_with_a_night(night: dict[str, Any], found: list[str]) -> None:
    assert [line.split(": ")[1] for line in problems([reserved()], [*NIGHTS, night])] == found


def test_it_reads_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "items.json"
    file.write_text(json.dumps({"reservations": [reserved(check_in=1)], "availability": []}))
    assert main(str(file)) == 1
    assert capsys.readouterr().out.startswith("reservation RES-1: check_in: ")


def test_it_reads_two_tables(stored: Stored, capsys: pytest.CaptureFixture[str]) -> None:
    stored.reservation(tax_rate="10 %")
    assert main("reservations", "availability") == 0
    stored.night("2026-12-21", "RES-2")
    assert main("reservations", "availability") == 1
    assert "1 of its nights" in capsys.readouterr().out
    assert main() == 2
