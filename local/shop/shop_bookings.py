"""The demo shop's bookings: it is the booking platform, so it holds nights itself, and pays through the HTTP API."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import requests

from console.api_client import Api, ApiRefusedError
from local.admin_api.local_admin import LocalAdmin

PRICE = 22_500  # cents for one night
DAYS_SHOWN = 56

type Json = dict[str, Any]


class Guest:
    """The guest of one booking. Raises LookupError where there is no such reservation."""

    def __init__(self, shop: "ShopBookings", reservation_id: str) -> None:
        self.reservation = shop.admin.reservation(reservation_id)
        self.id = reservation_id
        self._url = shop.url
        token = shop.admin.token(self.reservation["customer_id"])["token"]
        self._api = Api(f"{shop.url}/{shop.stage}", shop.connection, token)

    def status(self, session_id: str | None = None) -> Json:
        query = {} if session_id is None else {"session_id": session_id}
        return self._api.call("GET", f"/{self.id}/status", query=query)

    def pay_now(self) -> str | None:
        """Where to pay; None while the page is not ready yet."""
        back = f"{self._url}/booking/{{}}?reservation_id={self.id}"
        body = {
            "reservation_id": self.id,
            "success_url": back.format("success") + "&session_id={CHECKOUT_SESSION_ID}",
            "cancel_url": back.format("cancel"),
        }
        retry = self.status()["can_retry"] and self.status()["payment_attempts"] > 0
        answer = self._api.call("POST", f"/{self.id}/retry", {}) if retry else self._start(body)
        return answer.get("checkout_url")

    def _start(self, body: Json) -> Json:
        return self._api.call("POST", "/checkout-session", body)

    def quote(self) -> Json | None:
        """What a cancellation gives back now; None where there is nothing to give back."""
        try:
            return self._api.refund_quote(self.id)
        except ApiRefusedError:
            return None

    def cancel_hold(self) -> None:
        self._api.cancel(self.id)

    def cancel_stay(self) -> None:
        """Cancel with what the policy gives back, even if that is nothing: the guest has read how much it is."""
        quote = self.quote()
        self._api.refund(self.id, {"accept_no_refund": True} if quote and quote["amount"] == 0 else {})


class ShopBookings:
    def __init__(self, url: str, *, stage: str, admin: LocalAdmin) -> None:
        self.url, self.stage, self.admin = url, stage, admin
        self.connection = requests.Session()

    def guest(self, reservation_id: str) -> Guest:
        return Guest(self, reservation_id)

    def months(self) -> list[tuple[date, list[tuple[date | None, bool]]]]:
        """The next nights by month: each with whether it is free, None for a day that is not offered."""
        first = datetime.now(UTC).date() + timedelta(days=1)
        free = self.admin.free_nights(first, DAYS_SHOWN)
        months: dict[date, list[tuple[date | None, bool]]] = {}
        for number in range(DAYS_SHOWN):
            day = first + timedelta(days=number)
            month = months.setdefault(day.replace(day=1), [(None, False)] * day.weekday())
            month.append((day, day in free))
        return list(months.items())

    def hold(self, check_in: date, nights: int) -> str:
        """The id of a new reservation. Raises LookupError where a night is taken."""
        reservation = self.admin.reserve(nights=nights, check_in=check_in, total_amount=nights * PRICE)
        return str(reservation["reservation_id"])
