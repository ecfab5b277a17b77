"""docs/openapi.json: what the code says, valid, and with every error that the code knows."""

import ast
import json
from pathlib import Path

import openapi_spec_validator
import pytest

from infra import openapi
from infra.openapi import GATEWAY_ERRORS, STATUSES
from shared.contracts.http import RefundRequest

ROOT = Path(__file__).parents[2]


def test_the_document_is_made_of_the_code_as_it_is() -> None:
    assert openapi.TARGET.read_text(encoding="utf-8") == openapi.text(), "run: make docs"


@pytest.mark.parametrize(
    "document",
    [
        openapi.published(),
        openapi.document(
            title="t", payments_uri="p", webhook_uri="w", user_pool_arn="u", origins=["https://a.example"]
        ),
    ],
    ids=["published", "for API Gateway"],
)
def test_both_documents_are_openapi(document: openapi.Json) -> None:
    openapi_spec_validator.validate(document)


def test_api_gateway_is_given_no_schema_but_that_of_a_path_variable() -> None:
    document = openapi.document(title="t", payments_uri="p", webhook_uri="w", user_pool_arn="u", origins=["o"])
    assert document["components"].keys() == {"securitySchemes"}
    assert json.dumps(document).count('"schema"') == json.dumps(document).count('{"type": "string"}')


def test_every_error_that_is_raised_is_there_with_its_status() -> None:
    """D-24."""
    raised = {
        (node.args[1].value, node.args[0].value)
        for folder in ("lambdas", "shared")
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "ApiError"
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[1], ast.Constant)
    }
    of_the_gateway = {(code, status) for status, code, *_ in GATEWAY_ERRORS.values() if status is not None}
    assert raised | of_the_gateway == set(STATUSES.items())


def test_what_may_be_left_out_or_null_is_told_as_openapi_3_0_has_it() -> None:
    schemas = openapi.published()["components"]["schemas"]
    assert schemas["RefundRequest"] == {
        "type": "object",
        "description": RefundRequest.__doc__,
        "additionalProperties": False,
        "properties": {
            "amount": {"type": "integer", "minimum": 1, "nullable": True},
            "reason": {"type": "string", "maxLength": 500, "nullable": True},
            "kind": {"type": "string", "enum": ["cancellation", "goodwill"], "default": "cancellation"},
        },
    }
    assert schemas["ErrorResponse"]["properties"]["success"] == {"type": "boolean", "enum": [False]}
    assert "success" in schemas["ErrorResponse"]["required"]
