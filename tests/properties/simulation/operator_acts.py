"""What operators do through their routes: they read the queue and the record of a booking, and close its matters."""

from collections import Counter

from tests.harness.booking_driver import BookingDriver
from tests.harness.booking_reader import Json
from tests.harness.running_stack import Answer

# What a person decides is over, because the system cannot see it.
CLOSABLE = (
    *("fraud_warning", "unmatched_charge", "dashboard_refund_failed", "refund_settled_twice", "cancelled_money_kept"),
    "session_unreadable",
)
NOTE = "seen to"


class OperatorActs(BookingDriver):
    """Each kind of step is a method."""

    unexpected_answers: list[str]
    steps_done: Counter[str]
    requested_refunds: set[str]

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self.granted_attempts = 0

    def read_record(self) -> None:
        """Look the booking up in the list and in the queue, and read its record and its executions."""
        for query in (f"q={self.id}", "attention=true"):
            self._list(query)
        self.steps_done["record read"] += self.call("GET", self.id, token=self.stack.operator).status == 200
        for name in sorted(self.execution_names()):
            self.call("GET", f"{self.id}/executions/{name}", token=self.stack.operator)

    def close_matter(self, kind: str) -> None:
        """Close all matters of a kind."""
        body = {"note": NOTE}
        answer = self.call("POST", f"{self.id}/attention/{kind}/close", body, token=self.stack.operator)
        self.steps_done["matter closed"] += answer.status == 200

    @property
    def closed_matters(self) -> set[str]:
        """Those that an operator has closed, by key, as the audit trail has them: an answer may have been lost."""
        found = self.stack.dynamodb.query(
            TableName=self.stack.outputs["auditTable"],
            KeyConditionExpression="payment_id = :payment_id",
            ExpressionAttributeValues={":payment_id": {"S": self.payment_id}},
        )
        return {item["subject"]["S"] for item in found["Items"] if item["action"]["S"] == "matter_closed"}

    def grant_attempt(self) -> Answer:
        answer = super().grant_attempt()
        if answer.status != 400:
            self.granted_attempts += 1
            self.steps_done["attempt granted"] += 1
        return answer

    def resolve_refund(self, answer: str) -> None:
        """Answer for a refund that waits for an operator."""
        # Money that was refunded in the dashboard is not to be returned in another way as well.
        if "dashboard" in self.requested_refunds:
            return
        for refund_id, entry in self.payment_or_empty.get("refunds", {}).items():
            if entry.get("awaiting") == "operator":
                self.steps_done["refund resolved"] += self.resolve(refund_id, answer, note=NOTE).status == 200

    def _list(self, query: str) -> Answer:
        answer = self.stack.request("GET", f"payments?{query}", self.stack.operator)
        return Answer(answer.status_code, answer.json())

    def inspect(self) -> list[str]:
        """What the operators' routes say otherwise than the item, once everything is at rest."""
        item = self.payment_or_empty
        if not item:
            return []
        expected = set(item.get("attention", {}))
        record = self.call("GET", self.id, token=self.stack.operator)
        queue = self._list("attention=true&limit=100")
        if (record.status, queue.status) != (200, 200):
            return [f"17: the operators' routes answer {record.status} {record.body} and {queue.status} {queue.body}"]
        queued = self.id in {payment["reservation_id"] for payment in queue.body["payments"]}
        return [
            *([] if set(map(_key, record.body["attention"])) == expected else ["17: the record has other matters"]),
            *([] if queued == bool(expected) else [f"17: the booking is in the queue: {queued}, with {expected}"]),
        ]


def _key(matter: Json) -> str:
    return f"{matter['kind']}:{matter['subject']}" if matter.get("subject") else str(matter["kind"])
