"""What passes through API Gateway: a request, and a response of the function or of API Gateway itself."""

import time
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ApiRequest:
    """`path` is without the stage and not decoded."""

    id: str
    method: str
    path: str
    headers: list[tuple[str, str]]
    query: str
    client: str
    body: bytes = b""
    at: float = field(default_factory=time.time)

    def header(self, name: str) -> str | None:
        return next((value for key, value in reversed(self.headers) if key.lower() == name.lower()), None)


@dataclass(frozen=True)
class ApiResponse:
    status: int
    headers: list[tuple[str, str]]
    body: bytes


class RequestRefusedError(Exception):
    """API Gateway responds by itself, with the gateway response of this type."""

    def __init__(self, response_type: str) -> None:
        super().__init__(response_type)
        self.response_type = response_type
