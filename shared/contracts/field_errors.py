"""What is wrong with the fields of a request, in words for whoever sent it."""

from pydantic import ValidationError

_MESSAGES = {
    "day": "Must be a date, YYYY-MM-DD.",
    "extra_forbidden": "Unknown field.",
    "greater_than_equal": "Must be at least {ge}.",
    "int_from_float": "Must be a whole number.",
    "int_type": "Must be a whole number.",
    "json_invalid": "The body is not valid JSON.",
    "literal_error": "Must be {expected}.",
    "missing": "This field is required.",
    "model_type": "The body must be a JSON object.",
    "string_pattern_mismatch": "Has an invalid format.",
    "string_too_long": "Must be at most {max_length} characters long.",
    "string_too_short": "Must not be empty.",
    "string_type": "Must be a string.",
    "value_error": "Has an invalid format.",
}
"""By the type of pydantic's error."""


def describe_errors(error: ValueError) -> dict[str, str]:
    """A message for each field, or for `body` as a whole; it never repeats what was sent."""
    if not isinstance(error, ValidationError):
        return {"body": _MESSAGES["json_invalid"]}
    return {
        ".".join(str(part) for part in entry["loc"]) or "body": _MESSAGES.get(entry["type"], "Is not valid.").format(
            **entry.get("ctx", {})
        )
        for entry in error.errors(include_url=False, include_input=False)
    }
