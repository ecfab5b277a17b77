"""The REST API: document, deployment, stage with throttling and access log."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import pulumi
import pulumi_aws as aws

from infra import openapi
from infra.encryption import Encryption
from infra.function import Function
from infra.grants import trust

STAGE = "api"

# Neither the query string (Stripe's session id) nor other claims (the e-mail address).
_ACCESS_LOG = {
    "correlation_id": "$context.requestId",
    "time": "$context.requestTimeEpoch",
    "method": "$context.httpMethod",
    "path": "$context.path",
    "status": "$context.status",
    "error": "$context.error.responseType",
    "latency": "$context.responseLatency",
    "integration_latency": "$context.integrationLatency",
    "source_ip": "$context.identity.sourceIp",
    "user_agent": "$context.identity.userAgent",
    "sub": "$context.authorizer.claims.sub",
}


# The share of the stage's limit that a route may use, if not all of it: guests read often, pay sometimes, cancel once.
# API Gateway counts each method separately, so that no route, above all the webhook, suffers from another.
_SHARES = {
    ("POST", "/payments/checkout-session"): 0.5,
    ("POST", "/payments/{id}/retry"): 0.5,
    ("POST", "/payments/{id}/cancel"): 0.1,
    ("POST", "/payments/{id}/refund"): 0.1,
    ("POST", "/payments/{id}/attempts"): 0.1,
    ("POST", "/payments/{id}/refunds/{refund_id}/resolution"): 0.1,
}


def throttled_routes() -> Iterable[tuple[str, str]]:
    """The method and path of each route with a limit of its own."""
    return _SHARES.keys()


def _method_path(method: str, path: str) -> str:
    """Return the stage's key for a method; pulumi-aws writes and reads it as it is, without escaping the slashes."""
    return f"{path.replace('/', '~1')}/{method}"


def _slug(method: str, path: str) -> str:
    return "-".join([method.lower(), *path.translate(str.maketrans("", "", "{}")).strip("/").split("/")])


@dataclass(frozen=True)
class Domain:
    name: str
    certificate_arn: str

    @classmethod
    def of(cls, name: str | None, certificate_arn: str | None) -> Self | None:
        """Return None unless both are configured."""
        return cls(name, certificate_arn) if name and certificate_arn else None


