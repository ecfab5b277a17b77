"""Rules that every state keeps: a purpose, a name that shows its kind, a time limit, and only data that JSON has."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.aws.patches.jsonata_evaluation import evaluate_jsonata
from shared.domain.models import iso
from statemachines.render import placeholders, render
from tests.structure.definitions import MACHINES, STATES, of_type, state_of, tasks


@pytest.mark.parametrize("machine", MACHINES)
def test_the_whole_execution_has_a_time_limit(machine: str) -> None:
    assert MACHINES[machine]["QueryLanguage"] == "JSONata"
    assert MACHINES[machine]["TimeoutSeconds"] in {"${ExecutionTimeoutSeconds}", 364 * 86_400}
    assert len(MACHINES[machine]["Comment"]) > 20


@pytest.mark.parametrize(("machine", "name"), STATES)
def test_every_state_says_what_it_is_for(machine: str, name: str) -> None:
    assert len(state_of(machine, name)["Comment"]) > 10


@pytest.mark.parametrize(("machine", "name"), STATES)
def test_the_name_shows_the_kind_of_state(machine: str, name: str) -> None:
    """A Choice ends with a question mark, and whatever waits begins with Await."""
    state = state_of(machine, name)
    waits = state["Type"] == "Wait" or state.get("Resource", "").endswith(".waitForTaskToken")
    assert name.endswith("?") is (state["Type"] == "Choice")
    assert name.startswith("Await") is waits


@pytest.mark.parametrize(("machine", "name"), tasks())
def test_every_task_has_a_time_limit(machine: str, name: str) -> None:
    timeout = state_of(machine, name)["TimeoutSeconds"]
    if isinstance(timeout, str):
        assert timeout.startswith("{% $max([1, $ceil(")
    else:
        assert timeout >= 1


@pytest.mark.parametrize(("machine", "name"), of_type("Wait"))
def test_every_wait_ends(machine: str, name: str) -> None:
    assert "$min([" in state_of(machine, name)["Seconds"]


@pytest.mark.parametrize(("machine", "name"), of_type("Fail"))
def test_every_failure_has_an_error_and_a_cause(machine: str, name: str) -> None:
    assert {"Error", "Cause"} <= state_of(machine, name).keys()


@pytest.mark.defect("P-11")
@pytest.mark.parametrize(("waits", "times"), [(1, 1), (2, 2), (5, 16), (6, 30), (2_000, 30)])
def test_the_wait_for_stripe_grows_to_a_limit(waits: int, times: int) -> None:
    """However long Stripe is silent, no number exceeds what JSONata can hold."""
    seconds = state_of("payment", "AwaitStripe")["Seconds"].replace("${StripeRetrySeconds}", "7")
    assert evaluate_jsonata(seconds.removeprefix("{%").removesuffix("%}"), {"stripeWaits": waits}) == 7 * times


def evaluated(expression: str, variables: Mapping[str, Any]) -> Any:
    filled = expression.replace("${GraceSeconds}", "30").replace("${ReminderSeconds}", "7200")
    return evaluate_jsonata(filled.removeprefix("{%").removesuffix("%}"), dict(variables))


def seconds_left(text: str) -> float:
    return (datetime.fromisoformat(text) - datetime.now(UTC)).total_seconds()


@pytest.mark.parametrize(("deadline", "hold_left", "waits"), [(1800, 86_400, 1800), (1800, 600, 600), (1800, -5, 1)])
def test_the_wait_for_the_guest_ends_with_the_window_or_the_hold(deadline: int, hold_left: int, waits: int) -> None:
    now = datetime.now(UTC)
    hold = iso(now + timedelta(seconds=hold_left))
    known = {
        "attempt": {"deadline": iso(now + timedelta(seconds=deadline))},
        "states": {"context": {"Execution": {"Input": {"hold_expires_at": hold}}}},
    }
    state = state_of("payment", "AwaitPayment")
    assert evaluated(state["TimeoutSeconds"], known) == pytest.approx(waits, abs=3)
    retry = state_of("payment", "AwaitRetry")
    until_reminder = hold_left - 7200 if hold_left > 7200 else hold_left
    assert evaluated(retry["TimeoutSeconds"], known) == pytest.approx(max(1, until_reminder), abs=3)


@pytest.mark.parametrize(("hold_left", "due_after"), [(80_000, 80_030), (600, 630), (-5, 25), (90_000, 86_400)])
def test_a_payment_is_due_half_a_minute_after_its_hold_and_within_a_day(hold_left: int, due_after: int) -> None:
    hold = iso(datetime.now(UTC) + timedelta(seconds=hold_left))
    known = {"states": {"context": {"Execution": {"Input": {"hold_expires_at": hold}}}}}
    due = evaluated(state_of("payment", "RecordPayment")["Arguments"]["Item"]["due_at"]["S"], known)
    assert seconds_left(due) == pytest.approx(due_after, abs=3)


@pytest.mark.parametrize(("hold_left", "ending"), [(7200, True), (2, True), (0, False), (-5, False)])
def test_a_guest_is_reminded_only_while_the_hold_lasts(hold_left: int, *, ending: bool) -> None:
    hold = iso(datetime.now(UTC) + timedelta(seconds=hold_left))
    known = {"states": {"context": {"Execution": {"Input": {"hold_expires_at": hold}}}}}
    (reminded,) = state_of("payment", "HoldEnding?")["Choices"]
    assert evaluated(reminded["Condition"], known) is ending
    assert state_of("payment", "PublishHoldEnding")["Next"] == "AwaitRetry"


def test_a_refund_waits_a_day_for_stripe_and_three_for_an_operator() -> None:
    assert state_of("refund", "AwaitRefundSettlement")["TimeoutSeconds"] == 86_400
    assert state_of("refund", "AwaitOperator")["TimeoutSeconds"] == 259_200


def test_what_an_execution_counts_and_notes() -> None:
    """Refunds that were started, also by another execution; waits for Stripe; tries at Stripe."""
    start = state_of("payment", "RefundUnusablePayment")
    (exists, _) = start["Catch"]
    for assigned in (start["Assign"], exists["Assign"]):
        started = evaluated(assigned["refundsStarted"], {"refundsStarted": ["pi_1"], "paymentIntent": "pi_2"})
        assert started == ["pi_1", "pi_2"]
    for next_step, waits in (("await_stripe", 4), ("expire_sessions", 3), ("confirm", 0)):
        verified = {"stripeWaits": 3, "states": {"result": {"Payload": {"next_step": next_step}}}}
        assert evaluated(state_of("payment", "VerifyPayment")["Assign"]["stripeWaits"], verified) == waits
    again, _ = state_of("refund", "OperatorAnswer?")["Choices"]
    assert evaluated(again["Assign"]["try"], {"try": 2}) == 3
    failed = state_of("refund", "RecordRefundFailure")["Assign"]["try"]
    for before, recorded in ((1, 3), (3, 1)):
        assert evaluated(failed, {"try": before, "states": {"result": {"Payload": {"attempt": recorded}}}}) == 3
    assert state_of("payment", "NotifyPaymentRefused")["Assign"] == {"refusalNotified": 1}


# From YAML to JSON.


@pytest.mark.parametrize("machine", MACHINES)
def test_placeholders_are_filled_and_a_number_stays_a_number(machine: str) -> None:
    values: dict[str, str | int] = {
        name: 7 if name.endswith("Seconds") else f"arn:{name}" for name in placeholders(MACHINES[machine])
    }
    rendered = json.loads(render(machine, values))
    assert "${" not in json.dumps(rendered)
    assert isinstance(rendered["TimeoutSeconds"], int)


def leaves(node: Any) -> Iterator[Any]:
    if isinstance(node, dict | list):
        for inner in node.values() if isinstance(node, dict) else node:
            yield from leaves(inner)
    else:
        yield node


@pytest.mark.parametrize(("machine", "name"), STATES)
def test_every_value_is_a_text_of_one_line_or_a_number(machine: str, name: str) -> None:
    """YAML makes a null of nothing, and text that is folded the wrong way keeps its line breaks."""
    values = list(leaves(state_of(machine, name)))
    assert {type(value) for value in values} <= {str, int, float}
    assert not [value for value in values if isinstance(value, str) and "\n" in value]


@pytest.mark.parametrize("machine", MACHINES)
def test_only_fields_of_a_state_machine_are_deployed(machine: str) -> None:
    assert set(MACHINES[machine]) == {"Comment", "QueryLanguage", "TimeoutSeconds", "StartAt", "States"}


# Variables.

BUILT_IN = {
    "states",
    "append",
    "ceil",
    "exists",
    "fromMillis",
    "max",
    "merge",
    "millis",
    "min",
    "now",
    "power",
    "string",
}
BUILT_IN |= {"toMillis"}


def variables_read(node: Any) -> set[str]:
    """Return the variables that the expressions anywhere in `node` read."""
    expressions = [value for value in leaves(node) if isinstance(value, str) and value.startswith("{%")]
    text = re.sub(r"\$\{\w+\}", "", " ".join(expressions))
    return set(re.findall(r"\$([A-Za-z]\w*)", text)) - BUILT_IN


def assignments(state: dict[str, Any]) -> Iterator[tuple[str, set[str]]]:
    """Yield each next state with the variables that are assigned on the way to it."""
    if "Next" in state:
        yield state["Next"], set(state.get("Assign", {}))
    for rule in state.get("Choices", []) + state.get("Catch", []):
        yield rule["Next"], set(rule.get("Assign", {}))
    if "Default" in state:
        yield state["Default"], set(state.get("Assign", {}))


def assigned_before(machine: str) -> dict[str, set[str]]:
    """Return for each state the variables that every path to it has assigned."""
    known: dict[str, set[str]] = {MACHINES[machine]["StartAt"]: set()}
    waiting = [MACHINES[machine]["StartAt"]]
    while waiting:
        name = waiting.pop()
        for after, assigned in assignments(state_of(machine, name)):
            on_this_path = known[name] | assigned
            merged = known[after] & on_this_path if after in known else on_this_path
            if after not in known or merged != known[after]:
                known[after] = merged
                waiting.append(after)
    return known


@pytest.mark.parametrize(("machine", "name"), STATES)
def test_no_state_reads_a_variable_that_may_be_missing(machine: str, name: str) -> None:
    """An expression without a result ends the execution with States.QueryEvaluationError."""
    assert variables_read(state_of(machine, name)) <= assigned_before(machine)[name]
