"""Webhook endpoints, as the set-up command of the project creates them; each has its own signing secret."""

import secrets
from urllib.parse import urlsplit

from local.fake_stripe.account import Account
from local.fake_stripe.objects import API_VERSION, build, new_id
from local.fake_stripe.stripe_errors import Json, ParameterError

_MAX_ENDPOINTS = 16


def add(
    account: Account,
    url: str,
    *,
    enabled_events: list[str],
    secret: str,
    description: str | None = None,
    metadata: Json | None = None,
) -> Json:
    endpoint = build(
        "webhook_endpoint",
        id=new_id("we"),
        api_version=API_VERSION,
        created=account.clock.timestamp(),
        description=description,
        enabled_events=enabled_events,
        metadata=metadata or {},
        status="enabled",
        url=url,
    )
    account.webhooks.secrets[endpoint["id"]] = [secret]
    return account.add(endpoint)


def create(account: Account, params: Json) -> Json:
    """The only response that contains the signing secret."""
    _check(params)
    if params.get("api_version", API_VERSION) != API_VERSION:
        raise ParameterError(f"The fake supports {API_VERSION} only.", param="api_version")
    if len(account.endpoints()) >= _MAX_ENDPOINTS:
        raise ParameterError(f"You have reached the maximum of {_MAX_ENDPOINTS} test webhook endpoints.")
    secret = f"whsec_local_{secrets.token_hex(16)}"
    described = {name: params[name] for name in ("description", "metadata") if params.get(name)}
    return add(account, params["url"], enabled_events=params["enabled_events"], secret=secret, **described) | {
        "secret": secret
    }


def update(account: Account, params: Json, endpoint_id: str) -> Json:
    endpoint = account.get("webhook_endpoint", endpoint_id, param="webhook_endpoint")
    _check(params)
    changes = {name: value for name, value in params.items() if name in ("url", "enabled_events", "description")}
    if "metadata" in params:
        changes["metadata"] = endpoint["metadata"] | params["metadata"] if params["metadata"] else {}
    if "disabled" in params:
        changes["status"] = "disabled" if params["disabled"] else "enabled"
    endpoint |= changes
    return endpoint


def delete(account: Account, _params: Json, endpoint_id: str) -> Json:
    endpoint = account.get("webhook_endpoint", endpoint_id, param="webhook_endpoint")
    # Deliveries that wait for a retry check this status.
    endpoint["status"] = "disabled"
    account.remove(endpoint_id)
    return {"id": endpoint_id, "object": "webhook_endpoint", "deleted": True}


def _check(params: Json) -> None:
    if "url" in params and (
        urlsplit(params["url"]).scheme not in ("http", "https") or not urlsplit(params["url"]).hostname
    ):
        raise ParameterError(
            "Invalid URL: An explicit scheme (such as https) must be provided.", code="url_invalid", param="url"
        )
    if params.get("enabled_events") == []:
        raise ParameterError("You must pass at least one event.", code="parameter_missing", param="enabled_events")
