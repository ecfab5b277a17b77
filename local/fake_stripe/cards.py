"""Stripe's test cards and what each of them does."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Card:
    """`decline` is the decline code, `code` the error code that belongs to it."""

    number: str
    does: str
    code: str = "card_declined"
    decline: str | None = None
    challenge: bool = False
    refunds: Literal["succeeded", "failed_later", "pending"] = "succeeded"
    disputed: bool = False

    @property
    def brand(self) -> str:
        return "mastercard" if self.number.startswith("5") else "visa"

    @property
    def decline_message(self) -> str:
        return _MESSAGES.get(self.decline or "", "Your card was declined.")


_MESSAGES = {
    "insufficient_funds": "Your card has insufficient funds.",
    "expired_card": "Your card has expired.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "processing_error": "An error occurred while processing your card. Try again in a little bit.",
}

CARDS = {
    card.number: card
    for card in (
        Card("4242424242424242", "pays"),
        Card("5555555555554444", "pays (Mastercard)"),
        Card("4000000000000002", "declined", decline="generic_decline"),
        Card("4000000000009995", "declined: insufficient funds", decline="insufficient_funds"),
        Card("4000000000009987", "declined: lost card", decline="lost_card"),
        Card("4000000000009979", "declined: stolen card", decline="stolen_card"),
        Card("4000000000000069", "declined: expired card", code="expired_card", decline="expired_card"),
        Card("4000000000000127", "declined: wrong security code", code="incorrect_cvc", decline="incorrect_cvc"),
        Card("4000000000000119", "declined: processing error", code="processing_error", decline="processing_error"),
        Card("4000002500003155", "3-D Secure, then pays", challenge=True),
        Card("4000000000003220", "3-D Secure, then pays", challenge=True),
        Card("4000008400001629", "3-D Secure, then declined", challenge=True, decline="generic_decline"),
        Card("4000000000005126", "pays; refunds succeed, then fail", refunds="failed_later"),
        Card("4000000000007726", "pays; refunds are pending, then succeed", refunds="pending"),
        Card("4000000000000259", "pays; is disputed later", disputed=True),
    )
}
