"""The whole architecture in reading order: data, secrets, functions, workflows, HTTP, watching, outputs."""

import pulumi
import pulumi_aws as aws

from infra import packaging
from infra.alarms import Alarms
from infra.api import Api
from infra.config import Config
from infra.dashboard import dashboard, log_queries
from infra.encryption import Encryption, own_key
from infra.events import ExecutionsDied, publishers, run_every
from infra.function import Function, Runtime
from infra.grants import allow
from infra.stripe_keys import PLACEHOLDER
from infra.table import table
from infra.tags import tag_everything
from infra.workflow import Workflow

config = Config.load()
environment = pulumi.get_stack()
prefix = f"booking-{environment}"
region = aws.get_region().region
account = aws.get_caller_identity().account_id
tag_everything({"project": pulumi.get_project(), "environment": environment})
encryption = Encryption()
if config.customer_managed_key:
    encryption = own_key(prefix=prefix, region=region, account=account, protect=config.production)

# ── Data ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

payments = table(
    "payments",
    prefix=prefix,
    key="payment_id",
    indexes={
        "reservation_id-index": ("reservation_id",),
        "stripe_payment_intent_id-index": ("stripe_payment_intent_id",),
        "status-index": ("status", "updated_at"),
        # Sparse: an item has the attribute only while one of its refunds has not settled.
        "refunding-index": ("refunding", "updated_at"),
    },
    encryption=encryption,
    protect=config.production,
)
webhook_events = table(
    "stripe-webhook-events",
    prefix=prefix,
    key="event_id",
    indexes={"event_type-index": ("event_type", "processed_at")},
    ttl="ttl",
    encryption=encryption,
    protect=config.production,
)
# The booking platform's own; a stack made without one makes them too.
reservations: aws.dynamodb.Table | aws.dynamodb.GetTableResult
availability: aws.dynamodb.Table | aws.dynamodb.GetTableResult
if config.reservations_table:
    reservations = aws.dynamodb.get_table(name=config.reservations_table)
else:
    reservations = table(
        "reservations",
        prefix=prefix,
        key="reservation_id",
        indexes={"status-index": ("status", "created_at")},
        encryption=encryption,
        protect=config.production,
    )
if config.availability_table:
    availability = aws.dynamodb.get_table(name=config.availability_table)
else:
    availability = table(
        "availability", prefix=prefix, key="date", indexes={}, encryption=encryption, protect=config.production
    )

# ── Secrets ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def key_of_stripe(name: str) -> aws.ssm.Parameter:
    """Its parameter. The key itself comes by `make stripe-webhook`, so that it is never in Pulumi's state."""
    return aws.ssm.Parameter(
        name.replace("_", "-"),
        name=f"/booking/{environment}/stripe/{name}",
        type="SecureString",
        value_wo=PLACEHOLDER,
        value_wo_version=1,
        opts=pulumi.ResourceOptions(protect=config.production),
    )


secret_key = key_of_stripe("secret_key")
publishable_key = key_of_stripe("publishable_key")
webhook_secret = key_of_stripe("webhook_secret")

# ── Operators and events ──────────────────────────────────────────────────────────────────────────────────────

operator_topic = aws.sns.Topic("operators", name=f"{prefix}-operators", kms_master_key_id=encryption.key_arn)
if config.operator_email:
    aws.sns.TopicSubscription("operators", topic=operator_topic.arn, protocol="email", endpoint=config.operator_email)
event_bus = aws.cloudwatch.EventBus("payments", name=f"{prefix}-payments")

# ── Guests ───────────────────────────────────────────────────────────────────────────────────────────────────────────

user_pool_arn: pulumi.Input[str]
if config.cognito_user_pool_arn:
    user_pool_arn = config.cognito_user_pool_arn
    pulumi.export("userPoolId", user_pool_arn.rpartition("/")[2])
