"""The registry of functions that handle Stripe's events, and what they all need."""

from collections.abc import Callable
from typing import Literal

from pydantic import BaseModel, ValidationError

from shared.contracts.stripe_objects import StripeEvent
from shared.domain.api_errors import ApiError
from shared.observability import logger
from shared.services.ownership import Owner

type Result = Literal["success", "duplicate", "skipped"]
type Outcome = tuple[Result, str]  # the result, and a message that explains it
type EventHandler = Callable[[StripeEvent, Owner], Outcome]

HANDLERS: dict[str, EventHandler] = {}


def handles(*types: str) -> Callable[[EventHandler], EventHandler]:
    """Register a function for these types of event."""

    def register(handler: EventHandler) -> EventHandler:
        HANDLERS.update(dict.fromkeys(types, handler))
        return handler

    return register


def read_object[Object: BaseModel](model: type[Object], event: StripeEvent) -> Object:
    """The event's object; its content stays out of the log. Raises INVALID_PAYLOAD if it is of another kind."""
    try:
        return model.model_validate(event.object)
    except ValidationError as error:
        wrong = [".".join(map(str, entry["loc"])) for entry in error.errors(include_input=False)]
        logger.error("unreadable event", fields=wrong)
        raise ApiError("INVALID_PAYLOAD") from None
