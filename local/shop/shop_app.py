"""The demo shop at `/`: a booking site on which a newcomer can click the whole system, and `/docs`."""

from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from fastapi import Depends, FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from console import wording
from console.api_client import ApiRefusedError, ApiUnavailableError, SignedOutError
from console.pages import templates
from console.security import RefusedError, Security, check_csrf
from console.sign_in import Session, Sessions
from local.shop import what_if
from local.shop.api_reference import DOCUMENT, reference
from local.shop.shop_bookings import PRICE, Guest, ShopBookings

COOKIE, BOOKING_COOKIE = "shop_session", "shop_booking"
MOST_NIGHTS = 14
FOLDER = Path(__file__).parent
END_REASONS = {
    "hold_ended": "The hold ended before it was paid, so the nights are free again. Nothing was charged.",
    "cancelled_by_guest": "You cancelled it before it was paid. Nothing was charged.",
    "cancelled_by_operator": "It was cancelled before it was paid. Nothing was charged.",
    "cancelled_by_platform": "It was cancelled before it was paid. Nothing was charged.",
    "booked_elsewhere": "It was confirmed in another way, so there is nothing to pay here.",
}

type Json = dict[str, Any]


class Shop:
    """The pages of the shop; `bookings` are what they are about."""

    def __init__(self, bookings: ShopBookings, time_zone: ZoneInfo) -> None:
        self.bookings, self.sessions = bookings, Sessions()
        self._templates = templates(
            FOLDER / "templates",
            amount=wording.amount,
            stay=wording.stay,
            clock=wording.Clock(time_zone),
            scenarios=what_if.SCENARIOS,
            end_reasons=END_REASONS,
        )

    def session(self, request: Request) -> Session:
        return self.sessions.find(request.cookies.get(COOKIE)) or self.sessions.begin()

    async def form(self, request: Request) -> dict[str, str]:
        """The fields of a form that one of our pages sent. Raises RefusedError."""
        fields = {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
        check_csrf(self.session(request).csrf, fields.pop("csrf", None))
        return fields

    def page(self, name: str, request: Request, context: Json, status: int = 200) -> Response:
        session = self.session(request)
        live = "hx-request" in request.headers
        booking = context.get("reservation_id") or request.cookies.get(BOOKING_COOKIE, "")
        shown = {
            "session": session,
            "notice": None if live else session.take_notice(),
            "my_booking": booking,
            "going_wrong": what_if.going_wrong(self.bookings.admin),
            "reservation_id": "",
            **context,
        }
        answer = HTMLResponse(self._templates.get_template(name).render(shown), status)
        answer.set_cookie(COOKIE, session.id, httponly=True, samesite="lax")
        answer.set_cookie(BOOKING_COOKIE, booking, httponly=True, samesite="lax")
        return answer

    def say(self, request: Request, text: str, to: str, *, tone: Literal["notice", "error"] = "notice") -> Response:
        """Go to a page, which says this."""
        session = self.session(request)
        session.say(text, tone=tone)
        answer = RedirectResponse(to, 303)
        answer.set_cookie(COOKIE, session.id, httponly=True, samesite="lax")
        return answer


def create_shop(bookings: ShopBookings, *, hosts: list[str], time_zone: ZoneInfo) -> Security:
    app = FastAPI(title="Demo shop", openapi_url=None, docs_url=None, redoc_url=None)
    shop = Shop(bookings, time_zone)
    app.mount("/shop", StaticFiles(directory=FOLDER / "static"))
    _add_home(app, shop)
    _add_booking(app, shop)
    _add_payment(app, shop)
    _add_what_if(app, shop)
    _add_errors(app, shop)

    @app.get("/docs")
    def docs(request: Request) -> Response:
        return shop.page("docs.html", request, {"reference": reference(), "url": bookings.url})

    @app.get("/docs/openapi.json")
    def document() -> Response:
        return FileResponse(DOCUMENT)

    def refuse(error: RefusedError) -> Response:
        return HTMLResponse(f"<!doctype html><title>Refused</title><p>{error.problem} {error.help}", 403)

    return Security(app, hosts=hosts, refuse=refuse)


def _add_home(app: FastAPI, shop: Shop) -> None:
    form = Annotated[dict[str, str], Depends(shop.form)]

    @app.get("/")
    def home(request: Request, check_in: date | None = None) -> Response:
        context = {"months": shop.bookings.months(), "chosen": check_in, "price": PRICE, "most": MOST_NIGHTS}
        return shop.page("calendar.html", request, context)

    @app.post("/hold")
    def hold(request: Request, fields: form) -> Response:
        try:
            check_in, nights = date.fromisoformat(fields["check_in"]), int(fields["nights"])
            reservation_id = shop.bookings.hold(check_in, min(max(nights, 1), MOST_NIGHTS))
        except LookupError:
            return shop.say(request, "One of these nights has just been taken. Choose others.", "/", tone="error")
        except ValueError:
            return shop.say(request, "Choose the first night in the calendar.", "/", tone="error")
        return shop.say(request, "We keep these nights for you.", f"/booking/{reservation_id}")


def _booking(guest: Guest, status: Json) -> Json:
    paid = status["status"] in {"completed", "partially_refunded"} and status["reservation_status"] == "confirmed"
    context = {"reservation_id": guest.id, "reservation": guest.reservation, "status": status}
    return {**context, "quote": guest.quote() if paid else None, "live": status.get("poll_after_seconds") is not None}


def _add_booking(app: FastAPI, shop: Shop) -> None:
    @app.get("/booking/success")
    def success(request: Request, session_id: str = "", reservation_id: str = "") -> Response:
        if not reservation_id:  # the API's own address names the session only
            sessions = shop.bookings.admin.fake_stripe
            reservation_id = str(sessions.get("checkout.session", session_id)["client_reference_id"])
        guest = shop.bookings.guest(reservation_id)
        context = _booking(guest, guest.status(session_id or None))
        return shop.page(
            "_success.html" if "hx-request" in request.headers else "success.html",
            request,
            {**context, "session_id": session_id},
        )

    @app.get("/booking/cancel")
    def not_paid(request: Request, reservation_id: str) -> Response:
        guest = shop.bookings.guest(reservation_id)
        return shop.page("not_paid.html", request, _booking(guest, guest.status()))

    @app.get("/booking/{reservation_id}")
    def booking(request: Request, reservation_id: str) -> Response:
        guest = shop.bookings.guest(reservation_id)
        name = "_booking.html" if "hx-request" in request.headers else "booking.html"
        return shop.page(name, request, _booking(guest, guest.status()))

    @app.get("/booking/{reservation_id}/cancel")
    def confirm(request: Request, reservation_id: str) -> Response:
        guest = shop.bookings.guest(reservation_id)
        return shop.page("cancel_stay.html", request, _booking(guest, guest.status()))


def _add_payment(app: FastAPI, shop: Shop) -> None:
    form = Annotated[dict[str, str], Depends(shop.form)]

    @app.post("/booking/{reservation_id}/pay")
    def pay(request: Request, reservation_id: str, _: form) -> Response:
        page = shop.bookings.guest(reservation_id).pay_now()
        if page is None:
            said = "Your payment page is not ready yet. Try again in a moment."
            return shop.say(request, said, f"/booking/{reservation_id}", tone="error")
        if page.startswith(shop.bookings.url):
            return RedirectResponse(page, 303)
        # A form may lead to our own pages only.
        return shop.page("to_stripe.html", request, {"page": page, "reservation_id": reservation_id})

    @app.post("/booking/{reservation_id}/cancel-hold")
    def cancel_hold(request: Request, reservation_id: str, _: form) -> Response:
        shop.bookings.guest(reservation_id).cancel_hold()
        return shop.say(request, "Your hold is cancelled.", f"/booking/{reservation_id}")

    @app.post("/booking/{reservation_id}/cancel")
    def cancel(request: Request, reservation_id: str, _: form) -> Response:
        shop.bookings.guest(reservation_id).cancel_stay()
        return shop.say(request, "Your stay is cancelled.", f"/booking/{reservation_id}")


def _add_what_if(app: FastAPI, shop: Shop) -> None:
    form = Annotated[dict[str, str], Depends(shop.form)]

    @app.post("/what-if/{name}")
    def happen(request: Request, name: str, fields: form) -> Response:
        reservation_id = fields.get("reservation_id", "")
        to = f"/booking/{reservation_id}" if reservation_id else "/"
        try:
            return shop.say(request, what_if.run(shop.bookings.admin, name, reservation_id), to)
        except ValueError as error:
            return shop.say(request, str(error), to, tone="error")


def _add_errors(app: FastAPI, shop: Shop) -> None:
    def message(request: Request, title: str, text: str, status: int) -> Response:
        return shop.page("shop_message.html", request, {"title": title, "text": text}, status)

    @app.exception_handler(RefusedError)
    def refused(request: Request, error: RefusedError) -> Response:
        return message(request, "Nothing was done", f"{error.problem} {error.help}", 403)

    @app.exception_handler(ApiRefusedError)
    def api_refused(request: Request, error: ApiRefusedError) -> Response:
        said = f"{error.message} {error.recovery}"
        if request.method == "POST" and (reservation_id := request.path_params.get("reservation_id")):
            return shop.say(request, said, f"/booking/{reservation_id}", tone="error")
        return message(request, "That is not possible", said, error.status)

    @app.exception_handler(ApiUnavailableError)
    @app.exception_handler(SignedOutError)
    def unavailable(request: Request, _: Exception) -> Response:
        return message(request, "One moment", "We could not reach our payments. Please try again.", 502)

    @app.exception_handler(LookupError)
    def unknown(request: Request, _: LookupError) -> Response:
        return message(request, "Not found", "We do not know this booking.", 404)

    @app.exception_handler(404)
    def not_found(request: Request, _: Exception) -> Response:
        return message(request, "Not found", "There is no such page.", 404)
