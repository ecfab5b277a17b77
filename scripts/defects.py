"""Generates docs/defects.md from the tests that are marked with a defect's id: `python -m scripts.defects`."""

import contextlib
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "docs" / "defects.md"
NAMED = 3  # tests named for each defect

DEFECTS = {
    "D-01": "The session does not say which payment it belongs to, so the payment is never completed.",
    "D-02": "A retry sends other parameters under the same idempotency key and is refused for ever.",
    "D-03": "A failed webhook is recorded as processed and answered with 200; the event is lost.",
    "D-04": "A late payment confirms a booking that was cancelled or released.",
    "D-05": "An event for an unknown reservation creates one.",
    "D-06": "Amount and currency are not compared; one cent confirms any booking.",
    "D-07": "The hold never ends, or the booking can be paid after its hold.",
    "D-08": "A refund does not find its payment, or changes the wrong one.",
    "D-09": "An older session can still be paid beside the new one.",
    "D-10": "Three simultaneous deliveries of one event all take effect.",
    "D-11": "Expired, failed and declined events are ignored; the payment waits for ever.",
    "D-12": "The limit of attempts can be bypassed, or counts the wrong things.",
    "D-13": "Two simultaneous refunds both reach Stripe, or an unsettled one is shown as done.",
    "D-14": "A refund does not cancel the stay, or a cancellation does not refund the money.",
    "D-15": "A route confirms a booking without payment.",
    "D-16": "A new version of the SDK or of Stripe's API breaks the webhook.",
    "D-17": "The caller's identity is taken from a header.",
    "D-18": "Stripe's page redirects the guest to a foreign site.",
    "D-19": "Anybody who guesses an id can read a payment, without a limit.",
    "D-20": "An unverified e-mail address is trusted.",
    "D-21": "A session expires exactly at Stripe's minimum and is refused under clock skew.",
    "D-22": "A session exists that is not stored anywhere.",
    "D-23": "A call to Stripe outlasts the function that makes it.",
    "D-24": "An outage is reported as something else, or errors come in several shapes.",
    "D-25": "An optional body is required, or an error reveals which ids exist.",
    "D-26": "A decision is made from an eventually consistent index.",
    "D-27": "Secrets are cached for ever, or only one is accepted during a rotation.",
    "D-28": "Recorded events are never deleted.",
    "D-29": "There are no structured logs, metrics, alarms or traces.",
    "D-31": "Disputes, failed refunds and dashboard refunds are ignored.",
    "D-32": "An event that never arrives is never missed.",
    "D-33": "A cancellation or the end of the hold interleaves with the creation of a session.",
    "D-34": "Half of a change is written, and dates stay blocked.",
    "D-35": "Money passes through floats, or a refund of zero is read as none.",
    "D-38": "A failed write is ignored.",
    "D-39": "An event out of order moves a payment backwards.",
    "D-40": "Test and live events are not distinguished.",
    "D-41": "A total outside Stripe's bounds is sent to Stripe.",
    "D-45": "One role may do everything.",
    "R-01": "Money of another system on the Stripe account is refunded, or confirms a booking.",
    "R-02": "A booking is confirmed although its money was returned before.",
    "R-03": "A dispute or a refund of a second capture, or of money whose own event has not come yet, is not heard.",
    "R-11": "An operator who asks for another amount is answered with an older refund as if it were theirs.",
    "R-06": "An inquiry blocks refunds as if it were a dispute, or becomes a dispute, or an appeal, unnoticed.",
    "R-07": "A refund of our money with the metadata of another tool is not in the ledger.",
    "R-08": "A failed refund that was repeated in the dashboard is counted twice.",
    "R-09": "A refund reaches the guest after it was settled elsewhere, and nobody knows.",
    "R-12": "Refunds, disputes and charges of other systems on the account are requested again and raise an alarm.",
    "R-13": "An item that the platform writes in its own way breaks the payment, or strands dates.",
    "R-15": "A replacement execution has the name of another booking's execution and never starts.",
    "P-01": "The guest is charged, but the dates are gone.",
    "P-02": "Several sessions of one order can be paid.",
    "P-03": "Redirect and webhook race, and the order is lost.",
    "P-04": "A late decline reverts a paid order.",
    "P-05": "A paid order stays pending and is cancelled automatically.",
    "P-06": "The webhook always answers 200, and the workflow hangs.",
    "P-07": "A failed refund is shown as done.",
    "P-08": "Partial refunds are computed from a cumulative amount.",
    "P-09": "Expiring an expired session is an error that blocks the job.",
    "P-10": "Duplicate webhooks settle an order several times.",
    "P-11": "A wait without a deadline hangs unnoticed.",
    "P-12": "The callback arrives before the task token is stored.",
    "P-13": "Without the permission to send the callback, executions run for ever.",
    "P-14": "A refund of a disputed charge kills the workflow.",
    "R-04": "Seconds of trouble, such as a page of HTML in place of Stripe's answer, use up all restarts.",
    "R-05": "A request that Stripe refuses for good kills executions, and the hold is never released.",
    "R-10": "A booking that the platform confirms itself kills its executions and stays pending for ever.",
    "R-14": "A log line, an error or an answer quotes a secret, an e-mail address or a token.",
    "R-16": "A hold is released while Stripe refuses to expire its session.",
    "R-18": "The reconciler costs what exists, and lists or items starve each other.",
    "R-19": "A payment grows with each attempt that Stripe never answered, until it cannot be stored.",
    "R-17": "The status says something that another route does not, or hides that a refund failed.",
    "A-01": "A route's limit never takes effect, since API Gateway knows the route under another name.",
    "A-02": "EventBridge drops its notifications to the operators, because of a condition in the topic's policy.",
    "A-03": "EventBridge cannot use the topic's key, because of a condition in the key's policy.",
    "A-04": "With the stack's own key, the event of a dead execution has no input, and nothing is restarted.",
    "A-05": "No waiting execution can be resumed, and nobody knows what to change.",
    "A-06": "The end of one stack switches off API Gateway's logs for the whole region.",
    "A-07": "A stack cannot be destroyed, because its executions wait for days.",
    "A-08": "A change of a parameter overwrites a Stripe key with an empty value.",
    "A-09": "Guests sign themselves up, without the platform, and can never pay.",
    "A-10": "Nobody is subscribed to alarms and notifications, and nobody notices.",
    "A-11": "A role can be used for another account, or cannot read tables that are encrypted with another key.",
    "A-12": "An alarm rings once after the first deployment.",
}


