"""shared.domain.audit_entries: what an entry must say."""

import pytest
from pydantic import ValidationError

from shared.domain.audit_entries import AuditEntry
from tests.harness.builders import NOW


@pytest.mark.parametrize("missing", ["at", "actor", "action", "correlation_id"])
def test_an_entry_says_who_did_what_when_and_in_which_call(missing: str) -> None:
    entry = {"at": NOW, "actor": "operator:1", "action": "attempt_granted", "correlation_id": "c"}
    assert AuditEntry.model_validate(entry).action == "attempt_granted"
    with pytest.raises(ValidationError):
        AuditEntry.model_validate({name: value for name, value in entry.items() if name != missing})