class Api(pulumi.ComponentResource):
    """The REST API `{prefix}` with the stage `api`, for the guests of `user_pool_arn` and for Stripe.

    With `domain`, `url` is `https://{domain.name}`, once its DNS record points to `domain_target`.
    """

    name: str
    url: pulumi.Output[str]
    domain_target: pulumi.Output[str] | None = None

    def __init__(
        self,
        name: str,
        *,
        prefix: str,
        payments: Function,
        operations: Function,
        webhook: Function,
        user_pool_arn: pulumi.Input[str],
        origins: Sequence[str],
        throttle_rate: int,
        throttle_burst: int,
        account_role: str | None,
        log_retention_days: int,
        encryption: Encryption,
        web_acl_arn: str | None,
        domain: Domain | None,
    ) -> None:
        super().__init__("booking:infra:Api", name)
        inside = pulumi.ResourceOptions(parent=self)

        body = pulumi.Output.json_dumps(
            pulumi.Output.all(
                payments_uri=payments.live_invoke_arn,
                operations_uri=operations.live_invoke_arn,
                webhook_uri=webhook.live_invoke_arn,
                user_pool_arn=user_pool_arn,
            ).apply(lambda known: openapi.document(title=prefix, origins=origins, **known))
        )
        api = aws.apigateway.RestApi(
            name,
            name=prefix,
            body=body,
            put_rest_api_mode="overwrite",
            endpoint_configuration={"types": "REGIONAL"},
            opts=inside,
        )
        for function, module, routes in (
            (payments, "payments-api", "*/payments/*"),
            (operations, "operations-api", "*/payments*"),
            (webhook, "stripe-webhook", "POST/webhooks/stripe"),
        ):
            aws.lambda_.Permission(
                module,
                action="lambda:InvokeFunction",
                function=function.name,
                qualifier=function.live,
                principal="apigateway.amazonaws.com",
                source_arn=pulumi.Output.concat(api.execution_arn, f"/{STAGE}/", routes),
                opts=inside,
            )
        # A stage serves a snapshot, so a changed document needs a new deployment.
        deployment = aws.apigateway.Deployment(
            name,
            rest_api=api.id,
            triggers={"body": body.apply(lambda text: hashlib.sha256(text.encode()).hexdigest())},
            opts=inside,
        )
        logs = aws.cloudwatch.LogGroup(
            f"{name}-access",
            name=f"/aws/apigateway/{prefix}",
            retention_in_days=log_retention_days,
            kms_key_id=encryption.key_arn,
            opts=inside,
        )
        may_log = [] if account_role is None else [self._let_api_gateway_log(account_role)]
        stage = aws.apigateway.Stage(
            name,
            rest_api=api.id,
            deployment=deployment.id,
            stage_name=STAGE,
            access_log_settings={"destination_arn": logs.arn, "format": json.dumps(_ACCESS_LOG)},
            xray_tracing_enabled=True,
            opts=pulumi.ResourceOptions(parent=self, depends_on=may_log),
        )
        for label, path, share in (
            (name, "*/*", 1.0),
            *[(_slug(*route), _method_path(*route), share) for route, share in _SHARES.items()],
        ):
            aws.apigateway.MethodSettings(
                label,
                rest_api=api.id,
                stage_name=stage.stage_name,
                method_path=path,
                settings={
                    "throttling_rate_limit": max(1, int(throttle_rate * share)),
                    "throttling_burst_limit": max(1, int(throttle_burst * share)),
                    "metrics_enabled": True,
                },
                opts=inside,
            )
        if web_acl_arn is not None:
            aws.wafv2.WebAclAssociation(name, resource_arn=stage.arn, web_acl_arn=web_acl_arn, opts=inside)
        self.name = prefix
        self.url = stage.invoke_url
        if domain is not None:
            self._serve_at(domain, name, stage, inside)
        self.register_outputs({"url": self.url})

    def _serve_at(self, domain: Domain, name: str, stage: aws.apigateway.Stage, inside: pulumi.ResourceOptions) -> None:
        served = aws.apigateway.DomainName(
            name,
            domain_name=domain.name,
            regional_certificate_arn=domain.certificate_arn,
            endpoint_configuration={"types": "REGIONAL"},
            security_policy="TLS_1_2",
            opts=inside,
        )
        # Without a base path, so that the functions see the same paths as at the stage's own address.
        aws.apigateway.BasePathMapping(
            name, domain_name=served.domain_name, rest_api=stage.rest_api, stage_name=stage.stage_name, opts=inside
        )
        self.url = pulumi.Output.concat("https://", served.domain_name)
        self.domain_target = served.regional_domain_name

    def _let_api_gateway_log(self, role_name: str) -> aws.apigateway.Account:
        """Set the role with which API Gateway logs, for all its APIs in this account and region.

        It outlives the stack, whose end must not switch off the logs of others. Its name is the same in every stack, so
        that AWS refuses a second one rather than replace the first one's role.
        """
        kept = pulumi.ResourceOptions(parent=self, retain_on_delete=True)
        role = aws.iam.Role(
            "api-gateway-logs", name=role_name, assume_role_policy=trust("apigateway", account=None), opts=kept
        )
        permissions = aws.iam.RolePolicyAttachment(
            "api-gateway-logs",
            role=role.name,
            policy_arn="arn:aws:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs",
            opts=kept,
        )
        return aws.apigateway.Account(
            "api-gateway",
            cloudwatch_role_arn=role.arn,
            opts=pulumi.ResourceOptions.merge(kept, pulumi.ResourceOptions(depends_on=[permissions])),
        )
