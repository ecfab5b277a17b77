"""Records what a history did: a hash over all calls, answers and times, and what met which state."""

import hashlib
import time
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

import pytest
import requests
from botocore.awsrequest import AWSResponse
from moto.core.botocore_stubber import BotocoreStubber
from requests.adapters import HTTPAdapter


class Recorder:
    """`digest` is the same for two histories in which the same was called, in the same order and at the same times.

    `hidden`: what differs from process to process. `write`, if given, gets each line that goes into the hash.
    """

    def __init__(
        self, patch: pytest.MonkeyPatch, hidden: Sequence[str], write: Callable[[str], object] | None = None
    ) -> None:
        self._hidden = hidden
        self._hash = hashlib.sha256()
        self._write = write
        call_aws, send = BotocoreStubber.__call__, HTTPAdapter.send

        def call(stubber: Any, event_name: str, request: Any, **kwargs: Any) -> Any:
            answer = call_aws(stubber, event_name, request, **kwargs)
            self._record(event_name, request.body, answer and (answer.status_code, _content(answer)))
            return answer

        def send_request(adapter: Any, request: requests.PreparedRequest, **options: Any) -> requests.Response:
            answer = send(adapter, request, **options)
            self._record(f"{request.method} {request.url}", request.body, (answer.status_code, answer.content))
            return answer

        patch.setattr(BotocoreStubber, "__call__", call)
        patch.setattr(HTTPAdapter, "send", send_request)

    def _record(self, what: str, request: object, answer: object) -> None:
        line = f"{time.monotonic():.6f} {what} {request!r} {answer!r}"
        for text in self._hidden:
            line = line.replace(text, "…")
        self._hash.update(line.encode())
        if self._write is not None:
            self._write(line)

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()


def _content(answer: AWSResponse) -> bytes:
    if isinstance(answer.raw, BytesIO):
        # Its stream is left to be read, as that of a function's result is.
        return answer.raw.getvalue()
    return bytes(answer.content)  # of another DynamoDB
