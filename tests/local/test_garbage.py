"""Garbage of the local stack."""

import gc

import pytest

from local.garbage import collect_the_rest, none_collected


def test_garbage_is_collected_once_the_stack_serves() -> None:
    with none_collected():
        assert not gc.isenabled()
        collect_the_rest()
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
    assert gc.get_freeze_count() == 0


def test_garbage_is_collected_after_a_start_that_fails() -> None:
    with pytest.raises(KeyboardInterrupt), none_collected():
        raise KeyboardInterrupt
    assert gc.isenabled()
