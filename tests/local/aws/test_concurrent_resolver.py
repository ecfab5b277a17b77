"""Concurrent invocations of a function in one process: each sees its own event."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.event_handler.api_gateway import BaseRouter, Router

from local.aws import emulator


def test_concurrent_invocations_see_their_own_event() -> None:
    emulator.install()
    router = Router()  # type: ignore[no-untyped-call]
    together = threading.Barrier(8)

    @router.get("/bookings/<booking_id>")
    def booking(booking_id: str) -> dict[str, Any]:
        together.wait(10)
        claims = [of.current_event.raw_event["requestContext"]["claim"] for of in (router, BaseRouter)]
        return {"argument": booking_id, "claims": claims}

    app = APIGatewayRestResolver()
    app.include_router(router)

    def ask(number: int) -> str:
        event = {
            "path": f"/bookings/{number}",
            "httpMethod": "GET",
            "requestContext": {"stage": "$default", "path": f"/bookings/{number}", "claim": str(number)},
        }
        body: str = app.resolve(event, object())["body"]  # type: ignore[arg-type]
        return body

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(8)))

    assert answers == [f'{{"argument":"{n}","claims":["{n}","{n}"]}}' for n in range(8)]
