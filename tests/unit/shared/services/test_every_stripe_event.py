"""Every type of event in Stripe's SDK, in the shape of three API versions, against a booking in every status."""

import json
from collections.abc import Iterator, Mapping
from itertools import cycle
from typing import Any

import pytest

from local.fake_stripe.fake_stripe import FakeStripe
from shared.services import money_events
from shared.services.stripe_events import HANDLED
from tests.harness.booking_situations import SITUATIONS
from tests.harness.builders import TOTAL, payment, refund
from tests.harness.stripe_in_process import open_session
from tests.harness.stripe_samples import API_VERSIONS, EVENT_TYPES, kind_of, sample_event
from tests.harness.webhook_deliveries import POINTER, Webhook, post, signature

type Json = dict[str, Any]

OURS = {"stack": "booking-test", "reservation_id": "RES-1", "payment_id": "PAY-RES-1", "attempt": "1"}
# Whose object it is: its metadata, and whether its ids are those of the booking.
OWNERS: Mapping[str, tuple[Json | None, bool]] = {
    "ours": (OURS, True),
    "ours, made in the dashboard": ({}, True),
    "ours, without metadata": (None, True),
    "another charge with our metadata": (OURS, False),
    "another stack's": (OURS | {"stack": "booking-prod"}, False),
    "of a booking that does not exist": (OURS | {"reservation_id": "RES-9", "payment_id": "PAY-RES-9"}, False),
    "another system's": ({"order": "A-77"}, False),
    "nobody's": ({}, False),
}
OURS_IN_ANY_WAY = [owner for owner, (_, own) in OWNERS.items() if own]
FOREIGN = [owner for owner, (_, own) in OWNERS.items() if not own]
# What an event about our own money may change, besides the time of the change and when the payment is due.
MAY_CHANGE: Mapping[str, set[str]] = {
    "checkout.session.": {"attempts", "notified"},
    "payment_intent.": {"attempts", "notified"},
    "refund.": {
        *("attention", "attention_since"),
        *("refunds", "captures", "refund_amount", "refund_pending_amount", "refunding", "refunded_at", "status"),
        *("stripe_refund_id", "notified", "attempts"),
    },
    "charge.refunded": {"refunds"},
    "radar.": {"captures", "attempts", "notified", "attention", "attention_since"},
    "charge.dispute.": {"disputes", "attempts", "notified", "attention", "attention_since"},
}
MAY_START = {"REF-pi_1", "REF-re_1", "failed-re_1"}
MONEY = {"checkout.session.completed", "checkout.session.async_payment_succeeded", "payment_intent.succeeded"}
STATUSES = {
    "refund.created": ("pending", "succeeded"),
    "refund.updated": ("succeeded", "pending", "requires_action", "failed", "canceled"),
    "refund.failed": ("failed",),
    "charge.dispute.created": ("needs_response", "warning_needs_response", "prevented"),
    "charge.dispute.updated": ("needs_response", "under_review", "warning_under_review", "appeal_needs_response"),
    "charge.dispute.closed": ("lost", "won", "warning_closed", "prevented"),
    "charge.dispute.funds_withdrawn": ("needs_response",),
    "charge.dispute.funds_reinstated": ("won",),
}
UNPAID = ("checkout.session.expired", "checkout.session.async_payment_failed")


