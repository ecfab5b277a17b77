"""The whole architecture in reading order: data, secrets, functions, workflows, HTTP, monitoring, outputs."""

from functools import partial

import pulumi
import pulumi_aws as aws

from infra.alarms import Alarms
from infra.api import Api, Domain
from infra.bucket import Bucket
from infra.config import Config
from infra.dashboard import dashboard, log_queries
from infra.encryption import Encryption, own_key, use_key
from infra.events import FailedExecutions, run_every, run_every_morning
from infra.function import Function, Runtime
from infra.grants import allow
from infra.guests import user_pool
from infra.operator_topic import let_services_publish, subscribe
from infra.stripe_keys import stripe_keys
from infra.table import platform_table, table
from infra.tags import tag_everything
from infra.workflow import Workflow
from shared.domain import due

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

new_table = partial(table, prefix=prefix, encryption=encryption, protect=config.production)
payments = new_table(
    "payments",
    key="payment_id",
    indexes={
        "reservation_id-index": ("reservation_id",),
        # The list of all payments: every one is in the same currency.
        "created_at-index": ("currency", "created_at"),
        # Sparse: an item has the time only while something of it is awaited.
        "due-index": ("due_shard", "due_at"),
        # Sparse as well: the operators' queue.
        "attention-index": ("currency", "attention_since"),
        # Of small items that say on which days the ledger of a payment changed.
        "money_day-index": ("money_day", "recorded_at"),
    },
)
webhook_events = new_table("stripe-webhook-events", key="event_id", indexes={}, ttl="ttl")
# Who changed what: entries are added, never changed.
audit = new_table("audit", key="payment_id", range_key="at_id", indexes={})
# Reconciled days: a CSV and a summary each.
ledger_files = Bucket(
    "ledger", prefix=prefix, account=account, encryption=encryption, temporary=["progress/"], protect=config.production
)
# The booking platform's tables. A stack that is not given them creates its own.
reservations = platform_table(
    config.reservations_table,
    partial(new_table, "reservations", key="reservation_id", indexes={"status-index": ("status", "created_at")}),
)
availability = platform_table(config.availability_table, partial(new_table, "availability", key="date", indexes={}))

# ── Secrets, operators, events, guests ───────────────────────────────────────────────────────────────────────────────

keys = stripe_keys(environment=environment, protect=config.production)
operator_topic = aws.sns.Topic("operators", name=f"{prefix}-operators", kms_master_key_id=encryption.key_arn)
if config.operator_email:
    subscribe(operator_topic, config.operator_email)
event_bus = aws.cloudwatch.EventBus("payments", name=f"{prefix}-payments")
guests = user_pool(config.cognito_user_pool_arn, prefix=prefix, account=account, protect=config.production)

# ── Functions that the workflows call ────────────────────────────────────────────────────────────────────────────────

settings: dict[str, pulumi.Input[str]] = {
    "STACK": prefix,
    "PAYMENTS_TABLE": payments.name,
    "WEBHOOK_EVENTS_TABLE": webhook_events.name,
    "RESERVATIONS_TABLE": reservations.name,
    "AVAILABILITY_TABLE": availability.name,
    "AUDIT_TABLE": audit.name,
    "STRIPE_SECRET_KEY_PARAMETER": keys.secret_key.name,
    "STRIPE_WEBHOOK_SECRET_PARAMETER": keys.webhook_secret.name,
    "OPERATOR_TOPIC_ARN": operator_topic.arn,
    "EVENT_BUS_NAME": event_bus.name,
    **config.environment(),
}
runtime = Runtime.build(
    prefix=prefix,
    account=account,
    package=config.package,
    log_retention_days=config.log_retention_days,
    encryption=encryption,
)
state_function = partial(Function, runtime, environment=settings)

platform_key = [use_key(config.platform_key_arn, region, "dynamodb")] if config.platform_key_arn else []
read_booking = [allow("dynamodb:BatchGetItem", on=[payments.arn, reservations.arn, availability.arn]), *platform_key]
read_payment = allow("dynamodb:GetItem", on=[payments.arn])
update_payment = allow("dynamodb:UpdateItem", on=[payments.arn])
# One transaction over all three tables.
update_booking = allow("dynamodb:UpdateItem", on=[payments.arn, reservations.arn, availability.arn])
# One more operation of the transaction that makes a change. No role may update or delete an entry.
record_audit = allow("dynamodb:PutItem", on=[audit.arn])
# kms:Decrypt is not needed: AWS's own key for SSM decrypts for everyone who may read the parameter.
call_stripe = allow("ssm:GetParameter", on=[keys.secret_key.arn])
publish = allow("events:PutEvents", on=[event_bus.arn])
notify = allow("sns:Publish", on=[operator_topic.arn])

