"""A clock that stands still until a test advances it."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.harness.builders import NOW

if TYPE_CHECKING:
    from local.fake_stripe.fake_stripe import FakeStripe


class _AnyDatetime(type):
    """Makes every `datetime` an instance of the class, as code with `isinstance` expects."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, datetime)


class Clock:
    """The time of the functions and of the Stripe fake, which advance together."""

    def __init__(self) -> None:
        self.now = NOW
        self.fake_stripe: FakeStripe | None = None

    def advance(self, by: timedelta) -> None:
        self.now += by
        if self.fake_stripe is not None:
            self.fake_stripe.clock.advance(by.total_seconds())

    def frozen_datetime(self) -> type[datetime]:
        """Return a `datetime` class whose `now` is this clock's."""
        clock = self

        class Frozen(datetime, metaclass=_AnyDatetime):
            @classmethod
            def now(cls, tz: Any = None) -> Any:
                return clock.now.astimezone(tz or UTC)

        return Frozen