class Collector:
    """A pytest plugin that notes which tests carry which ids; a test with many cases is noted once."""

    def __init__(self) -> None:
        self.tests: dict[str, set[str]] = {name: set() for name in DEFECTS}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            name = item.nodeid.partition("[")[0]
            for marker in item.iter_markers("defect"):
                for defect in marker.args:
                    self.tests[defect].add(name)


def marked() -> dict[str, set[str]]:
    """For each id the tests that carry it. Raises RuntimeError where the tests cannot be collected."""
    collector = Collector()
    options = ["--collect-only", "-q", "-p", "no:cacheprovider", "--assert=plain", "-o", "norecursedirs=.* build"]
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        ended = pytest.main([*options, str(ROOT / "tests")], plugins=[collector])
    if ended is not pytest.ExitCode.OK:
        raise RuntimeError(f"pytest cannot collect the tests: {ended!r}")
    return collector.tests


def page() -> str:
    """One row per defect: its id, what would go wrong, and up to three tests that carry the id."""
    rows = [
        f"| {name} | {DEFECTS[name]} | {'<br>'.join(f'`{test}`' for test in sorted(tests)[:NAMED])} |"
        for name, tests in marked().items()
    ]
    return "\n".join(
        [
            "# Defects that must be impossible",
            "",
            "D: faults of the service that this one replaces. P: what users of other systems report. Each is covered",
            "by tests with its id as a marker, of which three at most are named. Generated by `make docs`.",
            "",
            "| id | what would go wrong | tests |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
