"""The hosted pay page: the card form, the bank's challenge page, and the messages when a payment does not succeed."""

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable
from html import escape
from string import Template
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from local.fake_stripe import payment_intents
from local.fake_stripe.account import Account
from local.fake_stripe.cards import CARDS
from local.fake_stripe.stripe_errors import InvalidRequestError, Json

_PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,"><title>$title</title>
<style>$style</style></head><body><main>$body</main></body></html>""")

_STYLE = """body { font: 16px/1.5 system-ui, sans-serif; margin: 0; }
body { color: light-dark(#1a1f36, #e6e9f0); background: light-dark(#f6f8fa, #10141b); }
main { max-width: 26rem; margin: 3rem auto; padding: 2rem; border-radius: .5rem; }
main { background: light-dark(#fff, #1a1f2b); }
h1 { font-size: 1.25rem; margin-top: 0; } .amount { font-size: 2rem; font-weight: 600; }
label { display: block; margin: .75rem 0; }
input { width: 100%; box-sizing: border-box; padding: .5rem; font: inherit; }
button { width: 100%; padding: .6rem; font: inherit; color: #fff; background: #0b5fff; border: 0; margin-top: .5rem; }
table { width: 100%; border-collapse: collapse; } a { color: light-dark(#0b4f94, #8ec2ff); }
.error { color: light-dark(#a1102a, #ffb3c0); background: light-dark(#fdeef0, #4a1220); }
.error { padding: .5rem .75rem; border-radius: .3rem; }
table { font-size: .8rem; } td { padding-right: .75rem; }
.card { margin: 0; padding: .3rem .5rem; font-family: monospace; }
.card { color: light-dark(#0b4f94, #8ec2ff); background: light-dark(#eef3fb, #22304a); }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
# A form may lead anywhere: after a payment the guest returns to the booking site.
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; base-uri 'none'; frame-ancestors 'none'"
)

_FORM = Template("""<h1>$description</h1><p class="amount">$amount</p>$problem
<form method="post" action="$action">
<label>Card number <input name="card_number" inputmode="numeric" autocomplete="off" required autofocus></label>
<p>$terms</p><button>Pay $amount</button></form>$back
<form method="post" action="$action">
<p>This is a fake Stripe; no money is moved. Press a test card to pay with it:</p><table>$cards</table></form>""")

_CHALLENGE = Template("""<h1>Your bank asks you to confirm this payment</h1><p>$description, $amount</p>
<form method="post" action="$action"><button name="outcome" value="pass">Complete authentication</button>
<button name="outcome" value="fail">Fail authentication</button></form>""")


def routes(account: Account) -> list[Route]:
    def page(
        handler: Callable[[Account, Request, Json], Awaitable[Response]],
    ) -> Callable[[Request], Awaitable[Response]]:
        async def serve(request: Request) -> Response:
            with account.current():
                try:
                    session = account.get("checkout.session", request.path_params["session_id"])
                except InvalidRequestError:
                    return _message("This payment page does not exist.", 404)
            return await handler(account, request, session)

        return serve

    return [
        Route("/pay/{session_id}", page(_show_form), methods=["GET"]),
        Route("/pay/{session_id}", page(_pay), methods=["POST"]),
        Route("/pay/{session_id}/challenge", page(_show_challenge), methods=["GET"]),
        Route("/pay/{session_id}/challenge", page(_answer_challenge), methods=["POST"]),
    ]


async def _show_form(account: Account, _request: Request, session: Json) -> Response:
    if session["status"] != "open":
        return _message(payment_intents.closed_message(session), 410)
    return _form(account, session)


async def _pay(account: Account, request: Request, session: Json) -> Response:
    number = (await _field(request, "card_number")).replace(" ", "")
    card = CARDS.get(number)
    if card is None and session["status"] != "open":
        return _message(payment_intents.closed_message(session), 410)
    if card is None:
        # Checkout's own form rejects a wrong number before anything is sent.
        return _form(account, session, "Your card number is invalid. Use one of the test cards below.", 402)
    with account.current():
        outcome = payment_intents.pay(account, session["id"], card)
    return await _show(account, session, outcome)


async def _show_challenge(account: Account, _request: Request, session: Json) -> Response:
    action = f"{account.base_url}/pay/{session['id']}/challenge"
    return _html("Authentication", _CHALLENGE.substitute(_shown(account, session), action=action))


async def _answer_challenge(account: Account, request: Request, session: Json) -> Response:
    answer = await _field(request, "outcome")
    if answer not in ("pass", "fail"):
        return _message("The outcome must be pass or fail.", 400)
    with account.current():
        outcome = payment_intents.answer_challenge(account, session["id"], passed=answer == "pass")
    return await _show(account, session, outcome)


async def _show(account: Account, session: Json, outcome: payment_intents.Outcome) -> Response:
    match outcome.kind:
        case "paid":
            if outcome.answered:
                await asyncio.wait(
                    [asyncio.wrap_future(answered) for answered in outcome.answered],
                    timeout=account.redirect_wait_seconds,
                )
            return RedirectResponse(session["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"]), 303)
        case "challenge":
            return RedirectResponse(f"{account.base_url}/pay/{session['id']}/challenge", 303)
        case "declined" if session["status"] == "open":
            return _form(account, session, outcome.message, 402)
        case "declined":
            return _message(outcome.message, 402)
        case _:
            return _message(outcome.message, 410 if outcome.kind == "refused" else 200)


async def _field(request: Request, name: str) -> str:
    return parse_qs((await request.body()).decode(errors="replace")).get(name, [""])[0]


def _shown(account: Account, session: Json) -> dict[str, str]:
    items = account.fetch(f"{session['id']}/line_items") or {"data": []}
    description = ", ".join(item["description"] for item in items["data"])
    return {
        "description": escape(description),
        "terms": escape((session["custom_text"]["submit"] or {}).get("message", "")),
        "amount": f"{session['currency'].upper()} {session['amount_total'] / 100:,.2f}",
    }


def _form(account: Account, session: Json, problem: str = "", status: int = 200) -> Response:
    cards = "".join(
        f'<tr><td><button class="card" name="card_number" value="{card.number}">{card.number}</button></td>'
        f"<td>{escape(card.does)}</td></tr>"
        for card in CARDS.values()
    )
    back = (
        f'<p><a href="{escape(session["cancel_url"])}">Go back without paying</a></p>' if session["cancel_url"] else ""
    )
    body = _FORM.substitute(
        _shown(account, session),
        action=f"{account.base_url}/pay/{session['id']}",
        back=back,
        cards=cards,
        problem=f'<p class="error" role="alert">{escape(problem)}</p>' if problem else "",
    )
    return _html("Pay", body, status)


def _message(text: str, status: int) -> Response:
    return _html("Payment", f"<h1>Payment</h1><p>{escape(text)}</p>", status)


def _html(title: str, body: str, status: int = 200) -> Response:
    page = _PAGE.substitute(title=title, style=_STYLE, body=body)
    return HTMLResponse(page, status, {"Content-Security-Policy": _POLICY})
