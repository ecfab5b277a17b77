"""docs/openapi.json is generated from the code, is valid, and has every error that the code can answer with."""

import ast
import inspect
import json
import re
from pathlib import Path

import openapi_spec_validator
import pytest
from openapi_schema_validator import OAS30Validator

from infra import openapi
from infra.openapi_examples import EXAMPLES
from infra.routes import COMMON_ERRORS, GATEWAY_ERRORS, OPERATIONS_ROUTES, PAYMENTS_ROUTES, WEBHOOK_ERRORS
from shared.contracts.http_bodies import RefundRequest
from shared.domain.api_errors import ERROR_ANSWERS
from tests.harness.tables import in_table

ROOT = Path(__file__).parents[2]


def test_the_document_is_generated_from_the_code_as_it_is() -> None:
    assert openapi.TARGET.read_text(encoding="utf-8") == openapi.text(), "run: make docs"


@pytest.mark.parametrize(
    "document",
    [
        openapi.published(),
        openapi.document(
            title="t",
            payments_uri="p",
            operations_uri="o",
            webhook_uri="w",
            user_pool_arn="u",
            origins=["https://a.example"],
        ),
    ],
    ids=["published", "for API Gateway"],
)
def test_both_documents_are_openapi(document: openapi.Json) -> None:
    openapi_spec_validator.validate(document)


def test_api_gateway_gets_no_schema_but_those_of_path_variables() -> None:
    uris = {"payments_uri": "p", "operations_uri": "o", "webhook_uri": "w"}
    document = openapi.document(title="t", user_pool_arn="u", origins=["o"], **uris)
    assert document["components"].keys() == {"securitySchemes"}
    assert json.dumps(document).count('"schema"') == json.dumps(document).count('{"type": "string"}')


# Every status that makes a reservation unpayable is the reason of its error.
UNPAYABLE_STATUSES = {"cancelled", "completed", "confirmed", "expired"}


def reasons_in(arguments: list[ast.expr]) -> set[str]:
    match arguments:
        case []:
            return {"general"}
        case [ast.Constant(str(reason))]:
            return {reason}
        case [ast.IfExp(body=ast.Constant(str(one)), orelse=ast.Constant(str(other)))]:
            return {one, other}
    assert [ast.unparse(argument) for argument in arguments] == ["reservation.status if known else 'general'"]
    return UNPAYABLE_STATUSES | {"general"}


def raised_errors() -> set[tuple[str, str]]:
    """Code and reason of every `ApiError(…)` in the code."""
    found: set[tuple[str, str]] = set()
    for path in (path for folder in ("lambdas", "shared") for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name("ApiError"), args=[ast.Constant(str(code)), *reasons]):
                    found |= {(code, reason) for reason in reasons_in(reasons)}
    return found


@pytest.mark.defect("D-24")
def test_every_error_that_is_raised_is_in_the_table_and_every_one_of_the_table_is_used() -> None:
    gateway = {(error.code, error.reason) for error in GATEWAY_ERRORS.values()}
    general = {(error.code, "general") for error in ERROR_ANSWERS}  # describes the code in the document
    assert raised_errors() | gateway | general == {(error.code, error.reason) for error in ERROR_ANSWERS}
    assert {code for code, _ in raised_errors() | gateway} == {error.code for error in ERROR_ANSWERS}


def test_every_error_is_documented() -> None:
    documented = {*COMMON_ERRORS, *(error.code for error in WEBHOOK_ERRORS)}
    documented |= {code for route in (PAYMENTS_ROUTES | OPERATIONS_ROUTES).values() for code in route.errors}
    assert documented == {error.code for error in ERROR_ANSWERS}


@in_table()
@pytest.mark.defect("D-24")
def test_each_error_code_has_its_status(code: str, statuses: set[int]) -> None:
    assert {error.status for error in ERROR_ANSWERS if error.code == code} == statuses


def test_optional_and_nullable_fields_are_written_as_in_openapi_3_0() -> None:
    schemas = openapi.published()["components"]["schemas"]
    assert schemas["RefundRequest"] == {
        "type": "object",
        "description": inspect.getdoc(RefundRequest),
        "additionalProperties": False,
        "properties": {
            "amount": {"type": "integer", "minimum": 1, "nullable": True},
            "reason": {"type": "string", "maxLength": 500, "nullable": True},
            "kind": {"type": "string", "enum": ["cancellation", "goodwill"], "default": "cancellation"},
            "accept_no_refund": {"type": "boolean", "default": False},
            "reason_public": {"type": "boolean", "default": False},
        },
    }
    assert schemas["ErrorResponse"]["properties"]["success"] == {"type": "boolean", "enum": [False]}
    assert "success" in schemas["ErrorResponse"]["required"]


PUBLISHED = openapi.published()
OPERATIONS = [operation for path in PUBLISHED["paths"].values() for operation in path.values()]


def test_every_operation_has_a_name_of_its_own() -> None:
    names = [operation["operationId"] for operation in OPERATIONS]
    assert len(set(names)) == len(names) == len(PAYMENTS_ROUTES | OPERATIONS_ROUTES) + 1


def test_every_example_is_valid() -> None:
    used = set()
    for operation in OPERATIONS:
        for part in (operation.get("requestBody", {}), *operation["responses"].values()):
            media = part.get("content", {}).get("application/json", {})
            examples = [example["value"] for example in media.get("examples", {}).values()]
            examples += [media["example"]] if "example" in media else []
            for example in examples:
                validator = OAS30Validator({**media["schema"], "components": PUBLISHED["components"]})
                validator.validate(example)
            if "example" in media:
                used.add(media["schema"]["$ref"].rpartition("/")[2])
    assert used == EXAMPLES.keys()


def test_times_dates_and_error_codes_have_their_types() -> None:
    schemas = PUBLISHED["components"]["schemas"]
    assert schemas["PaymentStatusResponse"]["properties"]["hold_expires_at"]["format"] == "date-time"
    assert schemas["PaymentRecordResponse"]["properties"]["check_in"]["format"] == "date"
    assert schemas["ErrorResponse"]["properties"]["error_code"]["enum"] == sorted({of.code for of in ERROR_ANSWERS})
    untyped = {
        (name, field)
        for name, schema in schemas.items()
        for field, value in schema["properties"].items()
        if re.search(r"_at$|^at$|since|deadline|due_by", field) and value.get("format") != "date-time"
    }
    assert untyped == set()


def test_an_answer_in_progress_says_where_and_when_to_ask() -> None:
    accepted = [of["responses"]["202"]["headers"].keys() for of in OPERATIONS if "202" in of["responses"]]
    assert accepted.count({"x-correlation-id", "Location", "Retry-After"}) == 3
    for operation in OPERATIONS:
        assert "Retry-After" in operation["responses"]["500"]["headers"]
