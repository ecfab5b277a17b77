"""Erases what a stack stores about a guest: `make erase STACK=prod CUSTOMER=CUST-1`. It never touches the books.

Replaced are the customer's id and the texts that people wrote, on the payments and in the audit trail; amounts, ids of
Stripe, states and times stay. A payment that is not over yet, or that needs a person, is left and named: run it again.
Needs an administrator's credentials, since no role of the stack may change the audit trail. Safe to run twice.
"""

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import boto3

from scripts import stack_outputs
from shared.adapters.dynamodb import UpdateBuilder, from_item, serialize
from shared.domain.models import Payment

ERASED = "erased"
# The entries whose reason is a person's text; of the others it is Stripe's word.
WRITTEN_BY_PEOPLE = {"booking_cancelled", "refund_requested", "refund_answered", "matter_closed"}

type Item = dict[str, Any]


class Eraser:
    """Erases one customer from the tables of a stack; `outputs` are the stack's."""

    def __init__(self, outputs: Mapping[str, Any], customer: str) -> None:
        self._client = boto3.client("dynamodb", region_name=stack_outputs.region(outputs))
        self._payments, self._audit = outputs["paymentsTable"], outputs["auditTable"]
        self._customer = customer

    def run(self) -> tuple[list[str], list[str]]:
        """The payments whose data are erased, and those that are not over yet."""
        erased, left = list[str](), list[str]()
        for item in self._items_of_customer():
            payment = Payment.model_validate(item)
            (erased if _over(payment) and self._erase(payment, item) else left).append(payment.payment_id)
        return erased, left

    def _items_of_customer(self) -> Iterator[Item]:
        pages = self._client.get_paginator("scan").paginate(
            TableName=self._payments,
            FilterExpression="customer_id = :customer",
            ExpressionAttributeValues=serialize({":customer": self._customer}),
            ConsistentRead=True,
        )
        return (from_item(item) for page in pages for item in page["Items"])

    def _erase(self, payment: Payment, item: Item) -> bool:
        """Erase the audit trail's part first: the payment is what a second run finds. False if it has changed."""
        for entry in self._entries(payment.payment_id):
            self._erase_entry(entry)
        update = UpdateBuilder().set("customer_id", ERASED).require("updated_at", item["updated_at"])
        if payment.refund_reasons:
            update.set("refund_reasons", {})
        if payment.cancel_requested_by == f"guest:{self._customer}":
            update.set("cancel_requested_by", f"guest:{ERASED}")
        for refund_id, refund in payment.refunds.items():
            update.remove(*[f"refunds.{refund_id}.{name}" for name in ("reason", "note")])
            if refund.requested_by == f"guest:{self._customer}":
                update.set(f"refunds.{refund_id}.requested_by", f"guest:{ERASED}")
        return self._write(self._payments, {"payment_id": payment.payment_id}, update)

    def _entries(self, payment_id: str) -> Iterator[Item]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._audit,
            KeyConditionExpression="payment_id = :id",
            ExpressionAttributeValues=serialize({":id": payment_id}),
        )
        return (from_item(item) for page in pages for item in page["Items"])

    def _erase_entry(self, entry: Item) -> None:
        update = UpdateBuilder().require_exists("payment_id")
        if entry["actor"] == f"guest:{self._customer}":
            update.set("actor", f"guest:{ERASED}")
        if entry["action"] in WRITTEN_BY_PEOPLE:
            update.remove("reason")
        if not update.empty:
            self._write(self._audit, {name: entry[name] for name in ("payment_id", "at_id")}, update)

    def _write(self, table: str, key: Mapping[str, str], update: UpdateBuilder) -> bool:
        try:
            self._client.update_item(TableName=table, Key=serialize(key), **update.expression())
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True


def _over(payment: Payment) -> bool:
    """Whether nothing of the payment is under way, and nobody has to decide about it."""
    return (
        payment.status != "pending"
        and not payment.attention
        and not any(refund.unsettled for refund in payment.refunds.values())
    )


def main(stack: str, customer: str) -> None:
    erased, left = Eraser(stack_outputs.read(stack), customer).run()
    sys.stdout.write(f"erased: {', '.join(erased) or 'nothing'}\n")
    if left:
        sys.exit(f"not over yet, run it again later: {', '.join(left)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
