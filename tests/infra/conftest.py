import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor

import pytest

from local.garbage import collect_rarely
from tests.infra import worker

type Deploy = Callable[..., worker.Seen]


@pytest.fixture(scope="session")
def deploy() -> Iterator[Deploy]:
    """Deploy a stack with a configuration and return what was deployed. Raises what the program raises."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, initializer=collect_rarely) as process:

        def deploy_there(
            *, given_tables: tuple[str, ...] = (), name: str = "local", beside: str | None = None, **config: str | int
        ) -> worker.Seen:
            return process.submit(worker.deploy, config, given_tables, name, beside).result()

        yield deploy_there


@pytest.fixture(scope="session")
def stack(deploy: Deploy) -> worker.Seen:
    """The stack of Pulumi.local.yaml."""
    return deploy()


@pytest.fixture(scope="session")
def seldom(deploy: Deploy) -> worker.Seen:
    """A stack whose reconciler runs every hour."""
    return deploy(reconcileMinutes=60)
