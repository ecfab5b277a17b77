"""The shapes of Stripe's keys and signing secrets, by the name of the parameter that holds them."""

import re

_API_KEY = re.compile(r"[sr]k_\w+", re.ASCII), "sk_… or rk_…"
_SHAPES = {
    "secret_key": _API_KEY,
    "reporting_key": _API_KEY,
    "publishable_key": (re.compile(r"pk_\w+", re.ASCII), "pk_…"),
    "webhook_secret": (re.compile(r"whsec_[\w+/=]+(?:,whsec_[\w+/=]+)?", re.ASCII), "whsec_…, or two with a comma"),
}


def clean_secret(name: str, value: str) -> str:
    """The value without the blanks and line ends of a file or a clipboard. Raises ValueError, which never quotes it."""
    shape, words = _SHAPES[name]
    cleaned = ",".join(part.strip() for part in value.split(","))
    if shape.fullmatch(cleaned) is None:
        raise ValueError(f"{name} does not have the form {words}")
    return cleaned
