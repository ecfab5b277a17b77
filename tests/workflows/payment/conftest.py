import pytest

from tests.workflows.payment.scenarios import Results, Scenario, play_all


@pytest.fixture(scope="package")
def results(request: pytest.FixtureRequest) -> Results:
    """Every scenario whose test is selected, played on one stack."""
    cases = [item.callspec.params.get("case") for item in request.session.items if hasattr(item, "callspec")]
    return play_all([case for case in cases if isinstance(case, Scenario)])
