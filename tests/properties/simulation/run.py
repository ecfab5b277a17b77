"""Batches of random histories on one stack each: played, drained, checked."""

import argparse
import contextlib
import json
import multiprocessing
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from local import credentials
from local.fake_stripe.cards import CARDS
from tests.properties.simulation.histories import KINDS, History, Played, Player, draw, play
from tests.properties.simulation.invariants import Look, Seen, broken, met
from tests.properties.simulation.world import WINDOW, World, every, world

BATCH = 50  # histories on one stack
AT_ONCE = 12  # of them at the same time
DRAIN = 240.0  # seconds; only a batch in which something hangs waits so long
CHECKS_AGAIN = 4.5  # seconds after its release a booking is looked at for the last time
SHRINKING_ROUNDS = 4

# A payment's execution; a refund's begins otherwise.
RES = re.compile(r"RES-[0-9a-f]+(-r\d+)?")

type Breaks = Callable[[World], None]


@dataclass(frozen=True)
class Failure:
    """`log` is what the doers were told."""

    history: History
    problems: list[str]
    log: list[str]
    visited: dict[str, list[str]] = field(default_factory=dict)

    def __str__(self) -> str:
        told = "\n      ".join([*self.log, *(f"{name}: {' '.join(states)}" for name, states in self.visited.items())])
        return f"{self.history}\n    " + "\n    ".join(self.problems) + f"\n      {told}"


@dataclass(frozen=True)
class Batch:
    """`ends`: how each seed's reservation ended; `paid`: whether its guest was told that a card was taken."""

    failures: list[Failure]
    met: Counter[str]
    ends: dict[int, str]
    paid: dict[int, bool]


def batch(histories: Sequence[History], breaks: Breaks | None = None, *, window: int = WINDOW) -> Batch:
    """Play them on a stack of their own; those after which an invariant did not hold, and what was met with.

    `window`: seconds that a session can be paid; holds last as many of them as each history says.
    """
    with world(window) as stage:
        if breaks is not None:
            breaks(stage)
        # The schedule is every 15 minutes; two at the same time now and then.
        with every(1.5, stage.reconcile), every(2.3, stage.reconcile):
            players = play(stage, histories, AT_ONCE)
            for player in players:
                player.calm()
            drained = _drain(stage, players)
        failed = stage.reconcile()
        _settle(stage)
        look = Look(stage)
        failures = []
        found: Counter[str] = Counter()
        ends: dict[int, str] = {}
        for player in players:
            seen = look.at(player.played)
            ends[player.played.history.seed] = seen.reservation["status"]
            found.update(met(seen))
            found.update(set(player.played.did) | set(stage.faults_injected[player.played.id].met))
            problems = stage.violations[player.played.id] + broken(seen)
            if problems:
                visited = _visited(stage, seen)
                failures.append(Failure(player.played.history, problems, player.played.log, visited))
        leaks = list(_leaks(stage, [player.played for player in players]))
        if leaks or not drained or failed:
            problems = [*leaks, *([] if drained else ["9: something still moves"]), *([failed] if failed else [])]
            failures = failures or [Failure(histories[0], problems, [f"{len(histories)} histories in the batch"])]
        paid = {player.played.history.seed: bool(player.played.did["card paid"]) for player in players}
        return Batch(failures, found, ends, paid)


def _drain(stage: World, players: Sequence[Player]) -> bool:
    """Until nothing moves, operators have answered, and released bookings were looked at again."""
    answers = {player.played.id: list(player.played.history.answers) for player in players}
    quiet_since = time.monotonic()
    end = time.monotonic() + DRAIN
    while time.monotonic() < end:
        time.sleep(0.5)
        if _answered(stage, players, answers) or not _at_rest(stage, players):
            quiet_since = time.monotonic()
        elif time.monotonic() - quiet_since > CHECKS_AGAIN:
            return True
    return False


def _settle(stage: World) -> None:
    end = time.monotonic() + DRAIN / 8
    while time.monotonic() < end and not _at_rest(stage, []):
        time.sleep(0.3)


def _answered(stage: World, players: Sequence[Player], answers: dict[str, list[str]]) -> bool:
    """Operators answer for a refund that waits for them, as the history says; whether one did."""
    answered = False
    for player in players:
        if not answers[player.played.id]:
            continue
        for refund_id, entry in _payment(stage, player.played).get("refunds", {}).items():
            # Money that was given back in the dashboard is not given back by another way as well.
            if entry.get("awaiting") == "operator" and "dashboard" not in player.played.asked_back:
                player.answer(refund_id, answers[player.played.id].pop(0))
                answered = True
                break
    return answered