class Deliveries:
    """Delivers events about one booking, and finds what they do that they should not."""

    def __init__(self, webhook: Webhook) -> None:
        self.stored, self.aws = webhook.stored, webhook.aws
        self.statuses = {event_type: cycle(statuses) for event_type, statuses in STATUSES.items()}
        self.shapes = cycle([(version, full) for version in API_VERSIONS for full in (True, False)])
        self.delivered = self.effective = 0

    def situation(self, name: str) -> None:
        """Let the booking be in this situation from now on."""
        self.booking = SITUATIONS[name]
        self.stored.clear()
        self.stored.reservation("RES-1")
        self.stored.payment(payment(payment_id="PAY-RES-2", reservation_id="RES-2"))
        if self.booking is not None:
            captured = next(iter(self.booking.captures), None)
            self.stored.payment(self.booking.model_copy(update={"stripe_payment_intent_id": captured}))
            for pi in self.booking.captures:
                self.stored.put("payments", POINTER | {"payment_id": pi})
        self.untouched = {table: self.stored.all(table) for table in ("reservations", "availability")}
        self.payments = self._payments()

    def deliver(self, event_type: str, owner: str) -> Iterator[str]:
        """Deliver one event, yield what is wrong afterwards, and restore the situation."""
        version, full = next(self.shapes)
        self.delivered += 1
        fields = self._fields(event_type, owner)
        event = sample_event(event_type, f"evt_{self.delivered}", version=version, full=full, **fields)
        body = json.dumps(event, indent=2).encode()
        status, answer = post(body, signature(body))
        what = f"{event_type}, {owner}, {fields['status']}, {version}"
        after = self._payments()
        yield from (f"{what}: {wrong}" for wrong in self._wrong_answer(event_type, owner, fields, status, answer))
        yield from (f"{what}: {wrong}" for wrong in self._wrong_effects(event_type, owner, after))
        self._restore(after)

    def _fields(self, event_type: str, owner: str) -> Json:
        """Whose object it is, and how it stands."""
        metadata, own = OWNERS[owner]
        kind, suffix = kind_of(event_type), "1" if own else "other"
        entries = self.booking.refunds if own and self.booking is not None else {}
        refund_id, entry = next(iter(entries.items()), ("", refund()))
        if kind == "refund" and metadata and refund_id and entry.kind != "dashboard":
            metadata = metadata | {"refund_id": refund_id}
        prefixes = {"payment_intent": "pi", "charge": "ch", "checkout.session": "cs", "refund": "re", "dispute": "dp"}
        return {
            "id": f"{prefixes.get(kind, 'id')}_{suffix}",
            "payment_intent": f"pi_{suffix}",
            "charge": f"ch_{suffix}",
            "latest_charge": f"ch_{suffix}",
            "metadata": metadata,
            "amount": entry.amount if kind == "refund" else TOTAL,
            "currency": "eur",
            "fraud_type": "misc",
            "status": next(self.statuses[event_type]) if event_type in STATUSES else "succeeded",
            "payment_status": "unpaid" if event_type in UNPAID else "paid",
        }

    def _wrong_answer(self, event_type: str, owner: str, fields: Json, status: int, answer: Json) -> Iterator[str]:
        again = event_type in HANDLED and self._must_be_sent_again(event_type, owner, fields)
        if status not in ({200, 503} if again is None else {503} if again else {200}):
            yield f"answered {status} {answer}"
        result = self.stored.get("events", f"evt_{self.delivered}").get("processing_result")
        if result != (answer["processing_result"] if status == 200 else "error"):
            yield f"recorded as {result}"
        if event_type not in HANDLED and result != "skipped":
            yield "not skipped"

    def _must_be_sent_again(self, event_type: str, owner: str, fields: Json) -> bool | None:
        """Whether the effect cannot be durable yet; None where either answer is right."""
        booking, (metadata, own) = self.booking, OWNERS[owner]
        if not own:
            return False
        if booking is None or not any(one.stripe_checkout_session_id for one in booking.attempts.values()):
            return None  # nothing of ours can have these ids yet
        if event_type.startswith(("refund.", "charge.dispute.", "radar.")) and "pi_1" not in booking.captures:
            return (
                None if event_type.startswith("charge.dispute.") else True
            )  # a dispute is entered without the capture
        if event_type.startswith("radar.") and booking.status == "pending":
            return booking.captures["pi_1"].role != "unapplied"  # what to do depends on what the money pays for
        if not metadata:
            return None if booking.status == "pending" else False
        if event_type in MONEY:
            return booking.status == "pending" and "pi_1" not in booking.captures and booking.task_token is None
        entry = booking.refunds.get(metadata.get("refund_id", fields["metadata"].get("refund_id", "")))
        failed = event_type.startswith("refund.") and fields["status"] in {"failed", "canceled"}
        return failed and entry is not None and entry.status == "pending" and entry.awaiting is None

    def _wrong_effects(self, event_type: str, owner: str, after: Mapping[str, Json]) -> Iterator[str]:
        own = OWNERS[owner][1] and event_type in HANDLED
        effects = [*self.aws.started_names, *self.aws.signalled, *self.aws.notified]
        allowed = set().union(*(names for prefix, names in MAY_CHANGE.items() if own and event_type.startswith(prefix)))
        for payment_id, now in after.items():
            before = self.payments.get(payment_id, {})
            changed = {name for name in before.keys() | now.keys() if before.get(name) != now.get(name)}
            of_ours = now.get("belongs_to") == "PAY-RES-1" or payment_id.endswith("#PAY-RES-1")
            learnt = own and not before and of_ours
            permitted = allowed | {"updated_at", "due_at", "due_shard"} if payment_id == "PAY-RES-1" and own else set()
            unmatched = effects == ["UnmatchedCharge"]
            permitted |= {"notified", "attention", "attention_since"} if unmatched else set()
            if not learnt and changed - permitted:
                yield f"{payment_id} changed in {sorted(changed)}"
            for pi, of in now.get("captures", {}).items():
                if of["amount"] != TOTAL or not 0 <= of["refundable"] <= TOTAL:
                    yield f"{pi} is {of}"
        self.effective += bool(effects) or after != self.payments
        unmatched = OWNERS[owner] == (OURS, False) and event_type in MONEY and self.booking is not None
        if set(self.aws.started_names) - MAY_START or (not own and effects != ["UnmatchedCharge"] * unmatched):
            yield f"has the effects {effects}"
        if self.untouched != {table: self.stored.all(table) for table in self.untouched}:
            yield "changed what belongs to the platform"

    def _restore(self, after: Mapping[str, Json]) -> None:
        if after != self.payments:
            for payment_id in after.keys() - self.payments.keys():
                self.stored.delete("payments", payment_id)
            for item in self.payments.values():
                self.stored.put("payments", item)
        self.aws.__init__(self.aws.passed_on)  # type: ignore[misc]

    def _payments(self) -> dict[str, Json]:
        return {item["payment_id"]: item for item in self.stored.all("payments")}


