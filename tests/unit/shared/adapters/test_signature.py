"""shared.signature on real bytes, and beside the SDK's own verifier where the two agree."""

from datetime import UTC, datetime
from hashlib import sha256
from hmac import new as hmac
from types import SimpleNamespace

import pytest
import stripe
from stripe import _webhook

from shared.adapters.signature import secrets_in, verified
from tests.harness.builders import NOW

T = int(NOW.timestamp())
WIDE = str(T).translate({ord(digit): 0xFF10 + int(digit) for digit in "0123456789"})  # full-width digits
SECRET, NEXT_SECRET = "whsec_4f1d2c", "whsec_9a8b7c"
BODY = '{"id": "evt_1", "object": "event", "note": "café"}'.encode()


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's verifier takes no time from outside."""
    monkeypatch.setattr(_webhook, "time", SimpleNamespace(time=NOW.timestamp))


def v1(body: bytes = BODY, secret: str = SECRET, stamp: object = T) -> str:
    return hmac(secret.encode(), f"{stamp}.".encode() + body, sha256).hexdigest()


def header(*signatures: str, stamp: object = T) -> str:
    return ",".join([f"t={stamp}", *(f"v1={signature}" for signature in signatures)])


def by_the_sdk(body: bytes, given: str, secret: str) -> bool:
    try:
        stripe.Webhook.construct_event(body, given, secret)
    except stripe.SignatureVerificationError:
        return False
    return True


def test_a_known_signature() -> None:
    """Literal, so that the computation cannot drift together with its test."""
    given = "t=1764000000,v1=1e2c09bc1f80b09f2df7616c40dd368c37fa86a9877fe69fb646e80122dc860e"
    assert verified(b'{"id": "evt_1"}', given, ["whsec_literal"], datetime.fromtimestamp(1_764_000_000, UTC))


def test_what_the_sdk_signs_is_verified() -> None:
    given = stripe.WebhookSignature.generate_signature_header(BODY.decode(), SECRET)
    assert verified(BODY, given, [SECRET], NOW)


AGREED = [
    ("signed", BODY, header(v1()), True),
    ("a byte more", BODY + b" ", header(v1()), False),
    ("another body", b"{}", header(v1()), False),
    ("another secret", BODY, header(v1(secret=NEXT_SECRET)), False),
    ("signed at another second", BODY, header(v1(stamp=T - 1)), False),
    ("several v1, ours the second", BODY, header("0" * 64, v1()), True),
    ("several v1, none ours", BODY, header("0" * 64, "1" * 64), False),
    ("other schemes beside ours", BODY, header(v1()) + ",v0=" + v1(), True),
    ("ours under another scheme", BODY, f"t={T},v0={v1()}", False),
    ("4 minutes 59 old", BODY, header(v1(stamp=T - 299), stamp=T - 299), True),
    ("6 minutes old", BODY, header(v1(stamp=T - 360), stamp=T - 360), False),
    ("years old", BODY, header(v1(stamp=1), stamp=1), False),
    ("no header", BODY, "", False),
    ("no timestamp", BODY, f"v1={v1()}", False),
    ("timestamp without signature", BODY, f"t={T}", False),
    ("timestamp no number", BODY, header(v1(stamp="now"), stamp="now"), False),
    ("signature empty", BODY, header(""), False),
    ("signature too short", BODY, header(v1()[:-1]), False),
    ("signature in upper case", BODY, header(v1().upper()), False),
    ("commas only", BODY, ",,,,", False),
    ("equals signs only", BODY, "====", False),
    ("no pairs", BODY, "garbage", False),
]


@pytest.mark.parametrize(("body", "given", "expected"), [pytest.param(*row[1:], id=row[0]) for row in AGREED])
def test_as_the_sdk_says(body: bytes, given: str, *, expected: bool) -> None:
    assert verified(body, given, [SECRET], NOW) is expected
    assert by_the_sdk(body, given, SECRET) is expected


def test_a_signature_that_is_not_ascii_is_refused() -> None:
    """The SDK's comparison raises a TypeError."""
    assert not verified(BODY, header("é" * 64), [SECRET], NOW)


def test_an_empty_body_can_be_signed() -> None:
    assert verified(b"", header(v1(b"")), [SECRET], NOW)


@pytest.mark.parametrize(("ahead", "expected"), [(299, True), (300, True), (302, False), (10**6, False)])
def test_the_future_is_bounded_too(ahead: int, *, expected: bool) -> None:
    """The SDK accepts any future, so that an event could be kept for later."""
    stamp = T + ahead
    given = header(v1(stamp=stamp), stamp=stamp)
    assert verified(BODY, given, [SECRET], NOW) is expected
    assert by_the_sdk(BODY, given, SECRET)


def test_bytes_that_are_no_text_are_verified_as_bytes() -> None:
    """The SDK decodes first, and fails."""
    body = b'{"id": "\xff\xfe"}'
    given = header(v1(body))
    assert verified(body, given, [SECRET], NOW)
    assert not verified(body.replace(b"\xff", b"\xfe"), given, [SECRET], NOW)
    with pytest.raises(UnicodeDecodeError):
        by_the_sdk(body, given, SECRET)


@pytest.mark.parametrize("signed_with", [SECRET, NEXT_SECRET])
def test_either_secret_verifies_while_they_are_rotated(signed_with: str) -> None:
    """D-27."""
    assert verified(BODY, header(v1(secret=signed_with)), [NEXT_SECRET, SECRET], NOW)


def test_a_secret_that_was_rotated_out_verifies_no_more() -> None:
    assert not verified(BODY, header(v1(secret=SECRET)), [NEXT_SECRET], NOW)


@pytest.mark.parametrize("placeholder", ["", "placeholder", "replace-me", " ", "WHSEC_4f1d2c", "sk_test_4f1d2c"])
def test_nothing_can_be_signed_with_a_placeholder(placeholder: str) -> None:
    """Until the endpoint exists its parameter holds a text that everybody can read."""
    assert not verified(BODY, header(v1(secret=placeholder)), [placeholder], NOW)


def test_without_a_secret_nothing_is_verified() -> None:
    assert not verified(BODY, header(v1()), [], NOW)


@pytest.mark.parametrize(
    "stamp", [f"+{T}", f"-{T}", f" {T}", f"{T} ", f"{T}.0", f"0x{T:x}", WIDE, "9" * 11, "9" * 5000, "1e9", ""]
)
def test_a_timestamp_is_digits_and_nothing_else(stamp: str) -> None:
    assert not verified(BODY, header(v1(stamp=stamp), stamp=stamp), [SECRET], NOW)


def test_of_two_timestamps_none_is_believed() -> None:
    """Which of them was signed could be chosen by whoever puts the header together."""
    assert not verified(BODY, f"t={T},t={T - 1},v1={v1()}", [SECRET], NOW)


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        ("whsec_a", ["whsec_a"]),
        ("whsec_a,whsec_b", ["whsec_a", "whsec_b"]),
        (" whsec_a , whsec_b\n", ["whsec_a", "whsec_b"]),
    ],
)
def test_the_parameter_holds_one_secret_or_two(parameter: str, expected: list[str]) -> None:
    assert secrets_in(parameter) == expected
