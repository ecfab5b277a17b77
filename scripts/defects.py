"""Draws docs/defects.md from the tests that carry a defect's id: `python -m scripts.defects`.

A test carries an id where it stands in the test's code or docstring, or in a comment or table of its module.
"""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"
TARGET = TESTS.parent / "docs" / "defects.md"

DEFECTS = {
    "D-01": "The session does not say which payment it is for, so the money never completes one.",
    "D-02": "A repeat sends other parameters under the same idempotency key and is refused for ever.",
    "D-03": "A webhook that failed is recorded as done and answered 200: the event is lost.",
    "D-04": "Money that comes late confirms a booking that was given up.",
    "D-05": "An event about an unknown reservation makes one.",
    "D-06": "Amount and currency are not compared: a cent confirms any booking.",
    "D-07": "The hold never ends, or paying goes on after it has.",
    "D-08": "A refund does not find its payment, or changes the wrong one.",
    "D-09": "An older session can still be paid beside the new one.",
    "D-10": "Three deliveries at once of one event all take effect.",
    "D-11": "Expired, failed and declined events are ignored: the payment waits for ever.",
    "D-12": "The limit of attempts is got round, or counts what it should not.",
    "D-13": "Two refunds at once both go out, or one is called done that is not.",
    "D-14": "A refund leaves the stay, a cancellation leaves the money.",
    "D-15": "A route confirms a booking without money.",
    "D-16": "A new version of the SDK or of Stripe's API breaks the webhook.",
    "D-17": "Who asks is taken from a header.",
    "D-18": "Stripe's page sends the guest to a stranger's.",
    "D-19": "Anybody who guesses an id may read, as often as he likes.",
    "D-20": "An e-mail address that nobody has verified is believed.",
    "D-21": "The session's expiry is exactly Stripe's minimum, and refused when clocks differ.",
    "D-22": "A session exists that nobody has stored.",
    "D-23": "A call to Stripe outlasts the function that makes it.",
    "D-24": "An outage is called something else; errors come in several shapes.",
    "D-25": "A body is demanded that is optional; an error tells which ids exist.",
    "D-26": "What is read comes from an index that lags.",
    "D-27": "Secrets are kept for ever; only one is known while they are rotated.",
    "D-28": "Recorded events are never deleted.",
    "D-29": "Nobody can see what happens: no structured logs, metrics, alarms, traces.",
    "D-31": "Disputes, failed refunds and refunds of the dashboard are not seen.",
    "D-32": "An event that never comes is never missed.",
    "D-33": "A cancellation or the end of the hold comes between the steps of a session's making.",
    "D-34": "Half of a change is written, and dates stay blocked.",
    "D-35": "Money is a float, or zero is taken for nothing.",
    "D-38": "A write that failed is taken for unimportant.",
    "D-39": "An old event moves a payment back.",
    "D-40": "Events of test and of live mode are not told apart.",
    "D-41": "A total that Stripe cannot charge is sent to it.",
    "D-45": "One role may do everything.",
    "P-01": "The guest is charged, and the dates are gone.",
    "P-02": "Several sessions of one order can be paid.",
    "P-03": "Redirect and webhook race, and the order is lost.",
    "P-04": "A late decline turns a paid order back.",
    "P-05": "A paid order waits, and is cancelled by itself.",
    "P-06": "The webhook always says 200, and the workflow hangs.",
    "P-07": "A failed refund is shown as done.",
    "P-08": "Partial refunds are counted from a cumulative amount.",
    "P-09": "Expiring an expired session is an error that blocks everything.",
    "P-10": "Doubled webhooks settle twice.",
    "P-11": "A wait without a deadline hangs unseen.",
    "P-12": "The answer comes before the token is stored.",
    "P-13": "Without the permission to answer, executions run for ever.",
    "P-14": "A refund of a disputed charge kills the workflow.",
}


def _ids(text: str) -> set[str]:
    """`D-33/34` is both."""
    found = set(re.findall(r"\b[DP]-\d\d\b", text))
    return found | {f"{kind}-{second}" for kind, second in re.findall(r"\b([DP])-\d\d/(\d\d)\b", text)}


def carried() -> dict[str, list[str]]:
    """For each id the tests that carry it, or the module where it stands in a table."""
    found: dict[str, list[str]] = {name: [] for name in DEFECTS}
    for path in sorted(TESTS.rglob("*.py")):
        if path == Path(__file__):
            continue
        source = path.read_text()
        module = str(path.relative_to(TESTS.parent))
        rest = source
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                text = ast.get_source_segment(source, node) or ""
                rest = rest.replace(text, "")
                for name in _ids(text):
                    found[name].append(f"{module}::{node.name}")
        for name in _ids(rest):
            found[name].append(module)
    return found


def page() -> str:
    """One row a defect: its id, what would go wrong, up to three of the tests that carry it."""
    rows = [
        f"| {name} | {DEFECTS[name]} | {'<br>'.join(f'`{test}`' for test in tests[:3])} |"
        for name, tests in carried().items()
    ]
    return "\n".join(
        [
            "# What must be impossible",
            "",
            "D: faults of the service that this one replaces; P: what users of other systems report. Each with tests",
            "that carry its id (three at most are named). Drawn by `python -m scripts.defects`.",
            "",
            "| id | what would go wrong | tests |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    TARGET.write_text(page())
