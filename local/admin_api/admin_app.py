"""The addresses under `/local`, for tests, the demo and people at the command line; never part of what is deployed."""

import difflib
from typing import Any

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from local.admin_api import execution_routes, reservation_routes, stripe_routes, system_routes
from local.admin_api.local_admin import LocalAdmin
from local.fake_stripe.stripe_errors import StripeError


class UnknownParameterError(Exception):
    """The query has a parameter that the address does not take."""


def create_app(admin: LocalAdmin) -> FastAPI:
    app = FastAPI(title="The local stack", openapi_url=None, dependencies=[Depends(_refuse_unknown_parameters)])

    @app.exception_handler(UnknownParameterError)
    def unknown_parameter(_: Request, error: UnknownParameterError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, 400)

    @app.exception_handler(404)
    def unknown_address(request: Request, _: HTTPException) -> JSONResponse:
        return JSONResponse({"error": f"there is nothing at {request.url.path}; GET /local/ lists the addresses"}, 404)

    @app.exception_handler(RequestValidationError)
    def invalid_request(_: Request, error: RequestValidationError) -> JSONResponse:
        return JSONResponse({"error": "; ".join(_describe(problem) for problem in error.errors())}, 422)

    @app.exception_handler(LookupError)
    def not_found(_: Request, error: LookupError) -> JSONResponse:
        return JSONResponse({"error": str(error.args[0])}, 404)

    @app.exception_handler(ValueError)
    def invalid_value(_: Request, error: ValueError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, 422)

    @app.exception_handler(StripeError)
    def stripe_error(_: Request, error: StripeError) -> JSONResponse:
        return JSONResponse({"error": error.error}, error.status)

    @app.get("/")
    def index() -> dict[str, str]:
        """List the addresses."""
        return {
            f"{method} /local{route.path}": (route.endpoint.__doc__ or "").partition("\n")[0]
            for route in routes
            for method in sorted(route.methods or ())
        }

    for module in (reservation_routes, execution_routes, system_routes):
        module.add_routes(app, admin)
    stripe_routes.add_routes(app, admin.fake_stripe)
    routes = [route for route in app.routes if isinstance(route, APIRoute)]
    return app


def _describe(problem: dict[str, Any]) -> str:
    where, *field = problem["loc"]
    if problem["type"] == "json_invalid":
        return "the body is not valid JSON"
    if where == "body" and not field and problem["input"] is not None:
        return "the body must be a JSON object, sent with the header content-type: application/json"
    return f"{'.'.join(str(part) for part in field) or where}: {problem['msg']}"


async def _refuse_unknown_parameters(request: Request) -> None:
    """Raises UnknownParameterError: a misspelt parameter would otherwise be ignored."""
    route: Any = request.scope["route"]
    known = [parameter.alias for parameter in route.dependant.query_params]
    for name in request.query_params:
        if name not in known:
            nearest = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"it takes {', '.join(known) or 'none'}"
            raise UnknownParameterError(f"{request.url.path} has no query parameter {name!r}; {hint}")
