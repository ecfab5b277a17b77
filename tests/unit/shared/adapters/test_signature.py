"""shared.adapters.signature on real bytes, and compared with the SDK's own verifier where the two agree."""

from datetime import UTC, datetime
from hashlib import sha256
from hmac import new as hmac
from types import SimpleNamespace

import pytest
import stripe
from stripe import _webhook

from shared.adapters.signature import secrets_in, verified
from tests.harness.builders import NOW
from tests.harness.tables import in_table

T = int(NOW.timestamp())
WIDE = str(T).translate({ord(digit): 0xFF10 + int(digit) for digit in "0123456789"})  # full-width digits
SECRET, NEXT_SECRET = "whsec_4f1d2c", "whsec_9a8b7c"
BODY = '{"id": "evt_1", "object": "event", "note": "café"}'.encode()


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's verifier reads the time itself."""
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
    """A literal, so that code and test cannot change together unnoticed."""
    given = "t=1764000000,v1=1e2c09bc1f80b09f2df7616c40dd368c37fa86a9877fe69fb646e80122dc860e"
    assert verified(b'{"id": "evt_1"}', given, ["whsec_literal"], datetime.fromtimestamp(1_764_000_000, UTC))


def test_a_signature_by_the_sdk_is_verified() -> None:
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
    ("ours, under another scheme", BODY, f"t={T},v0={v1()}", False),
    ("4 minutes 59 old", BODY, header(v1(stamp=T - 299), stamp=T - 299), True),
    ("6 minutes old", BODY, header(v1(stamp=T - 360), stamp=T - 360), False),
    ("years old", BODY, header(v1(stamp=1), stamp=1), False),
    ("no header", BODY, "", False),
    ("no timestamp", BODY, f"v1={v1()}", False),
    ("timestamp without signature", BODY, f"t={T}", False),
    ("timestamp is not a number", BODY, header(v1(stamp="now"), stamp="now"), False),
    ("signature empty", BODY, header(""), False),
    ("signature too short", BODY, header(v1()[:-1]), False),
    ("signature in upper case", BODY, header(v1().upper()), False),
    ("commas only", BODY, ",,,,", False),
    ("equals signs only", BODY, "====", False),
    ("no pairs", BODY, "garbage", False),
]


@pytest.mark.parametrize(("body", "given", "expected"), [pytest.param(*row[1:], id=row[0]) for row in AGREED])
def test_the_sdk_gives_the_same_result(body: bytes, given: str, *, expected: bool) -> None:
    assert verified(body, given, [SECRET], NOW) is expected
    assert by_the_sdk(body, given, SECRET) is expected


def test_a_signature_that_is_not_ascii_is_refused() -> None:
    """The SDK raises a TypeError."""
    assert not verified(BODY, header("é" * 64), [SECRET], NOW)


def test_an_empty_body_can_be_signed() -> None:
    assert verified(b"", header(v1(b"")), [SECRET], NOW)


@pytest.mark.parametrize(("ahead", "expected"), [(299, True), (300, True), (302, False), (10**6, False)])
def test_the_future_is_bounded_too(ahead: int, *, expected: bool) -> None:
    """The SDK accepts any time in the future, so that somebody could keep an event for later."""
    stamp = T + ahead
    given = header(v1(stamp=stamp), stamp=stamp)
    assert verified(BODY, given, [SECRET], NOW) is expected
    assert by_the_sdk(BODY, given, SECRET)


def test_bytes_that_are_not_text_are_verified_as_bytes() -> None:
    """The SDK decodes them first, and fails."""
    body = b'{"id": "\xff\xfe"}'
    given = header(v1(body))
    assert verified(body, given, [SECRET], NOW)
    assert not verified(body.replace(b"\xff", b"\xfe"), given, [SECRET], NOW)
    with pytest.raises(UnicodeDecodeError):
        by_the_sdk(body, given, SECRET)


@pytest.mark.defect("D-27")
@pytest.mark.parametrize("signed_with", [SECRET, NEXT_SECRET])
def test_either_secret_verifies_during_a_rotation(signed_with: str) -> None:
    assert verified(BODY, header(v1(secret=signed_with)), [NEXT_SECRET, SECRET], NOW)


def test_a_former_secret_verifies_nothing() -> None:
    assert not verified(BODY, header(v1(secret=SECRET)), [NEXT_SECRET], NOW)


@pytest.mark.parametrize("placeholder", ["", "placeholder", "replace-me", " ", "WHSEC_4f1d2c", "sk_test_4f1d2c"])
def test_a_placeholder_verifies_nothing(placeholder: str) -> None:
    """Until the endpoint exists, its parameter holds a text that everybody can read."""
    assert not verified(BODY, header(v1(secret=placeholder)), [placeholder], NOW)


def test_without_a_secret_nothing_is_verified() -> None:
    assert not verified(BODY, header(v1()), [], NOW)


@pytest.mark.parametrize(
    "stamp", [f"+{T}", f"-{T}", f" {T}", f"{T} ", f"{T}.0", f"0x{T:x}", WIDE, "9" * 11, "9" * 5000, "1e9", ""]
)
def test_a_timestamp_consists_of_digits_only(stamp: str) -> None:
    assert not verified(BODY, header(v1(stamp=stamp), stamp=stamp), [SECRET], NOW)


def test_a_header_with_two_timestamps_is_refused() -> None:
    """Otherwise the sender could choose which of them counts."""
    assert not verified(BODY, f"t={T},t={T - 1},v1={v1()}", [SECRET], NOW)


@in_table()
def test_the_parameter_holds_one_secret_or_two(parameter: str, expected: list[str]) -> None:
    assert secrets_in(parameter) == expected
