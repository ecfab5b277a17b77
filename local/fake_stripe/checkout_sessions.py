"""Checkout Sessions: creation with every limit that Stripe checks, and expiry by request and by the clock."""

from typing import Final
from urllib.parse import urlsplit

from local.fake_stripe.account import Account
from local.fake_stripe.objects import build, new_id
from local.fake_stripe.stripe_errors import InvalidRequestError, Json, ParameterError

MIN_SECONDS: Final = 30 * 60
MAX_SECONDS: Final = 24 * 3600
MIN_AMOUNT: Final = {"eur": 50, "usd": 50, "gbp": 30, "chf": 50}
MAX_AMOUNT: Final = 99_999_999
_MAX_LINE_ITEMS, _MAX_REFERENCE, _MAX_CUSTOM_TEXT = 100, 200, 1200
_CUSTOM_TEXTS = ("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")

# Parameters that the fake supports. All others that Stripe knows are refused, never ignored.
_SUPPORTED = {
    "adaptive_pricing",
    "after_expiration",
    "allowed_payment_method_types",
    "billing_address_collection",
    "cancel_url",
    "client_reference_id",
    "custom_text",
    "customer_creation",
    "customer_email",
    "expand",
    "expires_at",
    "line_items",
    "locale",
    "metadata",
    "mode",
    "payment_intent_data",
    "submit_type",
    "success_url",
    "ui_mode",
}
_PAYMENT_INTENT_DATA = {
    "description",
    "metadata",
    "receipt_email",
    "statement_descriptor",
    "statement_descriptor_suffix",
}


