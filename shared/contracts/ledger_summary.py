"""A reconciled day: its totals and differences, and how far the reconciliation of a day has come."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

from shared.contracts.states import Contract
from shared.domain.ledger_matching import Difference

Day = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")]

COLUMNS = (
    "reservation_id",
    "payment_id",
    "payment_intent",
    "type",
    "gross",
    "fee",
    "net",
    "currency",
    "payout",
    "available_on",
    "created",
    "source",
    "refund_id",
    "transaction",
)
"""The columns of a day's CSV; amounts are in cents, times ISO 8601 in UTC."""


class ReconcileLedgerInput(Contract):
    """Without a day: yesterday, and the days before that have changed since."""

    day: Day | None = None
    source: str = ""


class CategoryTotals(Contract):
    """The transactions of one reporting category of Stripe's, in cents."""

    count: int = 0
    gross: int = 0
    fee: int = 0
    net: int = 0

    def plus(self, gross: int, fee: int, net: int) -> "CategoryTotals":
        return CategoryTotals(count=self.count + 1, gross=self.gross + gross, fee=self.fee + fee, net=self.net + net)


Totals = dict[str, dict[str, CategoryTotals]]
"""By currency, then by reporting category."""


class LedgerDay(Contract):
    """The summary of a reconciled day.

    `ours` are the transactions of this stack's bookings, which the CSV lists, `not_ours` all others on the account:
    other systems' money, Stripe's own fees, payouts. `net` is by how much Stripe's balance changed. `final` is false
    while the day is not over. `payouts` are those whose contents the CSV shows.
    """

    day: Day
    reconciled_at: str
    final: bool
    transactions: int
    ours: Totals
    not_ours: Totals
    net: Mapping[str, int]
    payouts: list[str]
    differences: list[Difference]


class LedgerDaysResponse(Contract):
    """GET /payments-ledger: reconciled days, newest first; `before` leads to older ones."""

    days: list[LedgerDay]
    before: str


class LedgerTransactionsResponse(Contract):
    """GET /payments-ledger/{day}/transactions: a part of the day's CSV; with `next` there is more from that offset."""

    csv: str
    next: int | None = None


class DayProgress(BaseModel):
    """How far the reconciliation of a day has come; kept between two invocations where one is not enough.

    `after` is the last transaction that was read, `matched` the sources of those with an entry in the ledger, and
    `checked_until` when the last entry was recorded that was looked at. `paid_out` are the payouts of the day whose
    contents are still to be read, with whether the bank returned them; `contents` of the first one is by day.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    started_at: str
    after: str | None = None
    all_read: bool = False
    rows: list[dict[str, str]] = []
    matched: set[str] = set()
    ours: Totals = {}
    not_ours: Totals = {}
    differences: dict[str, Difference] = {}
    paid_out: dict[str, bool] = {}
    contents: dict[str, list[str]] = {}
    contents_after: str | None = None
    checked_until: str = "0"
