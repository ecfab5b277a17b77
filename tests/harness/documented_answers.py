"""What docs/openapi.json says about an answer."""

import json
import re
from typing import Any

from openapi_schema_validator import OAS30Validator

from infra import openapi
from shared.domain.api_errors import ERROR_ANSWERS

OPENAPI = json.loads(openapi.TARGET.read_text(encoding="utf-8"))
ERRORS = {(error.status, error.code, error.message, error.recovery) for error in ERROR_ANSWERS}


def as_published(method: str, path: str, status: int, body: Any) -> None:
    """Assert that a route may answer this, and that an error is one of the table."""
    for template, operations in OPENAPI["paths"].items():
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path) and method.lower() in operations:
            response = operations[method.lower()]["responses"][str(status)]
            reference = response["content"]["application/json"]["schema"]["$ref"]
            OAS30Validator({"$ref": reference, "components": OPENAPI["components"]}).validate(body)
            assert body.get("error_code", "") in response["description"]
            assert "error_code" not in body or (
                (status, body["error_code"], body["message"], body["recovery"]) in ERRORS
            )
