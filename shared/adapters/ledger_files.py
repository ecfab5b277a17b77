"""The files of reconciled days in the bucket.

days/2026-11-27/summary.json
days/2026-11-27/transactions.csv
days/2026-11-27/payouts/po_….json     which transactions of the day the payout contains
progress/2026-11-27.json              while its reconciliation is not finished
"""

import csv
import functools
import io
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from shared.adapters import aws
from shared.contracts.ledger_summary import COLUMNS, DayProgress, LedgerDay
from shared.domain.errors import StoreBusy
from shared.settings import ledger_settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PART = 1_000_000  # bytes of a CSV that are read at once
CSV, SUMMARY = "transactions.csv", "summary.json"


@functools.cache
def _client() -> "S3Client":
    return boto3.client("s3", config=aws.CLIENT_CONFIG)


def read_day(day: date) -> LedgerDay | None:
    text = _read(f"days/{day}/{SUMMARY}")
    return None if text is None else LedgerDay.model_validate_json(text)


def write_day(day: LedgerDay) -> None:
    """The last thing to be written of a day: what is there before is the former result."""
    _write(f"days/{day.day}/{SUMMARY}", day.model_dump_json(indent=2))


def write_rows(day: date, rows: Sequence[Mapping[str, str]]) -> str:
    """Write the CSV, and return its text."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    _write(f"days/{day}/{CSV}", text.getvalue())
    return text.getvalue()


def read_rows(day: date, offset: int) -> tuple[str, int | None]:
    """A part of the CSV, which is plain ASCII, and the offset of the next part; None at its end. Raises LookupError."""
    until = offset + PART
    found = _get(f"days/{day}/{CSV}", Range=f"bytes={offset}-{until - 1}")
    if found is None:
        raise LookupError(f"{day} has no transactions from {offset} on")
    size = int(found["ContentRange"].rpartition("/")[2])
    return _call(found["Body"].read).decode(), until if until < size else None


def days_since(since: date) -> dict[date, set[str]]:
    """The days from `since` on of which there are files, each with the payouts that contain money of it."""
    found: dict[date, set[str]] = {}
    for key in _keys("days/", after=f"days/{since}"):
        _, day, *rest = key.split("/")
        payouts = found.setdefault(date.fromisoformat(day), set())
        if rest[0] == "payouts":
            payouts.add(rest[1].removesuffix(".json"))
    return found


def payouts_of(day: date) -> list[str]:
    """The payouts that contain money of a day, as far as it is known."""
    prefix = f"days/{day}/payouts/"
    return [key.removeprefix(prefix).removesuffix(".json") for key in _keys(prefix)]


def write_payout(day: date, payout: str, transactions: Collection[str]) -> None:
    """Record which transactions of a day a payout contains."""
    _write(f"days/{day}/payouts/{payout}.json", json.dumps(sorted(transactions)))


def read_payout(day: date, payout: str) -> list[str]:
    transactions: list[str] = json.loads(_read(f"days/{day}/payouts/{payout}.json") or "[]")
    return transactions


def read_progress(day: date) -> DayProgress | None:
    text = _read(f"progress/{day}.json")
    return None if text is None else DayProgress.model_validate_json(text)


def write_progress(day: date, progress: DayProgress | None) -> None:
    """Keep how far a day has come; None when it is finished."""
    key, bucket = f"progress/{day}.json", ledger_settings().ledger_bucket
    if progress is not None:
        _write(key, progress.model_dump_json())
    else:
        _call(lambda: _client().delete_object(Bucket=bucket, Key=key))


def _keys(prefix: str, after: str = "") -> list[str]:
    pages = _client().get_paginator("list_objects_v2")
    bucket = ledger_settings().ledger_bucket
    found = _call(lambda: list(pages.paginate(Bucket=bucket, Prefix=prefix, StartAfter=after)))
    return [entry["Key"] for page in found for entry in page.get("Contents", [])]


def _read(key: str) -> str | None:
    found = _get(key)
    return None if found is None else _call(found["Body"].read).decode()


def _get(key: str, **options: Any) -> Any:
    bucket = ledger_settings().ledger_bucket
    try:
        return _call(lambda: _client().get_object(Bucket=bucket, Key=key, **options))
    except ClientError as error:
        if aws.error_code(error) in {"NoSuchKey", "InvalidRange"}:
            return None
        raise


def _write(key: str, text: str) -> None:
    bucket = ledger_settings().ledger_bucket
    _call(lambda: _client().put_object(Bucket=bucket, Key=key, Body=text.encode()))


def _call[Answer](request: Callable[[], Answer]) -> Answer:
    return aws.call(request, busy=aws.S3_BUSY, error_type=StoreBusy)
