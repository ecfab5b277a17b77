"""The balance transactions of the Stripe account, a page at a time, newest first.

The key needs permission to read balance transactions and their sources, charges and refunds, disputes and payouts.
"""

from datetime import UTC, datetime
from typing import Any

from shared.adapters import stripe_api
from shared.adapters.stripe_api import MAX_LISTED
from shared.domain.stripe_values import BalanceTransaction

type Page = tuple[list[BalanceTransaction], bool]


def transactions_between(since: datetime, until: datetime, *, older_than: str | None = None) -> Page:
    """One page of the transactions from `since` and before `until`, and whether it is the last one.

    It has the newest of them, or those before the transaction `older_than`. Raises StripeUnavailable or StripeRefused.
    """
    return _page({"created": {"gte": int(since.timestamp()), "lt": int(until.timestamp())}}, older_than)


def transactions_paid_out(payout: str, *, older_than: str | None = None) -> Page:
    """One page of what an automatic payout contains; empty for a payout that somebody made by hand.

    Raises StripeUnavailable or StripeRefused.
    """
    return _page({"payout": payout}, older_than)


def transactions_of(source: str) -> list[BalanceTransaction]:
    """What a charge, refund or dispute has moved. Raises StripeUnavailable or StripeRefused."""
    return _page({"source": source}, None)[0]


def _page(which: dict[str, Any], older_than: str | None) -> Page:
    params: Any = {**which, "limit": MAX_LISTED, "expand": ["data.source"]}
    if older_than is not None:
        params["starting_after"] = older_than
    page = stripe_api.call("balance_transactions.list", lambda v1: v1.balance_transactions.list(params=params))
    return [_transaction(fields) for fields in page["data"]], not page["has_more"]


def _transaction(fields: dict[str, Any]) -> BalanceTransaction:
    source = fields["source"]
    expanded: dict[str, Any] = source if isinstance(source, dict) else {}
    currency = expanded.get("currency")
    return BalanceTransaction(
        id=fields["id"],
        category=fields["reporting_category"],
        amount=fields["amount"],
        fee=fields["fee"],
        net=fields["net"],
        currency=fields["currency"].upper(),
        created=datetime.fromtimestamp(fields["created"], UTC),
        available_on=datetime.fromtimestamp(fields["available_on"], UTC),
        source=expanded.get("id", source),
        payment_intent=expanded.get("payment_intent"),
        source_amount=expanded.get("amount"),
        source_currency=None if currency is None else currency.upper(),
        source_status=expanded.get("status"),
        metadata=expanded.get("metadata") or {},
    )
