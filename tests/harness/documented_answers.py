"""What docs/openapi.json says of an answer."""

import json
import re
from typing import Any

from openapi_schema_validator import OAS30Validator

from infra import openapi

OPENAPI = json.loads(openapi.TARGET.read_text(encoding="utf-8"))


def as_published(method: str, path: str, status: int, body: Any) -> None:
    """Whatever a route answers is what docs/openapi.json says of it."""
    for template, operations in OPENAPI["paths"].items():
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path) and method.lower() in operations:
            told = operations[method.lower()]["responses"][str(status)]
            reference = told["content"]["application/json"]["schema"]["$ref"]
            OAS30Validator({"$ref": reference, "components": OPENAPI["components"]}).validate(body)
            assert body.get("error_code", "") in told["description"]
