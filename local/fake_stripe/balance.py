"""The account's balance: a transaction for everything that moves money, with Stripe's fees, and automatic payouts.

As Stripe documents it: a refund leaves the fee of its charge with Stripe, a refund that fails comes back as a
transaction of its own, a dispute takes its amount and a fee at once, and one that is won returns the amount alone.
"""

from collections import defaultdict

from local.fake_stripe import lists
from local.fake_stripe.account import Account
from local.fake_stripe.objects import build, new_id
from local.fake_stripe.stripe_errors import Json

DISPUTE_FEE = 2000
_DAYS_UNTIL_AVAILABLE = 3


def charge_fee(amount: int) -> int:
    """1.5 % and 25 cents, as for a European card."""
    return (amount * 15 + 500) // 1000 + 25


def record(account: Account, kind: str, amount: int, of: Json, *, category: str | None = None, fee: int = 0) -> Json:
    """The new transaction that moves `amount` cents because of an object (charge, refund, dispute or payout)."""
    now, currency = account.clock.timestamp(), of["currency"]
    described = {"application": None, "currency": currency, "description": "Stripe fees", "type": "stripe_fee"}
    return account.add(
        build(
            "balance_transaction",
            id=new_id("txn"),
            amount=amount,
            available_on=now if kind == "payout" else now + _DAYS_UNTIL_AVAILABLE * 86_400,
            balance_type="payments",
            created=now,
            currency=currency,
            fee=fee,
            fee_details=[{"amount": fee, **described}] if fee else [],
            net=amount - fee,
            reporting_category=category or kind,
            source=of["id"],
            status="pending",
            type=kind,
        )
    )


def list_transactions(account: Account, params: Json) -> Json:
    """As of now: a transaction is available once its time has come."""
    for transaction in account.all("balance_transaction"):
        transaction["status"] = "available" if _available(account, transaction) else "pending"
    return lists.list_objects("balance_transaction", account, params, "/v1/balance_transactions")


def total(account: Account) -> dict[str, int]:
    """What is on the account, available or pending, by currency."""
    totals: defaultdict[str, int] = defaultdict(int)
    for transaction in account.all("balance_transaction"):
        totals[transaction["currency"]] += transaction["net"]
    return dict(totals)


def pay_out(account: Account) -> list[Json]:
    """The automatic payouts of everything that is available, one for each currency with money."""
    due: defaultdict[str, list[Json]] = defaultdict(list)
    for transaction in account.all("balance_transaction"):
        if _available(account, transaction) and transaction["id"] not in account.paid_out:
            due[transaction["currency"]].append(transaction)
    payouts = []
    for currency, transactions in due.items():
        amount = sum(transaction["net"] for transaction in transactions)
        if amount > 0:
            payouts.append(_pay_out(account, amount, currency, transactions))
    return payouts


def _pay_out(account: Account, amount: int, currency: str, transactions: list[Json]) -> Json:
    now = account.clock.timestamp()
    payout = account.add(
        build(
            "payout",
            id=new_id("po"),
            amount=amount,
            arrival_date=now + 86_400,
            automatic=True,
            created=now,
            currency=currency,
            metadata={},
            method="standard",
            reconciliation_status="completed",
            source_type="card",
            status="paid",
            type="bank_account",
        )
    )
    own = record(account, "payout", -amount, payout)
    payout["balance_transaction"] = own["id"]
    for transaction in (*transactions, own):
        account.paid_out[transaction["id"]] = [payout["id"]]
    return payout


def _available(account: Account, transaction: Json) -> bool:
    return bool(transaction["available_on"] <= account.clock.timestamp())