payment_functions = [
    state_function(
        "create_checkout_session",
        timeout=40,
        grants=[*read_booking, read_payment, update_payment, record_audit, call_stripe],
    ),
    state_function(
        "verify_payment",
        timeout=60,
        grants=[*read_booking, read_payment, update_payment, record_audit, call_stripe, publish, notify],
    ),
    state_function(
        "expire_checkout_sessions",
        timeout=120,
        grants=[*read_booking, read_payment, update_payment, record_audit, call_stripe, publish, notify],
    ),
    state_function(
        "confirm_reservation",
        grants=[
            *read_booking,
            record_audit,
            allow("dynamodb:UpdateItem", on=[payments.arn, reservations.arn]),
            allow("dynamodb:ConditionCheckItem", on=[availability.arn]),
        ],
    ),
    state_function(
        "release_hold",
        grants=[
            *read_booking,
            update_booking,
            record_audit,
            allow("dynamodb:ConditionCheckItem", on=[reservations.arn]),
        ],
    ),
]
refund_functions = [
    state_function(
        "reserve_refund",
        timeout=35,
        grants=[*read_booking, read_payment, update_booking, record_audit, call_stripe, publish],
    ),
    state_function("create_refund", timeout=40, grants=[read_payment, update_payment, call_stripe]),
    state_function("check_refund", timeout=35, grants=[read_payment, update_payment, call_stripe]),
    state_function("record_refund", grants=[read_payment, update_payment, record_audit, publish]),
]

# ── Workflows ────────────────────────────────────────────────────────────────────────────────────────────────────────

console_url = f"https://{region}.console.aws.amazon.com/states/home?region={region}#/v2/executions/details/"
workflow_values: dict[str, pulumi.Input[str]] = {
    "PaymentsTable": payments.name,
    "OperatorTopicArn": operator_topic.arn,
    "EventBusName": event_bus.name,
    "ConsoleUrl": console_url,
}
new_workflow = partial(
    Workflow, prefix=prefix, account=account, log_retention_days=config.log_retention_days, encryption=encryption
)
refund = new_workflow(
    "refund", functions=refund_functions, values=workflow_values, grants=[update_payment, publish, notify]
)
payment = new_workflow(
    "payment",
    functions=payment_functions,
    values={
        **workflow_values,
        # Two days longer than the hold, in which late payments are still found.
        "ExecutionTimeoutSeconds": config.hold_seconds + 172_800,
        "StripeRetrySeconds": config.stripe_retry_seconds,
        "ReminderSeconds": config.reminder_seconds,
        "GraceSeconds": due.GRACE.total_seconds(),
        "RefundStateMachineArn": refund.live_arn,
    },
    grants=[allow("dynamodb:PutItem", "dynamodb:UpdateItem", on=[payments.arn]), refund.may_start, publish, notify],
)

# ── Functions behind HTTP, and the reconcilers ───────────────────────────────────────────────────────────────────────

starter_function = partial(
    Function,
    runtime,
    environment={
        **settings,
        "PAYMENT_STATE_MACHINE_ARN": payment.live_arn,
        "REFUND_STATE_MACHINE_ARN": refund.live_arn,
    },
)
resume = allow("states:SendTaskSuccess", on=[payment.arn, refund.arn])
read_reservation = [allow("dynamodb:BatchGetItem", on=[payments.arn, reservations.arn]), *platform_key]
record_events = [
    allow("dynamodb:BatchGetItem", on=[webhook_events.arn, payments.arn]),
    allow("dynamodb:PutItem", on=[webhook_events.arn]),
]

# Listing lets S3 answer that a day has no file yet.
read_ledger_files = [
    allow("s3:ListBucket", on=[ledger_files.arn]),
    allow("s3:GetObject", on=[pulumi.Output.concat(ledger_files.arn, "/days/*")]),
]

