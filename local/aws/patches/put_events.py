"""Gap of moto: events put on a bus cannot be read afterwards. Here they are kept, for the admin API and for tests."""

import json
from datetime import UTC, datetime
from typing import Any

from moto.events.models import EventsBackend

from local.aws.aws_account import PublishedEvent, published
from local.aws.patches.patching import replaces


@replaces(EventsBackend, "put_events")
def _put_events(self: Any, events: list[dict[str, Any]]) -> Any:
    results = _put_events.original(self, events)
    for entry, result in zip(events, results, strict=True):
        if "EventId" in result:
            bus = str(entry.get("EventBusName") or "default").rpartition("/")[2]
            at = datetime.now(UTC).isoformat()
            published.append(PublishedEvent(bus, entry["Source"], entry["DetailType"], json.loads(entry["Detail"]), at))
    return results
