"""Says what is wrong with the platform's items, by attribute, without quoting a value.

`python -m scripts.check_platform RESERVATIONS_TABLE AVAILABILITY_TABLE` reads two tables with the credentials of the
shell; `python -m scripts.check_platform FILE` reads `{"reservations": [...], "availability": [...]}` from JSON. Exits
with 1 if anything is wrong. docs/integration.md says what the platform must write.
"""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import boto3

from shared.adapters.bookings import parse_reservation
from shared.adapters.dynamodb import from_item
from shared.contracts.states import RESERVATION_ID
from shared.domain.attempts import amount_payable
from shared.domain.booking import Reservation
from shared.domain.errors import ReservationInvalid

type Item = Mapping[str, Any]

NIGHT_STATUSES = {"available", "booked", "blocked"}
RELEASED = {"cancelled", "expired"}


def problems(reservations: Iterable[Item], availability: Iterable[Item]) -> Iterator[str]:
    """One line for each attribute that is wrong."""
    nights = {item.get("date"): item for item in availability}
    readable: dict[str, Reservation | None] = {}
    for item in reservations:
        name = f"reservation {item.get('reservation_id')}"
        reservation, wrong = _read(item)
        readable[str(item.get("reservation_id"))] = reservation
        if reservation is not None:
            wrong |= _wrong_nights(reservation, nights)
        yield from (f"{name}: {attribute}: {what}" for attribute, what in wrong.items())
    for day, item in nights.items():
        yield from (f"night {day}: {attribute}: {what}" for attribute, what in _wrong_night(item, readable).items())


def _read(item: Item) -> tuple[Reservation | None, dict[str, str]]:
    """The reservation, None if it cannot be read, and what is wrong with its attributes."""
    wrong: dict[str, str] = {}
    if RESERVATION_ID.fullmatch(str(item.get("reservation_id"))) is None:
        wrong["reservation_id"] = "Must match [0-9A-Za-z_-]{1,60}, and not begin with PAY-."
    try:
        reservation = parse_reservation(item)
    except ReservationInvalid as error:
        return None, error.problems | wrong
    if reservation.status == "pending" and not amount_payable(reservation):
        wrong["total_amount"] = "Must be 50 to 99999999 cents, or it cannot be paid."
    email = reservation.customer_email
    if email is not None and (email.count("@") != 1 or any(letter.isspace() for letter in email)):
        wrong["customer_email"] = "Must be one e-mail address without blanks, or missing."
    return reservation, wrong


def _wrong_nights(reservation: Reservation, nights: Mapping[Any, Item]) -> dict[str, str]:
    if reservation.status in RELEASED:
        return {}
    held = [
        night
        for night in reservation.nights
        if nights.get(night, {}).get("reservation_id") == reservation.reservation_id
        and nights[night].get("status") == "booked"
    ]
    missing = len(reservation.nights) - len(held)
    return {"check_in": f"{missing} of its nights are not booked for it."} if missing else {}


def _wrong_night(item: Item, reservations: Mapping[str, Reservation | None]) -> dict[str, str]:
    wrong: dict[str, str] = {}
    day, status, holder = item.get("date"), item.get("status"), item.get("reservation_id")
    try:
        wrong |= {} if date.fromisoformat(str(day)).isoformat() == day else {"date": "Must be a date, YYYY-MM-DD."}
    except ValueError:
        wrong["date"] = "Must be a date, YYYY-MM-DD."
    if status not in NIGHT_STATUSES:
        wrong["status"] = "Must be available, blocked or booked."
    if status != "booked" or wrong:
        return wrong
    reservation = reservations.get(str(holder))
    if str(holder) not in reservations:
        wrong["reservation_id"] = "It is booked for a reservation that does not exist."
    elif reservation is not None and (reservation.status in RELEASED or day not in reservation.nights):
        wrong["reservation_id"] = "It is booked for a reservation that does not hold it."
    return wrong


def read_table(name: str) -> list[Item]:
    """Every item of a table."""
    # The AWS CLI takes the region from AWS_REGION; boto3 does not.
    client = boto3.client("dynamodb", region_name=os.environ.get("AWS_REGION"))
    pages = client.get_paginator("scan").paginate(TableName=name, ConsistentRead=True)
    return [from_item(item) for page in pages for item in page["Items"]]


def main(*sources: str) -> int:
    """Print what is wrong; 1 if anything is, 2 if the arguments are not one file or two tables."""
    match sources:
        case [file]:
            items = json.loads(Path(file).read_text(encoding="utf-8"))
            reservations, availability = items.get("reservations", []), items.get("availability", [])
        case [reservations_table, availability_table]:
            reservations, availability = read_table(reservations_table), read_table(availability_table)
        case _:
            sys.stderr.write(f"{__doc__}\n")
            return 2
    found = list(problems(reservations, availability))
    sys.stdout.write("".join(f"{line}\n" for line in found) or "Nothing is wrong.\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
