"""A clock that stands still until a test advances it."""

import importlib
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import TYPE_CHECKING, Any

from tests.harness.builders import NOW

if TYPE_CHECKING:
    from local.fake_stripe.fake_stripe import FakeStripe


class Clock:
    """The time of the functions and of the Stripe fake, which advance together."""

    def __init__(self) -> None:
        self.now = NOW
        self.fake_stripe: FakeStripe | None = None

    def advance(self, by: timedelta) -> None:
        self.now += by
        if self.fake_stripe is not None:
            self.fake_stripe.clock.advance(by.total_seconds())

    def reads(self, module: str) -> tuple[ModuleType, type[datetime]]:
        """Return the module, and a `datetime` class for it whose `now` is this clock's."""
        clock = self

        class Frozen(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> Any:
                return clock.now.astimezone(tz or UTC)

        return importlib.import_module(module), Frozen
