import pytest


@pytest.fixture(autouse=True)
def quick_polling(quick: None) -> None:
    """No test of this folder waits."""
