"""Each role may do what its function or state machine does, and nothing else.

Stories that between them make every call run on the local stack, which keeps what each role was asked for. D-45.
"""

import functools
import json
import os
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.aws.iam import Call, Permission, Permissions
from shared.adapters import secrets
from tests.harness.booking_driver import DECLINED, REFUND_FAILS_LATER, REFUND_PENDING
from tests.harness.running_stack import RunningStack, run_stack
from tests.harness.waiting import wait_until

REPORT = Path(__file__).parents[2] / "docs" / "permissions.md"

# Permissions that no call of ours stands behind, by action.
EXCEPTIONS = {
    "logs:CreateLogStream": "Lambda's runtime writes what the function prints",
    "logs:PutLogEvents": "Lambda's runtime writes what the function prints",
    "logs:CreateLogDelivery": "Step Functions delivers a state machine's log",
    "logs:GetLogDelivery": "Step Functions delivers a state machine's log",
    "logs:UpdateLogDelivery": "Step Functions delivers a state machine's log",
    "logs:DeleteLogDelivery": "Step Functions delivers a state machine's log",
    "logs:ListLogDeliveries": "Step Functions delivers a state machine's log",
    "logs:PutResourcePolicy": "Step Functions delivers a state machine's log",
    "logs:DescribeResourcePolicies": "Step Functions delivers a state machine's log",
    "logs:DescribeLogGroups": "Step Functions delivers a state machine's log",
    "xray:PutTraceSegments": "the X-Ray daemon beside the function, and Step Functions, send traces",
    "xray:GetSamplingRules": "the X-Ray daemon beside the function, and Step Functions, ask what to trace",
    "xray:GetSamplingTargets": "the X-Ray daemon beside the function, and Step Functions, ask what to trace",
    "xray:PutTelemetryRecords": "the X-Ray daemon beside the function, and Step Functions, send traces",
}
# What roles may do besides in production, with the stack's own key alone: moto's services ask no key.
WITH_A_KEY = (
    ("`kms:Decrypt`", "DynamoDB, SNS and Step Functions read with it, for whoever calls them"),
    ("`kms:GenerateDataKey`", "DynamoDB, SNS and Step Functions write with it, for whoever calls them"),
    ("`kms:Encrypt`", "DynamoDB writes with it, for whoever calls it"),
    ("`kms:DescribeKey`", "DynamoDB looks at its state, for whoever calls it"),
    ("`kms:Decrypt`, state machines", "Step Functions reads its executions' data, in the role's own name"),
    ("`kms:GenerateDataKey`, state machines", "Step Functions writes its executions' data, in the role's own name"),
    ("`kms:GenerateDataKey`, state machines", "Step Functions delivers its log, in the role's own name"),
)
# The whole role is taken by a service that is not on this machine.
SCHEDULE = "booking-local-reconcile-payments-schedule"


# The stories.


def paid_at_once(stack: RunningStack) -> None:
    stack.reserve_paid()


def declined_then_expired_then_retried(stack: RunningStack) -> None:
    booking = stack.reserve()
    booking.pay_now()
    booking.pay(DECLINED)
    booking.expire_at_stripe()
    booking.wait_in("AwaitRetry")
    assert booking.retry().status == 201


def cancelled_unpaid(stack: RunningStack) -> None:
    booking = stack.reserve()
    booking.pay_now()
    assert booking.cancel().status == 200


def cancelled_by_the_platform(stack: RunningStack) -> None:
    booking = stack.reserve()
    booking.pay_now()
    booking.change_reservation(status="cancelled")
    assert booking.cancel().status == 200


def cancelled_unpaid_and_paid_all_the_same(stack: RunningStack) -> None:
    booking = stack.reserve()
    booking.pay_now()
    assert booking.cancel().status == 200
    pi = booking.force_payment()
    booking.wait_for_refund_end(f"REF-{pi}")


def repriced_while_it_is_paid(stack: RunningStack) -> None:
    booking = stack.reserve()
    booking.pay_now()
    booking.change_reservation(total_amount=50_000)
    booking.pay()
    wait_until(lambda: "RefundUnusablePayment" in booking.execution().visited, "the refund to begin")


def confirmed_by_somebody_else(stack: RunningStack) -> None:
    booking = stack.reserve()
    booking.pay_now()
    booking.change_reservation(status="confirmed")
    booking.call("POST", f"{booking.id}/cancel")
    wait_until(lambda: "PaymentRestartsExhausted" in booking.notified(), "the notification of operators")


def cancelled_with_a_refund(stack: RunningStack) -> None:
    assert stack.reserve_paid().refund().status in {200, 202}


