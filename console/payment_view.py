"""What the page of one payment says: where it stands, where its money is, and what happened."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from markupsafe import Markup

from console import wording
from console.wording import Clock, amount, moment

SETTLED = frozenset({"succeeded", "settled_elsewhere"})
SECOND = timedelta(seconds=1)
PENDING = frozenset({"pending", "requires_action"})

type Json = dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """One line of the timeline; `good` and `bad` lines have a colour, and a word that says the same."""

    at: str
    what: str
    who: str
    detail: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Account:
    """The money of one capture, in cents: received = kept + returned + under way."""

    capture: Json
    returned: int
    under_way: int

    @property
    def kept(self) -> int:
        return int(self.capture["amount"]) - self.returned - self.under_way


def headline(record: Json, clock: Clock) -> Markup:
    """Where the payment stands, in one sentence."""
    parts = [_money_sentence(record, clock), *(_refund_part(refund, clock) for refund in record["refunds"])]
    parts += [
        Markup("a dispute of {} is open").format(amount(dispute["amount"]))
        for dispute in record["disputes"]
        if "closed_at" not in dispute
    ]
    return Markup("{}.").format(Markup("; ").join(parts))


def _money_sentence(record: Json, clock: Clock) -> Markup:
    price = amount(record.get("amount"))
    own = own_capture(record)
    if own is not None:
        return Markup("Paid {} on {}").format(amount(own["amount"]), clock.day(own["captured_at"]))
    if record["status"] == "expired":
        reason = wording.END_REASON.get(record.get("end_reason", ""), "the hold ended")
        return Markup("Not paid, dates released: {}").format(reason)
    if record["status"] != "pending":
        return Markup("{} {}").format(wording.PAYMENT_STATUS[record["status"]], price)
    until = clock.minute(record["hold_expires_at"])
    failed = sum(attempt["status"] == "closed" for attempt in record["attempts"])
    after = f" after {failed} failed attempt{'s' if failed > 1 else ''}" if failed else ""
    where = {"payment": "The guest can pay {} now{}", "retry": "Waits for the guest to pay {} again{}"}
    sentence = where.get(record.get("awaiting", ""), "Not paid yet: {}{}")
    return Markup("{}, dates held until {}").format(sentence.format(price, after), until)


def own_capture(record: Json) -> Json | None:
    """The capture that paid for the booking."""
    return next((capture for capture in record["captures"] if capture.get("role") == "booking"), None)


def _refund_part(refund: Json, clock: Clock) -> Markup:
    value = amount(refund["amount"])
    if refund["status"] in SETTLED:
        settled = clock.day(refund.get("settled_at"))
        how = " by another way" if refund["status"] == "settled_elsewhere" else ""
        return Markup("{} returned{} on {}").format(value, how, settled)
    if refund["status"] in PENDING:
        return Markup("refund of {} is under way").format(value)
    waits = ", waits for you" if refund.get("awaiting") == "operator" else ""
    return Markup("refund of {} failed{}").format(value, waits)


def accounts(record: Json) -> list[Account]:
    """Where the money of each capture is."""
    return [
        Account(
            capture,
            returned=sum(refund["amount"] for refund in of if refund["status"] in SETTLED),
            under_way=sum(refund["amount"] for refund in of if reserves(refund)),
        )
        for capture in record["captures"]
        for of in [[refund for refund in record["refunds"] if refund["payment_intent"] == capture["payment_intent"]]]
    ]


def reserves(refund: Json) -> bool:
    """Whether money is set aside for it: a refund that failed in Stripe's dashboard never reserved any."""
    return refund["status"] in PENDING or (refund["status"] == "failed" and refund["kind"] != "dashboard")


def timeline(record: Json, executions: Iterable[Json]) -> list[Entry]:
    """Everything that happened, newest first."""
    entries = [*_money(record), *_attempts(record), *_audit(record)]
    for execution in executions:
        entries += _states(execution)
    return sorted(entries, key=lambda entry: moment(entry.at), reverse=True)


