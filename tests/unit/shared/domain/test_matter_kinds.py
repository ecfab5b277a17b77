"""shared.domain.matter_kinds: every kind has its page and says who may close it."""

from typing import get_args

from shared.domain.matter_kinds import MatterKind
from shared.domain.matters import KINDS


def test_every_kind_has_a_page() -> None:
    assert set(get_args(MatterKind)) == KINDS.keys()
