"""Random and malformed requests, drawn from the routes in the OpenAPI document."""

import base64
import http.client
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from hypothesis import strategies as st

type Json = dict[str, Any]

TIMEOUT = 30
TEXT = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            "",
            " ",
            "\x00",
            "\ud800",
            "null",
            "../..",
            "%00",
            "' OR 1=1 --",
            "a" * 3000,
            "é",
            "\u202e",
            "{{7*7}}",
            "$where",
        ]
    ),
)
NUMBERS = st.one_of(
    st.integers(), st.floats(), st.sampled_from([0, -1, 2**63, 10**400, 1e308, float("nan"), float("inf"), -0.0])
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXT)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=6
)
RAW = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [
            b"[" * 100_000,
            b'{"a":' * 50_000,
            b"\xff\xfe{\x00}\x00",
            b"\xef\xbb\xbf{}",
            b'{"reservation_id": "\\ud800"}',
            b'{"reservation_id": "a", "reservation_id": "b"}',
            b"{} {}",
            b"{'a': 1}",
            b'{"amount": 1e999}',
            b'{"amount": NaN}',
            b"<x/>",
            b"a=b",
        ]
    ),
)
MEDIA = st.sampled_from(
    [
        None,
        "application/json",
        "application/json; charset=utf-16",
        "text/plain",
        "application/octet-stream",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        ";;",
        "image/png",
    ]
)
HEADER_TEXT = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=40)
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "Idempotency-Key",
            "X-Customer-Id",
            "X-Forwarded-For",
            "Accept",
            "Accept-Encoding",
            "Cookie",
            "Origin",
            "X-Http-Method-Override",
            "X-Amzn-Trace-Id",
            "If-None-Match",
            "User-Agent",
        ]
    ),
    HEADER_TEXT.map(str.strip),
    max_size=4,
)


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes
    request: Request = field(repr=False)

    def json(self) -> Json:
        parsed: Json = json.loads(self.body)
        return parsed


# How often each status was answered.
statuses: Counter[int] = Counter()


def send(url: str, request: Request) -> Answer:
    """Send the request exactly as it is, without the corrections of an HTTP client."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=TIMEOUT)
    try:
        connection.putrequest(request.method, request.path, skip_accept_encoding=True)
        for name, value in request.headers.items():
            connection.putheader(name, value.encode("latin-1"))
        connection.putheader("Content-Length", str(len(request.body)))
        connection.endheaders(request.body)
        response = connection.getresponse()
        statuses[response.status] += 1
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, response.read(), request)
    finally:
        connection.close()


# Bodies.


def encoded(value: Any) -> bytes:
    """JSON as Python writes it, with NaN and lone surrogates."""
    return json.dumps(value).encode("utf-8", "surrogatepass")


@st.composite
def altered(draw: st.DrawFn, body: Json) -> Json:
    """The body with one to three of its fields, at any depth, dropped, replaced or added."""
    result: Json = json.loads(json.dumps(body))
    for _ in range(draw(st.integers(1, 3))):
        target: Any = result
        while True:
            names = list(target) if isinstance(target, dict) else list(range(len(target)))
            name = draw(st.sampled_from(names)) if names else None
            if name is None or not isinstance(target[name], dict | list) or draw(st.booleans()):
                break
            target = target[name]
        match draw(st.sampled_from(["replace", "drop", "add"])):
            case "replace" if name is not None:
                target[name] = draw(VALUES)
            case "drop" if name is not None:
                del target[name]
            case "add" if isinstance(target, dict):
                target[draw(TEXT)] = draw(VALUES)
    return result


@st.composite
def refused_bodies(draw: st.DrawFn, body: Json) -> bytes:
    """A body that no route accepts: not a JSON object, or one with an unknown field."""
    if draw(st.booleans()):
        return encoded({**body, "unknown": draw(VALUES)})
    return draw(
        st.one_of(
            VALUES.filter(lambda value: not isinstance(value, dict)).map(encoded),
            st.sampled_from([b"[" * 100_000, b"{} {}", b"<x/>", b"a=b", b"{'a': 1}", b"\xff\xfe{\x00}\x00"]),
        )
    )


# Requests.


@st.composite
def paths(draw: st.DrawFn, template: str, ids: Sequence[str]) -> str:
    """The template with a known id, a similar one, or any text."""
    path = template
    for name in ("{id}", "{refund_id}"):
        known = draw(st.sampled_from(ids))
        similar = st.sampled_from(
            [known.lower(), f"{known}x", f" {known}", f"PAY-{known}", f"PAY-PAY-{known}", known * 20]
        )
        # The local stack matches no path with a line break to a route.
        other = TEXT.filter(lambda text: bool(text) and "\n" not in text)
        chosen = draw(st.one_of(st.just(known), similar, other))
        path = path.replace(name, quote(chosen.encode("utf-8", "surrogatepass"), safe=""))
    query = draw(st.dictionaries(st.sampled_from(["session_id", "x", ""]) | TEXT, TEXT, max_size=2))
    if not query:
        return path
    pairs = [(one.encode("utf-8", "surrogatepass"), two.encode("utf-8", "surrogatepass")) for one, two in query.items()]
    return f"{path}?{urlencode(pairs)}"


@st.composite
def headers(draw: st.DrawFn, authorization: str | None) -> dict[str, str]:
    chosen: dict[str, str] = draw(HEADERS)
    media = draw(MEDIA)
    if media is not None:
        chosen["Content-Type"] = media
    if authorization is not None:
        chosen["Authorization"] = authorization
    return chosen


def authorizations(tokens: Sequence[str]) -> st.SearchStrategy[str | None]:
    """No token, or one that is forged, altered or unsigned."""
    forged = base64.urlsafe_b64encode(b'{"alg":"none","kid":"x"}').rstrip(b"=").decode()
    claims = base64.urlsafe_b64encode(b'{"cognito:groups":["operators"],"token_use":"id"}').rstrip(b"=").decode()
    return st.one_of(
        st.none(),
        st.sampled_from(["", "Bearer", "Bearer null", f"Bearer {forged}.{claims}.", "Basic b3BlcmF0b3I6eA=="]),
        st.sampled_from(tokens).map(lambda token: f"Bearer {token[:-4]}AAAA"),
        st.sampled_from(tokens).map(lambda token: f"Bearer {token.rpartition('.')[0]}."),
        HEADER_TEXT.map(str.strip),
    )
