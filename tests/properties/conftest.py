from collections.abc import Iterator

import pytest

from tests.harness.leaks import WatchedStack
from tests.properties.simulation.simulated_stack import deployed


@pytest.fixture(scope="module")
def local() -> Iterator[WatchedStack]:
    with deployed() as stack:
        yield stack