def _attempts(record: Json) -> Iterator[Entry]:
    for attempt in record["attempts"]:
        name = f"Attempt {attempt['number']}"
        session = attempt.get("stripe_checkout_session_id", "")
        yield Entry(attempt["opened_at"], f"{name} opened", "workflow", f"{amount(attempt['amount'])} · {session}")
        if "closed_at" not in attempt:
            continue
        if attempt["status"] == "paid":
            yield Entry(attempt["closed_at"], f"{name} paid", "guest", tone="good")
        else:
            yield Entry(attempt["closed_at"], f"{name} {closed_because(attempt)}", "workflow", declined(attempt), "bad")


def closed_because(attempt: Json) -> str:
    return f"closed: {wording.words(attempt.get('close_reason'))}" if "close_reason" in attempt else "closed"


def declined(attempt: Json) -> str:
    """How often the card was declined in an attempt, and why the last time."""
    if not attempt["declines"]:
        return ""
    code = attempt.get("failure_code", "")
    why = wording.DECLINE.get(code) or attempt.get("failure_message") or wording.words(code)
    times = "declined once" if attempt["declines"] == 1 else f"declined {attempt['declines']} times"
    return f"{times}: {why}" if why else times


def _money(record: Json) -> Iterator[Entry]:
    for capture in record["captures"]:
        what = f"{amount(capture['amount'])} received"
        if capture.get("role") == "unapplied":
            what += ", which settles no booking"
        yield Entry(_received_at(capture, record["attempts"]), what, "Stripe", capture["payment_intent"], "good")
    for refund in record["refunds"]:
        kind, value = wording.REFUND_KIND.get(refund["kind"], "Refund"), amount(refund["amount"])
        who = refund.get("requested_by") or ("Stripe's dashboard" if refund["kind"] == "dashboard" else "workflow")
        yield Entry(refund["created_at"], f"{kind}: {value} requested", who, refund.get("reason", ""))
        if "settled_at" in refund:
            done = wording.REFUND_STATUS[refund["status"]]
            yield Entry(refund["settled_at"], f"{kind}: {value} {done}", "Stripe", refund.get("note", ""), "good")
    for dispute in record["disputes"]:
        detail = f"{wording.words(dispute.get('reason'))} · {dispute['dispute_id']}"
        yield Entry(dispute["opened_at"], f"Dispute of {amount(dispute['amount'])} opened", "bank", detail, "bad")
        if "closed_at" in dispute:
            yield Entry(dispute["closed_at"], f"Dispute {wording.words(dispute['status'])}", "bank", detail)


def _received_at(capture: Json, attempts: Iterable[Json]) -> str:
    """Stripe's times are whole seconds, so money can seem to come just before its attempt was opened."""
    received = moment(capture["captured_at"])
    opened = [attempt["opened_at"] for attempt in attempts if moment(attempt["opened_at"]) < received + SECOND]
    return str(max([capture["captured_at"], *opened], key=moment))


def _audit(record: Json) -> Iterator[Entry]:
    for entry in record.get("audit", []):
        value = f" {amount(entry['amount'])}" if "amount" in entry else ""
        detail = " · ".join(entry[name] for name in ("subject", "reason") if name in entry)
        yield Entry(entry["at"], f"{wording.words(entry['action']).capitalize()}{value}", entry["actor"], detail)


def _states(execution: Json) -> Iterator[Entry]:
    for visit in execution["states"]:
        detail = " · ".join(
            part
            for part in (
                f"{visit['retries']} retries" if visit["retries"] else "",
                visit.get("error", ""),
                visit.get("cause", ""),
            )
            if part
        )
        who = f"execution {execution['name']}"
        if visit["state"].startswith("Notify") and "error" not in visit:
            yield Entry(visit["entered_at"], "Operators notified", who, visit["state"])
        else:
            yield Entry(visit["entered_at"], visit["state"], who, detail, "state")
    if "stopped_at" in execution and execution["status"] != "SUCCEEDED":
        status = wording.EXECUTION_STATUS.get(execution["status"], execution["status"])
        what = f"Execution {execution['name']} {status}"
        yield Entry(execution["stopped_at"], what, "Step Functions", execution.get("cause", ""), "bad")