def refund_that_is_pending_for_a_while(stack: RunningStack) -> None:
    booking = stack.reserve_paid(card=REFUND_PENDING)
    booking.refund()
    booking.wait_refund_in("AwaitRefundSettlement")
    stack.stripe.settle_refund(booking.entry()["stripe_refund_id"], "succeeded")
    booking.wait_for_refund_end()


def refund_that_fails_after_all(stack: RunningStack) -> None:
    booking = stack.reserve_paid(card=REFUND_FAILS_LATER)
    booking.refund()
    booking.wait_for_refund_end()
    refund = booking.entry()["stripe_refund_id"]
    stack.stripe.settle_refund(refund, "failed")
    booking.wait_refund_in("AwaitOperator", f"failed-{refund}")
    assert booking.resolve(booking.cancellation_id, "settled_elsewhere").status == 200


def refunded_and_disputed_at_stripe(stack: RunningStack) -> None:
    booking = stack.reserve_paid()
    stack.stripe.dashboard_refund(booking.payment_intent, 100)
    stack.stripe.open_dispute(booking.payment_intent)
    wait_until(lambda: booking.payment["refunds"] and booking.payment["disputes"], "both to be entered")


def stopped(stack: RunningStack) -> None:
    booking = stack.reserve()
    booking.pay_now()
    stack.admin.stop_execution(booking.id)
    wait_until(lambda: booking.execution(restart=1), "the replacement")


def refund_stopped(stack: RunningStack) -> None:
    booking = stack.reserve_paid(card=REFUND_PENDING)
    booking.refund()
    booking.wait_refund_in("AwaitRefundSettlement")
    stack.admin.stop_execution(booking.cancellation_id, "refund")
    wait_until(lambda: booking.refund_execution(f"{booking.cancellation_id}-r1"), "the replacement")


STORIES = (
    paid_at_once,
    declined_then_expired_then_retried,
    cancelled_unpaid,
    cancelled_by_the_platform,
    cancelled_unpaid_and_paid_all_the_same,
    repriced_while_it_is_paid,
    confirmed_by_somebody_else,
    cancelled_with_a_refund,
    refund_that_is_pending_for_a_while,
    refund_that_fails_after_all,
    refunded_and_disputed_at_stripe,
    stopped,
    refund_stopped,
)


def reconciled(stack: RunningStack) -> None:
    """What is left for the reconciler: a hold nobody paid, a wait that is overdue, and events that never come."""
    before = (datetime.now(UTC) - timedelta(days=3)).isoformat()
    unpaid, overdue, waiting = stack.reserve(), stack.reserve(), stack.reserve_paid(card=REFUND_PENDING)
    disputed, declined = stack.reserve_paid(), stack.reserve()
    unpaid.set_stored("reservations", "created_at", before)
    overdue.pay_now()
    attempt = next(iter(overdue.payment["attempts"]))
    declined.pay_now()
    waiting.refund()
    waiting.wait_refund_in("AwaitRefundSettlement")

    stack.stripe.webhooks.set_mode("drop")
    declined.pay(DECLINED)
    stack.stripe.dashboard_refund(disputed.payment_intent, 100)
    stack.stripe.open_dispute(disputed.payment_intent)
    stack.stripe.settle_refund(waiting.entry()["stripe_refund_id"], "succeeded")
    stack.stripe.webhooks.wait_until_idle()
    overdue.set_stored("payments", f"attempts.{attempt}.deadline", before)
    overdue.set_stored("payments", "updated_at", before)
    found = stack.admin.reconcile()
    assert found.keys() >= {"hold_without_payment", "overdue_wait", "undelivered_event"}
    waiting.wait_for_refund_end()
    wait_until(lambda: unpaid.reservation_status == "expired", "the release")


@pytest.fixture(scope="module")
def permissions() -> Iterator[Permissions]:
    """Every role with what it was asked for in all stories."""
    with run_stack(nights=1) as stack, pytest.MonkeyPatch.context() as patch:
        # On AWS each function keeps secrets for itself; here one would find what another has read.
        patch.setattr(secrets, "MAX_AGE", 0)
        for told in [stack.in_background(functools.partial(story, stack)) for story in STORIES]:
            told.result()
        reconciled(stack)
        time.sleep(0.5)  # what was signalled last comes to its next wait
        yield stack.local.permissions


# Calls beside permissions.


def gaps(policy: Mapping[str, Any], calls: set[Call]) -> list[Call]:
    """Calls that the policy does not allow."""
    allowed = listed(policy)
    return [call for call in calls if not any(permission.allows(call) for permission in allowed)]


def surplus(policy: Mapping[str, Any], calls: set[Call]) -> list[Permission]:
    """Permissions that no call needs."""
    return [
        permission
        for permission in listed(policy)
        if permission.action not in EXCEPTIONS and not any(permission.allows(call) for call in calls)
    ]


