"""The booking platform's reservation, and a booking: the reservation with its payment."""

from datetime import date, timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

from shared.domain.models import Instant, Payment, Value
from shared.domain.refund_policy import RefundPolicy

MAX_NIGHTS = 90  # a transaction has at most 100 items, and two of them are the reservation and the payment


def _day(value: Any) -> Any:
    """A date, as text without a time: which day an instant means depends on a time zone that it does not name."""
    if not isinstance(value, str):
        return value
    try:
        day = date.fromisoformat(value)
    except ValueError:
        day = None
    if day is None or day.isoformat() != value:
        raise PydanticCustomError("day", "must be a date, YYYY-MM-DD")
    return day


Day = Annotated[date, BeforeValidator(_day)]


EndReason = Literal[
    "paid", "cancelled_by_guest", "cancelled_by_operator", "cancelled_by_platform", "booked_elsewhere", "hold_ended"
]


class LineItem(Value):
    label: Annotated[str, StringConstraints(min_length=1, max_length=250)]
    amount: Annotated[int, Field(ge=0)]


def _lines_or_none(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    """Lines only decorate Stripe's page, so lines that we cannot show are left out rather than refused."""
    try:
        return validate(value)
    except ValidationError:
        return None


class Reservation(Value):
    """The booking platform's item in the table reservations; `check_out` is exclusive.

    The platform may use statuses of its own, such as `checked_in`. Any status other than `pending`, `cancelled` and
    `expired` means that the stay takes place.
    """

    reservation_id: str
    customer_id: str
    customer_email: str | None = None
    check_in: Day
    check_out: Day
    status: str
    payment_id: str | None = None
    total_amount: int
    created_at: Instant
    refund_policy: RefundPolicy | None = None
    line_items: Annotated[list[LineItem] | None, Field(max_length=100), WrapValidator(_lines_or_none)] = None

    @property
    def takes_place(self) -> bool:
        return self.status not in {"pending", "cancelled", "expired"}

    @property
    def nights(self) -> list[str]:
        """The nights of the stay as ISO-8601 dates. Raises ValueError unless there are 1 to 90."""
        count = (self.check_out - self.check_in).days
        if not 1 <= count <= MAX_NIGHTS:
            raise ValueError(f"reservation {self.reservation_id}: {count} nights, must be 1 to {MAX_NIGHTS}")
        return [(self.check_in + timedelta(days=n)).isoformat() for n in range(count)]


class Booking(Value):
    """A reservation with its payment; `held` are the nights that are still booked for it."""

    reservation: Reservation
    payment: Payment | None
    held: frozenset[str]
    deleted: bool = False  # `reservation` takes the place of one that the platform deleted

    @property
    def nights(self) -> list[str]:
        """The nights of the stay; none where the reservation is deleted and nothing has stored its dates."""
        unknown = self.deleted and (self.payment is None or self.payment.check_in is None)
        return [] if unknown else self.reservation.nights

    @property
    def nights_held(self) -> bool:
        return self.held == set(self.nights)


def payment_of(booking: Booking) -> Payment:
    """The booking's payment, which RecordPayment writes before any other state runs. Raises LookupError."""
    if booking.payment is None:
        raise LookupError(f"no payment item for reservation {booking.reservation.reservation_id}")
    return booking.payment


def end_reason(reservation: Reservation | None, payment: Payment) -> EndReason | None:
    """Why the payment has ended; None while it is pending. A reservation of None is deleted."""
    if payment.status == "pending":
        return None
    if payment.status != "expired":
        return "paid"
    if payment.cancel_requested_at is not None:
        return (
            "cancelled_by_operator"
            if (payment.cancel_requested_by or "").startswith("operator")
            else "cancelled_by_guest"
        )
    if reservation is None:
        return "cancelled_by_platform"
    if reservation.takes_place:
        return "booked_elsewhere"
    return "cancelled_by_platform" if reservation.status == "cancelled" else "hold_ended"
