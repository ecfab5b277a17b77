"""Finds words that docs/architecture.md has a better term for; part of `make lint`.

Prints each place as `file:line: word → term`, and exits with 1 if there is one.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

# What is searched for, and what to write instead. Only what is wrong in every context can stand here.
TERMS = {
    r"[\"'`]look[\"'`]|\b\w+_looks?\b|\blooks?_(?!up)\w+|\b(?:a|one|each|next|another) look\b|\blooks\b": "refresh",
    r"verdicts?": "next step",
    r"\bFindings?\b|\bfindings\b|\blearn\(|\bconclude\(": "SessionOutcome, assess_session, record_and_decide",
    r"unusable": "unapplied",
    r"\babandoned\b|\bdoubted?\b": "unresolved",
    r"\bhanded[ _](?:out|over)\b|\bhandedOver\b": "offerable; refunds started",
    r"generations?": "restart",
    r"successors?": "replacement execution",
    r"given[ _]up|GivenUp": "restarts exhausted",
    r"\b(?:un)?told\b|_told\b|\btells?\b|\btelling\b|_tell\b|NotTold": "notify, notified; say",
    r"announc\w+": "publish (an event)",
    r"stand-?ins?\b|stand_ins?|standin": "fake",
    r"\blevers?\b": "fault injection",
    r"\bstories\b|\bstory\b": "scenarios",
    r"\bmend(?:s|ed|ing)?\b": "fix",
    r"\bTransient\b(?!Error)|\bPermanent\b(?!Error|=)": "TransientError, PermanentError",
    r"\b_Changes\b|\b_python\(|\b_ask\(": "UpdateBuilder, from_item, _call",
    r"test_past_us|test_given_up": "a name that says what is tested",
}
# State names are an interface: executions, alarms and operators know them. The last is parliament's.
FIXED_NAMES = re.compile(r"AnnouncePayment|AnnounceRelease|AnnounceRefund|RefundUnusablePayment|\.findings\b")
SEARCHED = (".py", ".yaml", ".md", ".json", ".toml", ".js", ".html", "Makefile")
# This list itself, lock files, and what Stripe sent.
SKIPPED = ("scripts/check_vocabulary.py", "tools/", "tests/harness/stripe_events/")


def places(name: str, text: str) -> list[str]:
    """Each use of a word that has a better term."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        rest = FIXED_NAMES.sub("", line)
        for pattern, term in TERMS.items():
            flags = re.IGNORECASE if pattern.islower() else re.NOFLAG
            found += [f"{name}:{number}: {match[0]} → {term}" for match in re.finditer(pattern, rest, flags)]
    return found


def main() -> int:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    searched = [name for name in listed if name.endswith(SEARCHED) and not name.startswith(SKIPPED)]
    found = [
        place
        for name in searched
        if (ROOT / name).exists()
        for place in [*places(name, (ROOT / name).read_text(encoding="utf-8")), *places(name, name)]
    ]
    print("\n".join(found) or f"{len(searched)} files use the vocabulary of docs/architecture.md")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
