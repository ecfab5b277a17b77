"""Logs and metrics, the same for every function.

Keys are bound per thread, since many invocations share one process on the local stack. API Gateway, Lambda and Step
Functions record the traces themselves (docs/decisions.md).
"""

import functools
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from traceback import walk_tb
from typing import Any

from aws_lambda_powertools import Logger, single_metric
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError
from pydantic import ValidationError

from shared.start_up import start_up

logger = Logger(use_rfc3339=True, utc=True)


@dataclass(frozen=True)
class Actor:
    """Who makes the changes of this invocation, and the id that its log lines carry."""

    name: str
    correlation_id: str


_ACTOR: ContextVar[Actor] = ContextVar("actor")


def actor() -> Actor:
    """Who acts in this thread. Raises LookupError outside an invocation."""
    return _ACTOR.get()


def act_as(name: str) -> None:
    """Set who acts from now on: `operator:{sub}`, `guest:{customer_id}`, `workflow:{execution}`, `stripe:{event}`.

    Outside an invocation the name is the correlation id as well.
    """
    _ACTOR.set(replace(_ACTOR.get(Actor(name, name)), name=name))


class UnexpectedError(Exception):
    """Takes the place of an error of another library, whose message may quote what must not be passed on."""


type Handler = Callable[[dict[str, Any], LambdaContext], Any]


def entry_point(handler: Handler) -> Handler:
    """Prepare the container, bind each invocation's ids to its log lines, and log the class of an error that it raises.

    State handlers take the ids from their input; HTTP handlers use the gateway's request id as the correlation id.
    """

    @functools.wraps(handler)
    def observed(event: dict[str, Any], context: LambdaContext) -> Any:
        request, execution = event.get("requestContext", {}), event.get("execution")
        correlation_id = request.get("requestId") or execution
        name = f"workflow:{execution}" if execution else f"function:{context.function_name}"
        _ACTOR.set(Actor(name, correlation_id or context.aws_request_id))
        bind(
            function_name=context.function_name,
            function_request_id=context.aws_request_id,
            correlation_id=correlation_id,
            execution=execution,
            reservation_id=event.get("reservation_id"),
            payment_id=event.get("payment_id"),
        )
        try:
            return handler(event, context)
        except Exception as error:
            reason = describe(error)
            if reason == str(error):
                logger.warning("failed", error=type(error).__name__, reason=reason)
                raise
            log_failure("failed", error)
            raise UnexpectedError(f"{type(error).__name__}: {reason}") from None
        finally:
            logger.thread_safe_clear_keys()

    start_up(lambda step, error: log_failure("not prepared", error, step=step))
    return observed


def describe(error: BaseException) -> str:
    """Why something failed: the message of an error of ours, or of any other what cannot quote a key or an item."""
    if isinstance(error, ClientError):
        return f"{error.response.get('Error', {}).get('Code')} in {error.operation_name}"
    if isinstance(error, ValidationError):
        return ", ".join(f"{'.'.join(map(str, entry['loc']))}: {entry['type']}" for entry in error.errors())
    builtin = type(error) in {LookupError, RuntimeError} and _raised_by_us(error)
    return str(error) if builtin or type(error).__module__.startswith(f"{__package__}.") else "see where"


def _raised_by_us(error: BaseException) -> bool:
    """Whether the error was raised in our code, rather than in a library that it calls."""
    raised_in = [frame.f_globals["__name__"] for frame, _ in walk_tb(error.__traceback__)][-1:]
    return any(module.startswith((f"{__package__}.", "lambdas.")) for module in raised_in)


def log_failure(message: str, error: BaseException, **keys: object) -> None:
    """Log an unexpected error and where it happened; a traceback would also quote what other libraries say."""
    where = [f"{Path(frame.f_code.co_filename).name}:{line}" for frame, line in walk_tb(error.__traceback__)]
    logger.error(message, error=type(error).__name__, reason=describe(error), where=where, extra=keys)


def bind(**keys: object) -> None:
    """Add keys to all further log lines of this invocation; None values are left out."""
    logger.thread_safe_append_keys(**{name: value for name, value in keys.items() if value is not None})


def count(name: str, value: float = 1, unit: MetricUnit = MetricUnit.Count, **dimensions: str) -> None:
    """Emit one metric as a log line (EMF); a dimension must have few values, so never an id."""
    with single_metric(name=name, unit=unit, value=value) as metric:
        for dimension, text in dimensions.items():
            metric.add_dimension(name=dimension, value=text)