def listed(policy: Mapping[str, Any]) -> list[Permission]:
    return list(Permissions.listed(policy))


def roles(permissions: Permissions) -> Iterator[tuple[str, dict[str, Any], set[Call]]]:
    for role, policy in permissions.policies.items():
        if role != SCHEDULE:
            yield role, json.loads(policy), permissions.calls[role]


def without(policy: Mapping[str, Any], gone: Permission) -> dict[str, Any]:
    statements = [
        {"Effect": "Allow", "Action": [one.action], "Resource": [one.resource]}
        | ({} if one.condition is None else {"Condition": json.loads(one.condition)})
        for one in listed(policy)
        if one != gone
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def test_no_call_without_permission(permissions: Permissions) -> None:
    assert {role: gaps(policy, calls) for role, policy, calls in roles(permissions) if gaps(policy, calls)} == {}


def test_no_permission_without_a_call(permissions: Permissions) -> None:
    left = {role: surplus(policy, calls) for role, policy, calls in roles(permissions)}
    assert {role: found for role, found in left.items() if found} == {}


def test_every_permission_that_is_taken_away_is_missed(permissions: Permissions) -> None:
    for role, policy, calls in roles(permissions):
        for permission in listed(policy):
            if permission.action not in EXCEPTIONS:
                assert gaps(without(policy, permission), calls), f"{role}: nobody misses {permission}"


def test_every_permission_that_is_added_is_found(permissions: Permissions) -> None:
    everything = {permission for _, policy, _ in roles(permissions) for permission in listed(policy)}
    everything.add(
        Permission("dynamodb:DeleteItem", "arn:aws:dynamodb:eu-west-1:123456789012:table/booking-local-payments")
    )
    for role, policy, calls in roles(permissions):
        own = listed(policy)
        for added in everything:
            if added in own or added.action in EXCEPTIONS:
                continue
            statement = {"Effect": "Allow", "Action": [added.action], "Resource": [added.resource]}
            if added.condition is not None:
                statement["Condition"] = json.loads(added.condition)
            more = {"Version": "2012-10-17", "Statement": [*policy["Statement"], statement]}
            assert added in surplus(more, calls), f"{role}: nobody notices {added}"


def test_only_the_exceptions_that_are_needed_are_listed(permissions: Permissions) -> None:
    given = {permission.action for _, policy, _ in roles(permissions) for permission in listed(policy)}
    assert EXCEPTIONS.keys() <= given


def report(permissions: Permissions) -> str:
    lines = [
        "# Permissions",
        "",
        "Every permission of the stack `local`, and the API calls that were seen to need it when its stories ran",
        "(tests/permissions, which keeps this page: `make permissions` writes it). A permission without a call or a",
        "call without a permission fails the test; moto's IAM evaluator decides. Whenever the local stack runs, what",
        "a role does not allow is refused as AWS refuses it.",
        "",
        "Without a call of ours:",
        "",
        *[f"- `{action}`: {reason}" for action, reason in EXCEPTIONS.items()],
        f"- the role `{SCHEDULE}`: EventBridge Scheduler takes it, to run the reconciler",
        "",
        "With a key of the stack's own (`customerManagedKey`, which `prod` sets) every role of a function or a state",
        "machine may use that key, without a call of ours, under the conditions in infra/encryption.py:",
        "",
        *[f"- {what}: {reason}" for what, reason in WITH_A_KEY],
        "",
        "In nothing else the roles of `prod` differ from those of `dev` (tests/infra/test_environments.py).",
    ]
    for role, policy, calls in sorted(roles(permissions), key=lambda of: of[0]):
        lines += ["", f"## {role}", "", "| action | resource | needed by |", "|---|---|---|"]
        for permission in sorted(listed(policy), key=lambda of: (of.action, of.resource)):
            if permission.action in EXCEPTIONS:
                continue
            needed_by = ", ".join(sorted({call.operation for call in calls if permission.allows(call)}))
            resource = permission.resource.removeprefix("arn:aws:")
            through = " through the alias" if permission.condition else ""
            lines.append(f"| {permission.action} | `{resource}`{through} | {needed_by} |")
    return "\n".join(lines) + "\n"


def test_the_report_is_up_to_date(permissions: Permissions) -> None:
    written = report(permissions)
    if os.environ.get("WRITE_REPORT"):
        REPORT.write_text(written)
    assert written == REPORT.read_text()


def test_the_scheduler_may_run_the_reconciler_and_nothing_else(permissions: Permissions) -> None:
    (only,) = listed(json.loads(permissions.policies[SCHEDULE]))
    assert only.action == "lambda:InvokeFunction"
    assert only.resource.endswith(":function:booking-local-reconcile-payments:live")
