"""docs/configuration.md is written from infra/config.py, so that no key, default or limit changes unnoticed."""

from infra.config import Config
from scripts.configuration import TARGET, page


def test_the_reference_shows_the_current_keys() -> None:
    assert TARGET.read_text(encoding="utf-8") == page(), "run: make docs"


def test_the_reference_has_defaults_limits_and_descriptions() -> None:
    rows = [line.split(" | ") for line in page().splitlines() if line.startswith("| `")]
    assert {row[0].strip("| `") for row in rows} == {field.alias for field in Config.model_fields.values()}
    by_key = {row[0].strip("| `"): row[1:3] for row in rows}
    assert by_key["frontendUrl"][0] == "required"
    assert by_key["holdSeconds"] == ["`86400`", "1 to 2592000"]
    assert by_key["production"] == ["`false`", "`true` or `false`"]
    assert by_key["propertyTimeZone"] == ["`Europe/Madrid`", "An IANA time zone"]
    assert by_key["operatorEmail"][0] == "none"
