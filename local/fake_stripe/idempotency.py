"""Idempotency keys by Stripe's v1 rules: the response to the first executed request is replayed for 24 hours."""

from dataclasses import dataclass

from local.fake_stripe.clock import Clock
from local.fake_stripe.stripe_errors import Json, ParameterError, StripeError

REMEMBERED_SECONDS = 24 * 3600
_MAX_LENGTH = 255


@dataclass(frozen=True)
class Answer:
    status: int
    body: Json
    request_id: str


@dataclass
class _Entry:
    fingerprint: str
    since: float
    answer: Answer | None = None


class IdempotencyKeys:
    """Used under the lock of the account."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[str, _Entry] = {}

    def begin(self, key: str, fingerprint: str) -> Answer | None:
        """The response to replay; None if the request is to be executed and `finish` called."""
        if len(key) > _MAX_LENGTH:
            raise ParameterError(f"Idempotency key is too long: it can have up to {_MAX_LENGTH} characters.")
        entry = self._entries.get(key)
        if entry is None or self._clock.now() - entry.since > REMEMBERED_SECONDS:
            self._entries[key] = _Entry(fingerprint, self._clock.now())
            return None
        if entry.fingerprint != fingerprint:
            same = "Keys for idempotent requests can only be used with the same parameters they were first used with."
            other = f"Try using a key other than '{key}' if you meant to execute a different request."
            raise StripeError(400, "idempotency_error", f"{same} {other}")
        if entry.answer is None:
            busy = f"There is currently another in-progress request using this Idempotent Key ({key})."
            raise StripeError(409, "idempotency_error", busy, code="idempotency_key_in_use")
        return entry.answer

    def finish(self, key: str, answer: Answer | None) -> None:
        """Remember the response; None forgets the key, as after a request that was not executed."""
        if answer is None:
            self._entries.pop(key, None)
        else:
            self._entries[key].answer = answer