else:
    user_pool = aws.cognito.UserPool(
        "guests",
        name=f"{prefix}-guests",
        username_attributes=["email"],
        auto_verified_attributes=["email"],
        # Who a guest is to the booking platform: set when the account is made, by the platform, and never again.
        schemas=[
            {
                "name": "customer_id",
                "attribute_data_type": "String",
                "mutable": False,
                "string_attribute_constraints": {"min_length": "1", "max_length": "64"},
            }
        ],
        deletion_protection="ACTIVE" if config.production else "INACTIVE",
        opts=pulumi.ResourceOptions(protect=config.production),
    )
    user_pool_client = aws.cognito.UserPoolClient(
        "booking-site",
        name=f"{prefix}-booking-site",
        user_pool_id=user_pool.id,
        explicit_auth_flows=["ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
        prevent_user_existence_errors="ENABLED",
        read_attributes=["email", "email_verified", "custom:customer_id"],
        write_attributes=["email"],
    )
    aws.cognito.UserGroup("operators", name="operators", user_pool_id=user_pool.id)
    user_pool_arn = user_pool.arn
    pulumi.export("userPoolId", user_pool.id)
    pulumi.export("userPoolClientId", user_pool_client.id)

# ── Functions that do the workflows' work ────────────────────────────────────────────────────────────────────────────

code: pulumi.Archive = packaging.sources()
layers: list[pulumi.Output[str]] = []
if config.package:
    code = pulumi.FileArchive(str(packaging.code()))
    dependencies = aws.lambda_.LayerVersion(
        "dependencies",
        layer_name=f"{prefix}-dependencies",
        code=pulumi.FileArchive(str(packaging.layer())),
        compatible_architectures=["arm64"],
        compatible_runtimes=["python3.13"],
    )
    layers = [dependencies.arn]
runtime = Runtime(
    prefix=prefix, code=code, layers=layers, log_retention_days=config.log_retention_days, encryption=encryption
)
settings: dict[str, pulumi.Input[str]] = {
    "PAYMENTS_TABLE": payments.name,
    "WEBHOOK_EVENTS_TABLE": webhook_events.name,
    "RESERVATIONS_TABLE": reservations.name,
    "AVAILABILITY_TABLE": availability.name,
    "STRIPE_SECRET_KEY_PARAMETER": secret_key.name,
    "STRIPE_WEBHOOK_SECRET_PARAMETER": webhook_secret.name,
    "STRIPE_API_BASE": config.stripe_api_base,
    "FRONTEND_URLS": config.frontend_url,
    "CHECKOUT_WINDOW_SECONDS": str(config.checkout_window_seconds),
    "HOLD_SECONDS": str(config.hold_seconds),
    "MAX_ATTEMPTS": str(config.max_attempts),
    "PROPERTY_TIME_ZONE": config.property_time_zone,
    "CUSTOMER_ID_CLAIM": config.customer_id_claim,
    "OPERATOR_TOPIC_ARN": operator_topic.arn,
    "EVENT_BUS_NAME": event_bus.name,
}
read_booking = allow("dynamodb:BatchGetItem", on=[payments.arn, reservations.arn, availability.arn])
read_payment = allow("dynamodb:GetItem", on=[payments.arn])
update_payment = allow("dynamodb:UpdateItem", on=[payments.arn])
# In one transaction over all three tables.
update_booking = allow("dynamodb:UpdateItem", on=[payments.arn, reservations.arn, availability.arn])
# No kms:Decrypt: the key is AWS's own for SSM, which decrypts for whoever may read the parameter.
call_stripe = allow("ssm:GetParameter", on=[secret_key.arn])

payment_functions = {
    "create_checkout_session": Function(
        runtime,
        "create_checkout_session",
        timeout=40,
        environment=settings,
        grants=[read_booking, update_payment, call_stripe],
    ),
    "verify_payment": Function(
        runtime,
        "verify_payment",
        timeout=60,
        environment=settings,
        grants=[read_booking, update_payment, call_stripe],
    ),
    "expire_checkout_sessions": Function(
        runtime,
        "expire_checkout_sessions",
        timeout=120,
        environment=settings,
        grants=[read_booking, update_payment, call_stripe],
    ),
    "confirm_reservation": Function(
        runtime,
        "confirm_reservation",
        environment=settings,
        grants=[
            read_booking,
            allow("dynamodb:UpdateItem", on=[payments.arn, reservations.arn]),
            allow("dynamodb:ConditionCheckItem", on=[availability.arn]),
        ],
    ),
    "release_hold": Function(
        runtime,
        "release_hold",
        environment=settings,
        grants=[read_booking, update_booking, allow("dynamodb:ConditionCheckItem", on=[reservations.arn])],
    ),
}

publish = allow("events:PutEvents", on=[event_bus.arn])
notify = allow("sns:Publish", on=[operator_topic.arn])

refund_functions = {
    "reserve_refund": Function(
        runtime,
        "reserve_refund",
        timeout=35,
        environment=settings,
        grants=[read_booking, update_booking, call_stripe, publish],
    ),
    "create_refund": Function(
        runtime,
        "create_refund",
        timeout=40,
        environment=settings,
        grants=[read_payment, update_payment, call_stripe],
    ),
    "check_refund": Function(
        runtime,
        "check_refund",
        timeout=35,
        environment=settings,
        grants=[read_payment, update_payment, call_stripe],
    ),
    "record_refund": Function(
        runtime,
        "record_refund",
        environment=settings,
        grants=[read_payment, update_payment, publish],
    ),
}

# ── Workflows ────────────────────────────────────────────────────────────────────────────────────────────────────────

console_url = f"https://{region}.console.aws.amazon.com/states/home?region={region}#/v2/executions/details/"
refund = Workflow(
    "refund",
    prefix=prefix,
    functions=refund_functions,
    values={
        "PaymentsTable": payments.name,
        "OperatorTopicArn": operator_topic.arn,
        "EventBusName": event_bus.name,
        "ConsoleUrl": console_url,
    },
    grants=[allow("dynamodb:UpdateItem", on=[payments.arn]), publish, notify],
    log_retention_days=config.log_retention_days,
    encryption=encryption,
)
payment = Workflow(
    "payment",
    prefix=prefix,
    functions=payment_functions,
    values={
        "PaymentsTable": payments.name,
        "OperatorTopicArn": operator_topic.arn,
        "EventBusName": event_bus.name,
        "ExecutionTimeoutSeconds": config.hold_seconds + 172_800,  # outlives the hold by two days of looking for money
        "StripeRetrySeconds": config.stripe_retry_seconds,
        "ConsoleUrl": console_url,
        "RefundStateMachineArn": refund.live_arn,
    },
    grants=[
        allow("dynamodb:PutItem", "dynamodb:UpdateItem", on=[payments.arn]),
        refund.may_start,
        publish,
        notify,
    ],
    log_retention_days=config.log_retention_days,
    encryption=encryption,
)

# ── Functions behind HTTP ────────────────────────────────────────────────────────────────────────────────────────────

starter_settings = {
    **settings,
    "PAYMENT_STATE_MACHINE_ARN": payment.live_arn,
    "REFUND_STATE_MACHINE_ARN": refund.live_arn,
}

resume = allow("states:SendTaskSuccess", on=[payment.arn, refund.arn])

payments_api = Function(
    runtime,
    "payments_api",
    timeout=28,
    memory=1024,
    environment=starter_settings,
    grants=[
        allow("dynamodb:BatchGetItem", on=[payments.arn, reservations.arn]),
        read_payment,
        update_payment,
        payment.may_start,
        refund.may_start,
        resume,
        allow("states:DescribeExecution", on=[refund.executions]),
    ],
)
stripe_webhook = Function(
    runtime,
    "stripe_webhook",
    timeout=20,
    memory=1024,
    environment=starter_settings,
    grants=[
        allow("ssm:GetParameter", on=[webhook_secret.arn]),
        read_payment,
        update_payment,
        allow("dynamodb:Query", on=[pulumi.Output.concat(payments.arn, "/index/stripe_payment_intent_id-index")]),
        allow("dynamodb:GetItem", "dynamodb:PutItem", on=[webhook_events.arn]),
        refund.may_start,
        resume,
        publish,
        notify,
    ],
)

# ── Reconciliation ───────────────────────────────────────────────────────────────────────────────────────────────────

reconcile_payments = Function(
    runtime,
    "reconcile_payments",
    timeout=300,
    environment=starter_settings,
    grants=[
        allow(
            "dynamodb:Query",
            on=[
                *[
                    pulumi.Output.concat(payments.arn, "/index/", index)
                    for index in ("status-index", "refunding-index", "stripe_payment_intent_id-index")
                ],
                pulumi.Output.concat(reservations.arn, "/index/status-index"),
            ],
        ),
        allow("dynamodb:BatchGetItem", on=[payments.arn, reservations.arn]),
        read_payment,
        update_payment,
        allow("dynamodb:GetItem", "dynamodb:PutItem", on=[webhook_events.arn]),
        payment.may_start,
        refund.may_start,
        resume,
        allow("states:DescribeExecution", on=[payment.executions, refund.executions]),
        call_stripe,
        publish,
        notify,
    ],
)
run_every(config.reconcile_minutes, reconcile_payments, prefix=prefix, retry_for_seconds=60 * config.reconcile_minutes)
executions_died = ExecutionsDied(
    "executions-died",
    prefix=prefix,
    workflows=[payment, refund],
    reconciler=reconcile_payments,
    topic=operator_topic,
    console_url=console_url,
)
# ── HTTP ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

api = Api(
    "api",
    prefix=f"{prefix}-payments",
    payments=payments_api,
    webhook=stripe_webhook,
    user_pool_arn=user_pool_arn,
    origins=config.frontend_url.split(","),
    throttle_rate=config.throttle_rate,
    throttle_burst=config.throttle_burst,
    manage_account=config.manage_api_gateway_account,
    log_retention_days=config.log_retention_days,
    encryption=encryption,
    web_acl_arn=config.web_acl_arn,
)

# ── Watching ─────────────────────────────────────────────────────────────────────────────────────────────────────────

state_functions = [*payment_functions.values(), *refund_functions.values()]
other_functions = [payments_api, stripe_webhook, reconcile_payments]
alarms = Alarms(
    "alarms",
    prefix=prefix,
    topic=operator_topic,
    workflows=[payment, refund],
    state_functions=state_functions,
    other_functions=other_functions,
    api=api,
    reconcile_minutes=config.reconcile_minutes,
)
aws.sns.TopicPolicy(
    "operators",
    arn=operator_topic.arn,
    policy=publishers(
        operator_topic.arn,
        {
            "cloudwatch": f"arn:aws:cloudwatch:{region}:{account}:alarm:{prefix}-*",
            "events": executions_died.rule_arn,
        },
    ),
)
dashboard(
    prefix=prefix,
    region=region,
    workflows=[payment, refund],
    functions=[*state_functions, *other_functions],
    api=api,
    alarms=alarms.arns,
)
log_queries(
    prefix=prefix,
    log_groups=[
        *[function.log_group for function in (*state_functions, *other_functions)],
        *[workflow.log_group for workflow in (payment, refund)],
    ],
)

# ── Outputs ──────────────────────────────────────────────────────────────────────────────────────────────────────────

pulumi.export("apiUrl", api.url)
pulumi.export("webhookUrl", pulumi.Output.concat(api.url, "/webhooks/stripe"))
pulumi.export("paymentStateMachineArn", payment.arn)
pulumi.export("refundStateMachineArn", refund.arn)
pulumi.export("paymentsTable", payments.name)
pulumi.export("webhookEventsTable", webhook_events.name)
pulumi.export("reservationsTable", reservations.name)
pulumi.export("availabilityTable", availability.name)
pulumi.export("reconcilerFunction", reconcile_payments.name)
pulumi.export("operatorTopicArn", operator_topic.arn)
pulumi.export("eventBusName", event_bus.name)
pulumi.export("consoleUrl", console_url)
pulumi.export("secretKeyParameter", secret_key.name)
pulumi.export("publishableKeyParameter", publishable_key.name)
pulumi.export("webhookSecretParameter", webhook_secret.name)