def create(account: Account, params: Json) -> Json:
    if params.get("mode") != "payment":
        raise ParameterError("The fake supports mode=payment only.", param="mode")
    _refuse_unsupported(params)
    _check_addresses(params)
    if len(params.get("client_reference_id", "")) > _MAX_REFERENCE:
        raise ParameterError(
            f"Invalid string: must be at most {_MAX_REFERENCE} characters", param="client_reference_id"
        )
    items, currency = _line_items(params)
    amount = _total(items, currency)
    now = account.clock.timestamp()
    session_id = new_id("cs_test")
    session = build(
        "checkout.session",
        id=session_id,
        adaptive_pricing={"enabled": params.get("adaptive_pricing", {}).get("enabled", True)},
        after_expiration=params.get("after_expiration"),
        allowed_payment_method_types=params.get("allowed_payment_method_types"),
        amount_subtotal=amount,
        amount_total=amount,
        automatic_tax={"enabled": False, "liability": None, "provider": None, "status": None},
        billing_address_collection=params.get("billing_address_collection"),
        cancel_url=params.get("cancel_url"),
        client_reference_id=params.get("client_reference_id"),
        created=now,
        currency=currency,
        custom_fields=[],
        custom_text=_custom_text(params),
        customer_creation=params.get("customer_creation", "if_required"),
        customer_details={"email": params["customer_email"]} if "customer_email" in params else None,
        customer_email=params.get("customer_email"),
        expires_at=_expires_at(params, now),
        locale=params.get("locale"),
        metadata=params.get("metadata") or {},
        mode="payment",
        payment_method_collection="if_required",
        payment_method_options={},
        payment_method_types=["card"],
        payment_status="unpaid",
        shipping_options=[],
        status="open",
        submit_type=params.get("submit_type"),
        success_url=params["success_url"],
        total_details={"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        ui_mode=params.get("ui_mode", "hosted_page"),
        url=f"{account.base_url}/pay/{session_id}",
    )
    account.payment_intent_data[session_id] = params.get("payment_intent_data", {})
    account.add(session)
    listed = {
        "object": "list",
        "data": items,
        "has_more": False,
        "url": f"/v1/checkout/sessions/{session_id}/line_items",
    }
    account.add(listed | {"id": f"{session_id}/line_items"})
    account.clock.at(session["expires_at"], lambda: _expire_when_due(account, session))
    return session


def _custom_text(params: Json) -> Json:
    texts: Json = params.get("custom_text", {})
    for name, text in texts.items():
        if not 0 < len(text.get("message", "")) <= _MAX_CUSTOM_TEXT:
            raise ParameterError(
                f"Invalid string: must be 1 to {_MAX_CUSTOM_TEXT} characters", param=f"custom_text[{name}][message]"
            )
    return dict.fromkeys(_CUSTOM_TEXTS) | texts


def expire(account: Account, _params: Json, session_id: str) -> Json:
    session = account.get("checkout.session", session_id, param="session")
    if session["status"] != "open":
        state = f"This Checkout Session has a status of `{session['status']}`"
        raise InvalidRequestError(f'Only Checkout Sessions with a status in ["open"] can be expired. {state}.')
    end(account, session)
    return session


def end(account: Account, session: Json) -> None:
    """Open → expired, with the effect on a payment in progress."""
    session |= {"status": "expired", "url": None}
    if session["payment_intent"]:
        _end_payment(account, account.get("payment_intent", session["payment_intent"]))
    account.emit("checkout.session.expired", session)


def _expire_when_due(account: Account, session: Json) -> None:
    if session["status"] == "open":
        end(account, session)


def _end_payment(account: Account, intent: Json) -> None:
    """Cancel the payment, unless it is in progress (processing, 3-D Secure) and may still succeed."""
    challenged = intent["status"] == "requires_action" and account.challenge_after_expiry != "canceled"
    if intent["status"] == "processing" or challenged:
        return
    cancel_payment(account, intent)


def cancel_payment(account: Account, intent: Json) -> None:
    now = account.clock.timestamp()
    intent |= {"status": "canceled", "canceled_at": now, "cancellation_reason": "automatic", "next_action": None}
    account.emit("payment_intent.canceled", intent)


def _expires_at(params: Json, now: int) -> int:
    expires_at: int = params.get("expires_at", now + MAX_SECONDS)
    if expires_at < now + MIN_SECONDS:
        message = "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation."
    elif expires_at > now + MAX_SECONDS:
        message = "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation."
    else:
        return expires_at
    raise ParameterError(message, param="expires_at")


def _line_items(params: Json) -> tuple[list[Json], str]:
    given = params.get("line_items", [])
    if not 1 <= len(given) <= _MAX_LINE_ITEMS:
        raise ParameterError(
            f"`payment` mode needs between 1 and {_MAX_LINE_ITEMS} `line_items`.",
            code="parameter_missing",
            param="line_items",
        )
    items = [_line_item(item, f"line_items[{number}]") for number, item in enumerate(given)]
    currencies = {item["currency"] for item in items}
    if len(currencies) > 1:
        raise ParameterError("All line items must have the same currency.", param="line_items")
    return items, currencies.pop()


def _line_item(item: Json, path: str) -> Json:
    if unknown := item.keys() - {"price_data", "quantity"}:
        raise _unsupported(f"{path}[{min(unknown)}]")
    price = item.get("price_data")
    if price is None:
        raise ParameterError(
            f"You must specify either the `price` or `price_data` parameter for {path}.",
            code="parameter_missing",
            param=path,
        )
    if unknown := price.keys() - {"currency", "unit_amount", "product_data"}:
        raise _unsupported(f"{path}[price_data][{min(unknown)}]")
    for name in ("unit_amount", "product_data"):
        if name not in price:
            where = f"{path}[price_data][{name}]"
            raise ParameterError(f"Missing required param: {where}.", code="parameter_missing", param=where)
    if price["currency"] not in MIN_AMOUNT:
        supported = ", ".join(MIN_AMOUNT)
        raise ParameterError(
            f"Invalid currency: {price['currency']}. The fake supports {supported}.",
            param=f"{path}[price_data][currency]",
        )
    quantity, unit_amount = item.get("quantity", 1), price["unit_amount"]
    for name, value, least in (("quantity", quantity, 1), ("price_data][unit_amount", unit_amount, 0)):
        if value < least:
            text = f"This value must be greater than or equal to {least}."
            raise ParameterError(text, code="parameter_invalid_integer", param=f"{path}[{name}]")
    total = quantity * unit_amount
    money = {
        "currency": price["currency"],
        "amount_subtotal": total,
        "amount_total": total,
        "amount_discount": 0,
        "amount_tax": 0,
    }
    return {
        "id": new_id("li"),
        "object": "item",
        "description": price["product_data"]["name"],
        "quantity": quantity,
        **money,
    }


def _total(items: list[Json], currency: str) -> int:
    total = sum(item["amount_total"] for item in items)
    if total < MIN_AMOUNT[currency]:
        least = f"{MIN_AMOUNT[currency] / 100:.2f} {currency}"
        raise ParameterError(
            f"The Checkout Session's total amount due must add up to at least {least}", code="amount_too_small"
        )
    if total > MAX_AMOUNT:
        most = f"{MAX_AMOUNT / 100:,.2f} {currency}"
        raise ParameterError(
            f"The Checkout Session's total amount due must be no more than {most}", code="amount_too_large"
        )
    return int(total)


def _refuse_unsupported(params: Json) -> None:
    for name in sorted(params.keys() - _SUPPORTED):
        raise _unsupported(name)
    for name in sorted(params.get("payment_intent_data", {}).keys() - _PAYMENT_INTENT_DATA):
        raise _unsupported(f"payment_intent_data[{name}]")
    if params.get("ui_mode", "hosted_page") != "hosted_page":
        raise _unsupported("ui_mode")
    if "card" not in params.get("allowed_payment_method_types", ["card"]):
        raise ParameterError(
            "No payment method is left: the fake supports cards only.", param="allowed_payment_method_types"
        )


def _unsupported(path: str) -> ParameterError:
    return ParameterError(f"The fake does not support the parameter {path}.", param=path)


def _check_addresses(params: Json) -> None:
    if "success_url" not in params:
        raise ParameterError("Missing required param: success_url.", code="parameter_missing", param="success_url")
    for name in ("success_url", "cancel_url"):
        parts = urlsplit(params.get(name, "https://example.com"))
        if parts.scheme not in ("http", "https") or not parts.hostname:
            text = "Not a valid URL. URLs must begin with http or https."
            raise ParameterError(text, code="url_invalid", param=name)
    email = params.get("customer_email")
    if email is not None and (
        email.count("@") != 1 or email.startswith("@") or "." not in email.split("@")[1] or any(map(str.isspace, email))
    ):
        raise ParameterError(f"Invalid email address: {email}", code="email_invalid", param="customer_email")
