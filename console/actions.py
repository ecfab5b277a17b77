"""What an operator can do about a payment: only what the API would accept, each with its amount and consequence."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from console import wording
from console.api_client import Api
from console.payment_view import SETTLED, own_capture
from console.wording import amount, cents

type Json = dict[str, Any]
type Form = dict[str, str]

_CANCELLED = "The stay is cancelled, its nights are free again, and"


@dataclass(frozen=True)
class Action:
    """`asks_amount` is the most that may be entered, in cents; the confirmation then names what was entered."""

    name: str
    label: str
    consequence: str
    perform: Callable[[Api, str, Form], Any]
    done: str
    about: Form = field(default_factory=dict)
    note: str | None = None
    note_required: bool = False
    asks_amount: int | None = None
    danger: bool = False

    def matches(self, name: str, given: Form) -> bool:
        return self.name == name and all(given.get(key) == value for key, value in self.about.items())


def offered(record: Json, quote: Json | None) -> list[Action]:
    """The actions that fit the payment as it is; `quote` is None where the API would refuse a cancellation."""
    return [
        *_failed_refunds(record),
        *([] if quote is None else _fraud_warning(record)),
        *([] if quote is None else _cancellation(record, quote)),
        *_goodwill(record),
        *_unpaid(record),
        *_matters(record),
    ]


def _failed_refunds(record: Json) -> Iterator[Action]:
    for refund in record["refunds"]:
        if refund.get("awaiting") != "operator" or refund["status"] in SETTLED:
            continue
        refund_id, value = refund["refund_id"], amount(refund["amount"])
        yield Action(
            name="retry-refund",
            label=f"Try the refund of {value} again",
            consequence=f"Stripe is asked once more to return {value} to the guest's card.",
            perform=_resolve("retry"),
            done=f"The refund of {value} is being tried again.",
            about={"refund_id": refund_id},
            note="Note for your colleagues",
        )
        yield Action(
            name="settle-refund",
            label=f"Record that {value} was returned another way",
            consequence=(
                f"The {value} count as returned, and Stripe is not asked again. Do this only once the guest has the "
                "money, for example by bank transfer."
            ),
            perform=_resolve("settled_elsewhere"),
            done=f"The refund of {value} is recorded as settled elsewhere.",
            about={"refund_id": refund_id},
            note="How the guest got the money",
            note_required=True,
        )


def _fraud_warning(record: Json) -> Iterator[Action]:
    own = own_capture(record)
    warned = any(matter["kind"] == "fraud_warning" for matter in record.get("attention", []))
    if own is None or not warned or own["refundable"] < 1:
        return
    value = amount(own["refundable"])
    yield Action(
        name="refund-fraud",
        label=f"Refund {value} and cancel, because of the fraud warning",
        consequence=f"{_CANCELLED} all of the {value} that are left go back to the card, whatever the policy says.",
        perform=_refund(),
        done="The stay is cancelled, and its money goes back.",
        about={"amount": f"{own['refundable'] / 100:.2f}"},
        note="Reason, which the guest can read",
        danger=True,
    )


def _cancellation(record: Json, quote: Json) -> Iterator[Action]:
    value, paid = quote["amount"], amount(quote["original_amount"])
    rule = f"By the policy the guest gets {amount(value)} of {paid}. {quote['terms']}"
    yield Action(
        name="cancel-stay",
        label=f"Cancel the stay and refund {amount(value)}" if value else "Cancel the stay without a refund",
        consequence=f"{_CANCELLED} {amount(value)} go back to the guest. {rule}",
        perform=_refund(accept_no_refund=value == 0),
        done="The stay is cancelled.",
        note="Reason, which the guest can read",
        danger=True,
    )
    own = own_capture(record)
    if own is None or own["refundable"] < 1:
        return
    yield Action(
        name="cancel-stay-amount",
        label="Cancel the stay and refund another amount",
        consequence=f"{_CANCELLED} {{amount}} go back to the guest. {rule}",
        perform=_refund(),
        done="The stay is cancelled.",
        note="Reason, which the guest can read",
        asks_amount=own["refundable"],
        danger=True,
    )


def _goodwill(record: Json) -> Iterator[Action]:
    own = own_capture(record)
    if own is None or own["refundable"] < 1 or record["status"] not in {"completed", "partially_refunded"}:
        return
    if any(blocks_refunds(dispute, own["payment_intent"]) for dispute in record["disputes"]):
        return
    yield Action(
        name="goodwill",
        label="Refund an amount out of goodwill",
        consequence="{amount} go back to the guest. The stay is not cancelled.",
        perform=_refund(kind="goodwill"),
        done="The goodwill refund has been requested.",
        note="Reason, which the guest can read",
        asks_amount=own["refundable"],
    )


def blocks_refunds(dispute: Json, payment_intent: str) -> bool:
    """Whether the bank decides about this money, or has taken it back."""
    is_open = "closed_at" not in dispute or dispute["status"] in {"lost", "prevented"}
    inquiry = dispute["status"].startswith("warning_")
    return dispute["payment_intent"] == payment_intent and is_open and not inquiry


def _unpaid(record: Json) -> Iterator[Action]:
    if (record["status"], record["reservation_status"]) != ("pending", "pending") or "cancel_requested_by" in record:
        return
    value = amount(record.get("amount"))
    yield Action(
        name="grant-attempt",
        label="Grant one more attempt to pay",
        consequence=f"The guest can open one more Checkout Session for {value}, while the dates are held.",
        perform=lambda api, reservation_id, _: api.grant_attempt(reservation_id),
        done="The guest has one more attempt.",
    )
    yield Action(
        name="cancel-unpaid",
        label="Cancel this unpaid booking",
        consequence=f"The {value} can no longer be paid, and the dates are free again. The guest cannot undo this.",
        perform=lambda api, reservation_id, _: api.cancel(reservation_id),
        done="The booking is being cancelled.",
        danger=True,
    )


def _matters(record: Json) -> Iterator[Action]:
    for matter in record.get("attention", []):
        if matter["closable"]:
            about = {"kind": matter["kind"]} | ({"subject": matter["subject"]} if "subject" in matter else {})
            title = wording.MATTER.get(matter["kind"], wording.words(matter["kind"]))
            yield Action(
                name="close-matter",
                label=f"Close: {title}",
                consequence="It leaves the list of open matters. No money moves.",
                perform=_close,
                done="The matter is closed.",
                about=about,
                note="What you found, and what you did",
                note_required=True,
            )


def _resolve(answer: str) -> Callable[[Api, str, Form], Any]:
    def resolve(api: Api, reservation_id: str, form: Form) -> Any:
        return api.resolve_refund(reservation_id, form["refund_id"], {"answer": answer, **_text(form, "note")})

    return resolve


def _refund(*, kind: str = "cancellation", accept_no_refund: bool = False) -> Callable[[Api, str, Form], Any]:
    def refund(api: Api, reservation_id: str, form: Form) -> Any:
        body: Json = {"kind": kind, **_text(form, "note", name="reason")}
        if "amount" in form:
            body["amount"] = cents(form["amount"])
        if accept_no_refund:
            body["accept_no_refund"] = True
        return api.refund(reservation_id, body, form["key"] if kind == "goodwill" else None)

    return refund


def _close(api: Api, reservation_id: str, form: Form) -> Any:
    body = {"note": form["note"]} | ({"subject": form["subject"]} if "subject" in form else {})
    return api.close_matter(reservation_id, form["kind"], body)


def _text(form: Form, field_name: str, name: str | None = None) -> Json:
    """The field as a member of a body, unless it is empty."""
    text = form.get(field_name, "").strip()
    return {name or field_name: text} if text else {}


def new_key() -> str:
    """Identifies one confirmation, so that sending it twice refunds once."""
    return secrets.token_urlsafe(16)
