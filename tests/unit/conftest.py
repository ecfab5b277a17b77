import io
import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
import stripe
from aws_lambda_powertools.utilities.typing import LambdaContext
from moto import mock_aws

from lambdas import reconcile_payments
from lambdas.payments_api import polling
from local.credentials import DYNAMODB_ENDPOINT
from local.fake_stripe.fake_stripe import FakeStripe
from shared import observability
from shared.adapters import notifications, secrets, step_functions, stripe_api
from shared.observability import Handler
from shared.services import money_events, reconciliation
from tests.harness.fake_aws_clients import FakeAws
from tests.harness.frozen_clock import Clock
from tests.harness.lambda_environment import ENVIRONMENT
from tests.harness.leaks import MARKERS, search
from tests.harness.payments_api_calls import SleepingTime
from tests.harness.reconciler_runs import Reconciler
from tests.harness.stored_tables import Stored
from tests.harness.stripe_in_process import InProcess, new_fake_stripe
from tests.harness.webhook_deliveries import Webhook

# The tokens of waiting states in these tests, as values in JSON.
TASK_TOKEN = r'"token(?:-\d)?"(?!:)'


def product_modules() -> list[ModuleType]:
    """Return every loaded module of lambdas/ and shared/."""
    return [module for name, module in sys.modules.items() if name.startswith(("lambdas.", "shared."))]


def forget_container() -> None:
    """Clear what a function keeps between two events: settings, clients, secrets."""
    for module in product_modules():
        for value in vars(module).values():
            if hasattr(value, "cache_clear"):
                value.cache_clear()


@pytest.fixture(scope="module", autouse=True)
def environment() -> Iterator[None]:
    """The environment of every function."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name, value in ENVIRONMENT.items():
            monkeypatch.setenv(name, value)
        forget_container()
        yield
    forget_container()


@pytest.fixture(scope="module")
def aws(environment: None) -> Iterator[Stored]:
    """One AWS with its tables: making them and their clients is what takes time."""
    from local.aws import emulator  # noqa: PLC0415 - a second that tests of the domain do not need
    from local.aws.patches.short_cut import short_cut  # noqa: PLC0415

    if DYNAMODB_ENDPOINT in os.environ:  # tests/real
        running = emulator.start()
        yield Stored()
        emulator.stop(running)
        return
    emulator.install()  # twice as fast as moto alone
    with mock_aws(), short_cut(lambda _operation: False):
        yield Stored()


@pytest.fixture
def stored(aws: Stored) -> Stored:
    """The four tables, empty, and the two parameters; a container that has not read them yet."""
    aws.clear()
    secrets._parameters().clear_cache()  # type: ignore[no-untyped-call]
    secrets._refreshed.clear()
    return aws


@pytest.fixture(autouse=True)
def acting() -> None:
    """Who makes the changes of a test that calls an adapter itself; a handler sets somebody else."""
    observability._ACTOR.set(observability.Actor("workflow:RES-1", "RES-1"))


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What goes to CloudWatch, metrics aside: one JSON object a line."""
    stream = io.StringIO()
    monkeypatch.setattr(observability.logger.registered_handler, "stream", stream)
    return stream


@pytest.fixture(autouse=True)
def passed_on(log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, list[str]]]:
    """What leaves the functions besides the log, by place; after each test it is searched for secrets."""
    passed_on: defaultdict[str, list[str]] = defaultdict(list)

    def recording(handler: Handler) -> Handler:
        def recorded(event: dict[str, Any], context: LambdaContext) -> Any:
            try:
                answer = handler(event, context)
            except Exception as error:
                passed_on["an error"].append(str(error))
                raise
            passed_on["an answer"].append(json.dumps(answer, ensure_ascii=False, default=str))
            return answer

        return recorded

    for module in product_modules():
        if module.__name__.startswith("lambdas.") and callable(getattr(module, "handler", None)):
            monkeypatch.setattr(module, "handler", recording(module.handler))
    yield passed_on
    texts = {"the log": log.getvalue(), **{where: "\n".join(of) for where, of in passed_on.items()}}
    leaks = search(texts, {**MARKERS, "a task token": TASK_TOKEN})
    assert not leaks, "\n".join(leaks)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Time stands still at NOW for every module that reads it."""
    clock = Clock()
    frozen = clock.frozen_datetime()
    for module in product_modules():
        if hasattr(module, "datetime"):
            monkeypatch.setattr(module, "datetime", frozen)
    return clock


@pytest.fixture
def stripe_account(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeStripe]:
    """The fake, reached by the real SDK."""
    fake_stripe = new_fake_stripe(clock)
    monkeypatch.setattr(stripe, "RequestsClient", lambda **_: InProcess(fake_stripe))
    for cached in (stripe_api._client, stripe_api._http_client):
        cached.cache_clear()
    yield fake_stripe
    for cached in (stripe_api._client, stripe_api._http_client):
        cached.cache_clear()
    fake_stripe.close()


@pytest.fixture
def fake_aws(passed_on: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch) -> FakeAws:
    """Takes the place of the clients of Step Functions, SNS and EventBridge."""
    fake = FakeAws(passed_on)
    for module, client in ((step_functions, "_client"), (notifications, "_sns"), (notifications, "_events")):
        monkeypatch.setattr(module, client, lambda: fake)
    return fake


@pytest.fixture
def reconciler(
    stored: Stored, stripe_account: FakeStripe, clock: Clock, fake_aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> Reconciler:
    """A reconciler without undelivered events, because Stripe has no endpoint for them."""
    stripe_account.endpoint["status"] = "disabled"
    reconciler = Reconciler(stored, stripe_account, clock, fake_aws)
    monkeypatch.setattr(reconcile_payments, "count", reconciler.count)
    monkeypatch.setattr(reconcile_payments, "time", reconciler.time)
    monkeypatch.setattr(reconciliation, "count", reconciler.count)
    return reconciler


@pytest.fixture
def webhook(stored: Stored, stripe_account: FakeStripe, fake_aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> Webhook:
    """The webhook of a booking whose first session is open and awaited; it waits for 60 ms instead of 3 s."""
    monkeypatch.setattr(money_events, "PATIENCE", 0.06)
    monkeypatch.setattr(money_events, "PAUSE", 0.01)
    return Webhook(stored, stripe_account, fake_aws)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """Calls wait for 0.1 s, during which the clock of the functions stands still."""
    monkeypatch.setattr(polling, "PATIENCE", 0.1)
    monkeypatch.setattr(polling, "FIRST_PAUSE", 0.005)
    monkeypatch.setattr(polling, "NEXT_PAUSE", 0.01)
    monkeypatch.setattr(polling, "POLL_INTERVAL", 0.005)
    monkeypatch.setattr(polling, "time", SleepingTime())


@pytest.fixture
def workflow(stored: Stored, fake_aws: FakeAws) -> FakeAws:
    """The workflow of a reservation made two hours ago; a test says what follows a start or a signal."""
    fake_aws.waiting = {"token-1", "token-2", "token-3"}
    stored.reservation()
    return fake_aws
