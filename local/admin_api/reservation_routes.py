"""Reservations, tokens and stored items: what the booking platform does and owns."""

from datetime import date

from fastapi import FastAPI, HTTPException

from local.admin_api.executions import Json
from local.admin_api.local_admin import LocalAdmin
from local.admin_api.request_bodies import NewReservation, NewToken, ReservationChanges


def add_routes(app: FastAPI, admin: LocalAdmin) -> None:
    @app.post("/reservations", status_code=201)
    def reserve(body: NewReservation) -> Json:
        """Hold dates for a guest: a pending reservation with a `guest_token`."""
        try:
            return admin.reserve(**body.model_dump())
        except LookupError as taken:
            raise HTTPException(409, str(taken)) from None

    @app.get("/reservations/{reservation_id}")
    def reservation(reservation_id: str) -> Json:
        """The reservation as stored."""
        return admin.reservation(reservation_id)

    @app.patch("/reservations/{reservation_id}")
    def change(reservation_id: str, body: ReservationChanges) -> Json:
        """Change its `status` or `total_amount` (cents) as the booking platform may at any time."""
        admin.reservation(reservation_id)
        return admin.change_reservation(reservation_id, **body.model_dump())

    @app.post("/tokens", status_code=201)
    def token(body: NewToken) -> Json:
        """A JWT for a guest, or for an operator with `groups`."""
        return admin.token(body.customer_id, body.groups)

    @app.get("/payments/{payment_id}")
    def payment(payment_id: str) -> Json:
        """The payment as stored, by payment id or reservation id."""
        return admin.payment(payment_id)

    @app.get("/availability/{day}")
    def night(day: date) -> Json:
        """The date as stored."""
        return admin.night(day.isoformat())