def _payment(stage: World, played: Played) -> dict[str, dict[str, dict[str, str]]]:
    try:
        return stage.admin.payment(played.id)
    except LookupError:
        return {}


def _at_rest(stage: World, players: Sequence[Player]) -> bool:
    """No execution runs but those that wait for an operator; no event that travels is on its way."""
    for name, workflow in stage.running().items():
        if workflow == "payment" or stage.admin.execution(name, "refund").waiting_in != "AwaitOperator":
            return False
    if any(stage.admin.reservation(player.played.id)["status"] == "pending" for player in players):
        return False
    with stage.stripe.lock:
        return not stage.stripe.webhooks._under_way


def _visited(stage: World, seen: Seen) -> dict[str, list[str]]:
    found = {}
    for name in seen.executions:
        execution = stage.admin.execution(name, "payment" if RES.fullmatch(name) else "refund")
        found[f"{name} {execution.status} {execution.error or ''}"] = execution.visited
    return found


def _leaks(stage: World, played: Sequence[Played]) -> Iterator[str]:
    """11: what must not be in a log line, an event, a notification, or what an execution was given or answered."""
    log = stage.stack.log.read_text(encoding="utf-8")
    told = json.dumps([*stage.admin.events(), *stage.admin.notifications()])
    places = (("the log", log), ("what was told", told), ("an execution", _executions(stage)))
    secrets = {
        "a secret": [credentials.STRIPE_API_KEY, credentials.WEBHOOK_SECRET],
        "a guest's token": [one.token for one in played],
        "a card number": list(CARDS),
        "an e-mail address": ["@example.com"],
    }
    for what, values in secrets.items():
        for where, text in places:
            if any(value in text for value in values):
                yield f"11: {what} is in {where}"
    for line in re.findall(r'.*"message": ?"unhandled".*', log)[:3]:
        yield f"unhandled: {line[:600]}"


def _executions(stage: World) -> str:
    """What every execution was given, and what it answered."""
    texts = []
    for workflow in ("payment", "refund"):
        machine = stage.stack.outputs[f"{workflow}StateMachineArn"]
        pages = stage.states.get_paginator("list_executions").paginate(stateMachineArn=machine)
        for one in (execution for page in pages for execution in page["executions"]):
            described = stage.states.describe_execution(executionArn=one["executionArn"])
            texts += [described["input"], described.get("output", "")]
    return "\n".join(texts)


def shortest(failure: Failure, breaks: Breaks | None = None) -> Failure:
    """The shortest history found that fails too: each round leaves out every step once, all in one batch."""
    for _ in range(SHRINKING_ROUNDS):
        candidates = failure.history.shorter()
        if not candidates:
            break
        still = batch(candidates, breaks).failures
        if not still:
            break
        failure = min(still, key=lambda one: len(one.history.steps))
    return failure


def seeds(first: int, count: int) -> Iterator[range]:
    for start in range(first, first + count, BATCH):
        yield range(start, min(start + BATCH, first + count))


def _batch_of_seeds(of: range) -> tuple[range, Batch, float]:
    began = time.monotonic()
    return of, batch([draw(seed) for seed in of]), time.monotonic() - began


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.properties.simulation.run", description=__doc__)
    parser.add_argument("--histories", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1, help="the first; the others follow it")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--no-shrink", action="store_true")
    given = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    failures: list[Failure] = []
    found: Counter[str] = Counter()
    done = 0
    with spawn.Pool(given.processes, maxtasksperchild=8) as processes:
        for of, played, took in processes.imap_unordered(_batch_of_seeds, seeds(given.seed, given.histories)):
            done += len(of)
            found += played.met
            _say(
                f"seeds {of.start}-{of.stop - 1}: {len(played.failures)} failed, {took:.0f} s; {done} histories in all"
            )
            for failure in played.failures:
                _say(f"  {failure}")
            failures += played.failures
    for failure in failures[: 0 if given.no_shrink else 3]:
        _say(f"shortest: {shortest(failure)}")
    for what, times in sorted(found.items()):
        _say(f"{times:6} {what}")
    _say(f"never met: {sorted(KINDS - found.keys())}")
    _say(json.dumps({"histories": done, "failed": sorted({failure.history.seed for failure in failures})}))
    return 1 if failures else 0


def _say(text: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