@pytest.fixture
def deliveries(webhook: Webhook, stripe_account: FakeStripe, monkeypatch: pytest.MonkeyPatch) -> Deliveries:
    monkeypatch.setattr(money_events, "PATIENCE", 0.0)
    session = dict(stripe_account.get("checkout.session", open_session()))
    stripe_account.add(session | {"id": "cs_1", "payment_intent": "pi_1"})
    return Deliveries(webhook)


@pytest.mark.parametrize("event_type", sorted(HANDLED))
def test_an_event_that_we_handle_has_the_effect_of_its_type_at_most(deliveries: Deliveries, event_type: str) -> None:
    """In every situation, whosever it is; it is only requested again where its effect cannot be durable yet."""
    foreign, wrong = cycle(FOREIGN), []
    for name in SITUATIONS:
        deliveries.situation(name)
        for owner in (*OURS_IN_ANY_WAY, next(foreign)):
            wrong += [f"{name}: {text}" for text in deliveries.deliver(event_type, owner)]
    assert not wrong, "\n".join(wrong)
    assert deliveries.effective


def test_an_event_that_we_do_not_handle_is_skipped(deliveries: Deliveries) -> None:
    """Each type in one situation and about one owner in each API version."""
    owners, wrong = cycle(OWNERS), []
    for name, event_type in zip(cycle(SITUATIONS), sorted(set(EVENT_TYPES) - HANDLED), strict=False):
        deliveries.situation(name)
        for _ in API_VERSIONS:
            wrong += [f"{name}: {text}" for text in deliveries.deliver(event_type, next(owners))]
    assert not wrong, "\n".join(wrong)
    assert not deliveries.effective


def test_every_type_is_known_to_the_sdk_with_its_object() -> None:
    assert set(EVENT_TYPES) >= HANDLED
    assert {kind_of(of) for of in HANDLED} == {
        *("checkout.session", "payment_intent", "refund", "charge", "dispute", "radar.early_fraud_warning")
    }
    assert all(kind_of(of) for of in EVENT_TYPES)
