import pytest

from tests.workflows.payment.scenarios import Run, Story, play

# Long enough for every story that pays in time on a busy machine; those that let it pass wait beside the others.
CONFIG = {"checkoutWindowSeconds": 25, "holdSeconds": 3600, "stripeRetrySeconds": 1}


@pytest.fixture(scope="package")
def run(request: pytest.FixtureRequest) -> Run:
    """Every story whose test is to run, played on one stack."""
    asked = [item.callspec.params.get("story") for item in request.session.items if hasattr(item, "callspec")]
    return play([story for story in asked if isinstance(story, Story)], CONFIG)
