"""Tests collect garbage as rarely as the local stack does."""

from local.garbage import collect_rarely

collect_rarely()