payments_api = starter_function(
    "payments_api",
    timeout=28,
    grants=[
        *read_reservation,
        read_payment,
        update_payment,
        record_audit,
        payment.may_start,
        refund.may_start,
        resume,
        allow("states:DescribeExecution", on=[refund.executions]),
    ],
)
operations_api = Function(
    runtime,
    "operations_api",
    timeout=28,
    environment={
        **settings,
        "PAYMENT_STATE_MACHINE_ARN": payment.live_arn,
        "REFUND_STATE_MACHINE_ARN": refund.live_arn,
        "LEDGER_BUCKET": ledger_files.name,
    },
    grants=[
        *read_reservation,
        read_payment,
        update_payment,
        record_audit,
        allow(
            "dynamodb:Query",
            on=[
                audit.arn,
                pulumi.Output.concat(payments.arn, "/index/created_at-index"),
                pulumi.Output.concat(payments.arn, "/index/attention-index"),
            ],
        ),
        allow("states:DescribeExecution", "states:GetExecutionHistory", on=[payment.executions, refund.executions]),
        *read_ledger_files,
    ],
)
stripe_webhook = starter_function(
    "stripe_webhook",
    timeout=28,
    grants=[
        allow("ssm:GetParameter", on=[keys.webhook_secret.arn]),
        read_payment,
        update_payment,
        record_audit,
        *record_events,
        call_stripe,
        refund.may_start,
        resume,
        publish,
        notify,
    ],
)
reconcile_payments = starter_function(
    "reconcile_payments",
    timeout=300,
    grants=[
        allow(
            "dynamodb:Query",
            on=[
                pulumi.Output.concat(payments.arn, "/index/due-index"),
                pulumi.Output.concat(reservations.arn, "/index/status-index"),
            ],
        ),
        *read_reservation,
        read_payment,
        update_payment,
        record_audit,
        *record_events,
        payment.may_start,
        refund.may_start,
        resume,
        allow("states:DescribeExecution", on=[payment.executions, refund.executions]),
        call_stripe,
        publish,
        notify,
        allow("sns:GetTopicAttributes", on=[operator_topic.arn]),
    ],
)
reconcile_ledger = Function(
    runtime,
    "reconcile_ledger",
    timeout=900,
    memory=1024,
    environment={
        **settings,
        "LEDGER_BUCKET": ledger_files.name,
        "STRIPE_REPORTING_KEY_PARAMETER": keys.reporting_key.name,
    },
    grants=[
        allow("dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:UpdateItem", on=[payments.arn]),
        allow("dynamodb:Query", on=[pulumi.Output.concat(payments.arn, "/index/money_day-index")]),
        record_audit,
        allow("s3:ListBucket", on=[ledger_files.arn]),
        allow(
            "s3:GetObject",
            "s3:PutObject",
            on=[pulumi.Output.concat(ledger_files.arn, folder) for folder in ("/days/*", "/progress/*")],
        ),
        allow("s3:DeleteObject", on=[pulumi.Output.concat(ledger_files.arn, "/progress/*")]),
        # Its own key, which need not do more than read.
        allow("ssm:GetParameter", on=[keys.reporting_key.arn]),
        publish,
    ],
)
run_every(config.reconcile_minutes, reconcile_payments, prefix=prefix, account=account)
run_every_morning(reconcile_ledger, prefix=prefix, account=account)
failed_executions = FailedExecutions(
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
    operations=operations_api,
    webhook=stripe_webhook,
    user_pool_arn=guests.arn,
    origins=config.frontend_url.split(","),
    throttle_rate=config.throttle_rate,
    throttle_burst=config.throttle_burst,
    account_role=f"{pulumi.get_project()}-api-gateway-logs-{region}" if config.manage_api_gateway_account else None,
    log_retention_days=config.log_retention_days,
    encryption=encryption,
    web_acl_arn=config.web_acl_arn,
    domain=Domain.of(config.domain_name, config.certificate_arn),
)

# ── Monitoring ───────────────────────────────────────────────────────────────────────────────────────────────────────

workflows, state_functions = [payment, refund], [*payment_functions, *refund_functions]
other_functions = [payments_api, operations_api, stripe_webhook, reconcile_payments, reconcile_ledger]
functions = [*state_functions, *other_functions]
alarms = Alarms(
    "alarms",
    prefix=prefix,
    topic=operator_topic,
    workflows=workflows,
    state_functions=state_functions,
    other_functions=other_functions,
    api=api,
    rules=[failed_executions.rule],
    reconciler=reconcile_payments,
    reconcile_minutes=config.reconcile_minutes,
    ledger_reconciler=reconcile_ledger,
)
let_services_publish(operator_topic, alarms=f"arn:aws:cloudwatch:{region}:{account}:alarm:{prefix}-*")
dashboard(prefix=prefix, region=region, workflows=workflows, functions=functions, api=api, alarms=alarms.arns)
log_queries(
    prefix=prefix, log_groups=[*(function.log_group for function in functions), *(flow.log_group for flow in workflows)]
)

# ── Outputs ──────────────────────────────────────────────────────────────────────────────────────────────────────────

pulumi.export("production", config.production)
pulumi.export("apiUrl", api.url)
if api.domain_target is not None:
    pulumi.export("domainTarget", api.domain_target)
pulumi.export("webhookUrl", pulumi.Output.concat(api.url, "/webhooks/stripe"))
pulumi.export("paymentStateMachineArn", payment.arn)
pulumi.export("refundStateMachineArn", refund.arn)
pulumi.export("paymentsTable", payments.name)
pulumi.export("webhookEventsTable", webhook_events.name)
pulumi.export("reservationsTable", reservations.name)
pulumi.export("availabilityTable", availability.name)
pulumi.export("auditTable", audit.name)
pulumi.export("reconcilerFunction", reconcile_payments.name)
pulumi.export("ledgerFunction", reconcile_ledger.name)
pulumi.export("ledgerBucket", ledger_files.name)
pulumi.export("operatorTopicArn", operator_topic.arn)
pulumi.export("eventBusName", event_bus.name)
pulumi.export("consoleUrl", console_url)
pulumi.export("secretKeyParameter", keys.secret_key.name)
pulumi.export("reportingKeyParameter", keys.reporting_key.name)
pulumi.export("publishableKeyParameter", keys.publishable_key.name)
pulumi.export("webhookSecretParameter", keys.webhook_secret.name)
pulumi.export("userPoolId", guests.id)
if guests.client_id is not None:
    pulumi.export("userPoolClientId", guests.client_id)
    pulumi.export("consoleClientId", guests.console_client_id)
