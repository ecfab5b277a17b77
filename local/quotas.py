"""The quotas of AWS and Stripe, which the emulator and the fake Stripe enforce while a run asks for it.

quotas.json has the figures.
"""

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from local.aws.request_units import MeteredRequest
from local.aws.throttling import TokenBucket

FILE = Path(__file__).with_name("quotas.json")
TRANSITIONS, CONCURRENCY = "state transitions", "Lambda concurrency"
WRITES, READS = "partition, writes", "partition, reads"
STRIPE, STRIPE_ENDPOINT = "Stripe, all calls", "Stripe, one endpoint"

_WRITING = re.compile(r"dynamodb\.(Put|Update|Delete|Transact)")
_NAMED = re.compile(r"\bevt_\w+|\bRES-[0-9a-f]{12}")


def default_quotas() -> dict[str, tuple[float, float]]:
    """Rate and burst of each quota by its name."""
    listed = json.loads(FILE.read_text(encoding="utf-8"))["quotas"]
    return {name: (quota["rate"], quota["burst"]) for name, quota in listed.items()}


class Quotas:
    """`limits`: rate and burst by the name of a quota; what is not in it is unlimited.

    `throttled`: how often each quota has refused or delayed a call. `most`: the most functions that ran at a time.
    """

    def __init__(self, limits: Mapping[str, tuple[float, float]] | None = None) -> None:
        self._limits = dict(limits or {})
        self.throttled: Counter[str] = Counter()
        self.most = self.transitions = 0
        self._running = 0
        self._refused: Counter[tuple[str, str]] = Counter()
        self._served: set[tuple[str, str]] = set()
        self._lock = threading.RLock()
        self._buckets: dict[tuple[str, str], TokenBucket] = {}
        self._empty: dict[tuple[str, str, str], TokenBucket] = {}

    @property
    def limited(self) -> bool:
        """Whether there is any quota: without one, nobody has to say what a call is about."""
        return bool(self._limits)

    @property
    def not_repeated(self) -> Counter[str]:
        """The calls by quota that were refused, and neither repeated nor served for somebody else."""
        return Counter(quota for (quota, _), times in self._refused.items() if times == 1)

    @property
    def refused_again(self) -> Counter[str]:
        """The calls by quota that were tried again, but refused every time."""
        return Counter(quota for (quota, _), times in self._refused.items() if times > 1)

    def refuses_aws(self, operation: str, caller: str | None, body: str | bytes) -> bool:
        """Whether a call of the program exceeds a quota; the local stack itself has none."""
        if not self.limited or caller is None:
            return False
        service, _, name = operation.partition(".")
        text = _text(body)
        if service == "dynamodb":
            return self._refuses_dynamodb(operation, text)
        return name in self._limits and not self._take([(name, "")], f"{operation} {_about(text)}")

    def refuses_stripe(self, operation: str, call: str) -> bool:
        """`call` is the same whenever it is repeated."""
        return not self._take([(STRIPE_ENDPOINT, operation), (STRIPE, "")], call)

    def begin_function(self, name: str, body: str | bytes) -> bool:
        """Whether Lambda has room for one more call; then `end_function` has to follow."""
        with self._lock:
            if CONCURRENCY in self._limits:
                call = f"{name} {_about(_text(body))}"
                if self._running >= self._limits[CONCURRENCY][0]:
                    self._refuse(CONCURRENCY, call)
                    return False
                self._serve(CONCURRENCY, call)
            self._running += 1
            self.most = max(self.most, self._running)
            return True

    def end_function(self) -> None:
        with self._lock:
            self._running -= 1

    def await_transition(self) -> None:
        """Step Functions does not refuse a transition: it delays it until the bucket has a token."""
        with self._lock:
            self.transitions += 1
            if TRANSITIONS not in self._limits:
                return
            bucket = self._bucket(TRANSITIONS, "")
            bucket.spend(1)
            seconds = -bucket.left() / self._limits[TRANSITIONS][0]
        if seconds > 0:
            self.throttled[TRANSITIONS] += 1
            time.sleep(seconds)

    def spend_units(self, request: MeteredRequest) -> None:
        """What a request has used of the partitions that it has read or written."""
        quota = WRITES if request.write else READS
        if quota not in self._limits:
            return
        with self._lock:
            for (table, key), units in request.partitions.items():
                bucket = self._bucket(quota, f"{table} {key}")
                bucket.spend(units)
                if bucket.left() < 0:
                    self._empty[quota, table.partition("/")[0], key] = bucket

    def _refuses_dynamodb(self, operation: str, text: str) -> bool:
        """Whether the request names a partition, of a table or an index, that has no unit left."""
        quota = WRITES if _WRITING.match(operation) else READS
        call = f"{operation} {_about(text)}"
        with self._lock:
            for (of, table, key), bucket in list(self._empty.items()):
                if bucket.left() >= 0:
                    del self._empty[of, table, key]
                elif of == quota and f'"{table}"' in text and f'"{key}"' in text:
                    self._refuse(quota, call)
                    return True
            self._serve(quota, call)
        return False

    def _take(self, buckets: list[tuple[str, str]], call: str) -> bool:
        with self._lock:
            limited = [(quota, of) for quota, of in buckets if quota in self._limits]
            for quota, of in limited:
                if self._bucket(quota, of).left() < 1:
                    self._refuse(quota, call)
                    return False
            for quota, of in limited:
                self._bucket(quota, of).spend(1)
                self._serve(quota, call)
            return True

    def _bucket(self, quota: str, of: str) -> TokenBucket:
        return self._buckets.setdefault((quota, of), TokenBucket(*self._limits[quota]))

    def _refuse(self, quota: str, call: str) -> None:
        self.throttled[quota] += 1
        if (quota, call) not in self._served:
            self._refused[quota, call] += 1

    def _serve(self, quota: str, call: str) -> None:
        if self._refused.pop((quota, call), 0):
            self._served.add((quota, call))


def _text(body: str | bytes) -> str:
    return body.decode() if isinstance(body, bytes) else body


def _about(text: str) -> str:
    """The event or the booking that a request is about: when it is repeated, times and tokens are others."""
    named = _NAMED.search(text)
    return named[0] if named else text
