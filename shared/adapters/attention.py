"""The open matters on a payment item, written by the update that opens or ends their cause.

An item without one has no `attention_since`, so that only payments that need a person are in `attention-index`.
"""

from collections.abc import Mapping
from datetime import datetime

from shared.adapters.dynamodb import UpdateBuilder, to_item
from shared.domain.matters import open_matters
from shared.domain.models import Matter, Payment, iso


def write_attention(update: UpdateBuilder, before: Payment, after: Payment, *, now: datetime) -> None:
    """Add to an update what it changes of the open matters, under the condition that they are as read."""
    write_matters(update, before.attention, open_matters(after, now))


def write_matters(update: UpdateBuilder, before: Mapping[str, Matter], after: Mapping[str, Matter]) -> None:
    """Replace the open matters that were read; adds nothing to the update if none changes."""
    if before == after:
        return
    if before:
        update.require_that("size({}) = {}", "attention", value=len(before))
        for key in before:
            update.require_exists(f"attention.{key}")
    else:
        update.require_that("attribute_not_exists({}) OR size({}) = {}", "attention", "attention", value=0)
    if not after:
        update.remove("attention", "attention_since")
        return
    if before:
        for key, matter in after.items():
            if before.get(key) != matter:
                update.set(f"attention.{key}", to_item(matter))
        update.remove(*[f"attention.{key}" for key in sorted(before.keys() - after.keys())])
    else:
        update.set("attention", {key: to_item(matter) for key, matter in after.items()})
    update.set("attention_since", iso(min(matter.since for matter in after.values())))
