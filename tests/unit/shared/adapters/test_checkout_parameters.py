"""shared.adapters.checkout_parameters: what is stored and sent to create a session."""

import json
from datetime import date, timedelta
from typing import Any

import pytest
from pydantic import ValidationError
from stripe.params.checkout import _session_create_params

from shared.domain.attempts import session_expires_at
from shared.domain.booking import LineItem, Reservation
from shared.settings import settings
from tests.harness.builders import NOW, reservation
from tests.harness.tables import in_table
from tests.unit.shared.adapters.session_parameters import parameters, strict

STAY = "Casa Azul: 2 nights, 20 December 2026 to 22 December 2026"


@pytest.mark.defect("D-01", "D-06")
def test_the_parameters_of_a_session() -> None:
    """The metadata is in both places, and the amount is in integer cents."""
    metadata = {"stack": "booking-test", "reservation_id": "RES-1", "payment_id": "PAY-RES-1", "attempt": "2"}
    assert json.loads(parameters()) == {
        "mode": "payment",
        "submit_type": "book",
        "allowed_payment_method_types": ["card"],
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": "eur",
                    "unit_amount": 112_500,
                    "product_data": {"name": STAY, "description": "Reservation RES-1"},
                },
            }
        ],
        "client_reference_id": "RES-1",
        "metadata": metadata,
        "payment_intent_data": {"metadata": metadata, "description": f"{STAY} (RES-1)"},
        "expires_at": 1_795_534_500,
        "locale": "auto",
        "success_url": "https://stay.example/booking/success?session_id={CHECKOUT_SESSION_ID}",
        "cancel_url": "https://stay.example/booking/cancel?reservation_id=RES-1",
        "custom_text": {
            "submit": {"message": "If you cancel: full refund until 6 December 2026, no refund after that."}
        },
        "adaptive_pricing": {"enabled": False},
        "customer_email": "ada@guests.example",
    }


@in_table()
def test_the_types_of_the_sdk_refuse_unknown_parameters(wrong: dict[str, Any]) -> None:
    """So a misspelt parameter is found, at any depth."""
    adapter = strict(_session_create_params, "SessionCreateParams")
    with pytest.raises(ValidationError):
        adapter.validate_python(json.loads(parameters()) | wrong)


def test_stripe_asks_a_guest_without_an_email_address_for_one() -> None:
    assert "customer_email" not in json.loads(parameters(reservation(customer_email=None)))


@pytest.mark.defect("D-09")
def test_a_session_is_never_recovered_by_stripe() -> None:
    """`after_expiration.recovery` would create another payable session, unknown to us."""
    assert "after_expiration" not in json.loads(parameters())


@pytest.mark.defect("D-21")
@pytest.mark.parametrize("window", [timedelta(seconds=3), timedelta(minutes=30), timedelta(hours=23)])
def test_expires_at_is_within_stripes_bounds_for_any_window(window: timedelta) -> None:
    """It leaves 5 minutes for clocks that differ and for repeats."""
    sent = json.loads(parameters(expires_at=session_expires_at(NOW, window)))["expires_at"]
    assert sent - NOW.timestamp() >= 35 * 60
    assert sent - NOW.timestamp() <= 24 * 3600
    assert sent - NOW.timestamp() > window.total_seconds()


@pytest.mark.defect("D-02")
def test_equal_parameters_give_equal_text() -> None:
    assert parameters() == parameters()


def test_letters_beyond_ascii_are_stored_unchanged() -> None:
    of = reservation(customer_email="renée@guests.example", check_in=date(2026, 12, 20))
    assert "renée@guests.example" in parameters(of)


@pytest.mark.defect("R-05")
def test_an_email_address_is_trimmed() -> None:
    of = reservation(customer_email=" ada@guests.example \n")
    assert json.loads(parameters(of))["customer_email"] == "ada@guests.example"
    assert "customer_email" not in json.loads(parameters(reservation(customer_email=" ")))


def lines(of: Reservation) -> list[tuple[str, int]]:
    """Name and price of each line of the session."""
    return [
        (line["price_data"]["product_data"]["name"], line["price_data"]["unit_amount"])
        for line in json.loads(parameters(of))["line_items"]
    ]


def test_the_platforms_lines_are_shown_if_they_add_up() -> None:
    stay, cleaning = LineItem(label="Two nights", amount=100_000), LineItem(label="Cleaning", amount=12_500)
    both = [("Two nights", 100_000), ("Cleaning", 12_500)]
    assert lines(reservation(line_items=[stay, cleaning])) == both
    assert lines(reservation(line_items=[stay])) == [(STAY, 112_500)]
    assert lines(reservation(line_items=[])) == [(STAY, 112_500)]


@pytest.mark.parametrize("receipts", [True, False])
def test_a_receipt_and_the_card_statement_follow_the_configuration(
    monkeypatch: pytest.MonkeyPatch, *, receipts: bool
) -> None:
    monkeypatch.setenv("SEND_RECEIPTS", str(receipts).lower())
    monkeypatch.setenv("STATEMENT_DESCRIPTOR_SUFFIX", "CASA AZUL")
    settings.cache_clear()
    sent = json.loads(parameters())["payment_intent_data"]
    settings.cache_clear()
    assert sent["statement_descriptor_suffix"] == "CASA AZUL"
    assert sent.get("receipt_email") == ("ada@guests.example" if receipts else None)
    strict(_session_create_params, "SessionCreateParams").validate_python({"payment_intent_data": sent})
