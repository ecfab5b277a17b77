"""Which resources and outputs a stack has."""

import re
from collections import Counter

from tests.infra.deployed import PAYMENT_WORKFLOW, REFUND_WORKFLOW, TOPIC
from tests.infra.worker import Seen


def test_the_number_of_resources_of_each_type(stack: Seen) -> None:
    assert Counter(resource.type.rpartition(":")[2] for resource in stack.deployment.resources) == {
        "Table": 5,
        "Bucket": 1,
        "BucketLifecycleConfiguration": 1,
        "BucketPolicy": 1,
        "BucketPublicAccessBlock": 1,
        "BucketServerSideEncryptionConfiguration": 1,
        "BucketVersioning": 1,
        "Parameter": 4,
        "Topic": 1,
        "TopicPolicy": 1,
        "EventBus": 1,
        "UserPool": 1,
        "UserPoolClient": 2,  # the booking site's and the console's
        "UserPoolDomain": 1,
        "UserGroup": 1,
        "Function": 14,
        "Alias": 16,  # `live` of each function and each state machine
        "StateMachine": 2,
        "Schedule": 2,
        "EventRule": 1,
        "EventTarget": 2,
        "Role": 19,  # of each function and state machine, the schedules, and API Gateway's logs
        "RolePolicy": 18,
        "RolePolicyAttachment": 1,
        "LogGroup": 17,  # of each function and state machine, and the access log
        "RestApi": 1,
        "Deployment": 1,
        "Stage": 1,
        "MethodSettings": 7,  # for all routes, and for those with their own limit
        "Permission": 4,
        "Account": 1,
        "MetricAlarm": 51,
        "Dashboard": 1,
        "QueryDefinition": 5,
    }


def test_the_outputs_of_a_stack(stack: Seen) -> None:
    outputs = dict(stack.deployment.outputs)
    api = outputs.pop("apiUrl")
    assert re.fullmatch(r"https://\w+\.execute-api\.eu-west-1\.amazonaws\.com/api", api)
    assert outputs.pop("webhookUrl") == f"{api}/webhooks/stripe"
    assert outputs.pop("userPoolId").startswith("eu-west-1_")
    assert outputs.pop("userPoolClientId")
    assert outputs.pop("consoleClientId")
    assert outputs == {
        "production": False,
        "paymentStateMachineArn": PAYMENT_WORKFLOW,
        "refundStateMachineArn": REFUND_WORKFLOW,
        "paymentsTable": "booking-local-payments",
        "webhookEventsTable": "booking-local-stripe-webhook-events",
        "reservationsTable": "booking-local-reservations",
        "availabilityTable": "booking-local-availability",
        "auditTable": "booking-local-audit",
        "reconcilerFunction": "booking-local-reconcile-payments",
        "ledgerFunction": "booking-local-reconcile-ledger",
        "ledgerBucket": "booking-local-ledger-123456789012",
        "operatorTopicArn": TOPIC,
        "eventBusName": "booking-local-payments",
        "consoleUrl": "https://eu-west-1.console.aws.amazon.com/states/home?region=eu-west-1#/v2/executions/details/",
        "secretKeyParameter": "/booking/local/stripe/secret_key",
        "reportingKeyParameter": "/booking/local/stripe/reporting_key",
        "publishableKeyParameter": "/booking/local/stripe/publishable_key",
        "webhookSecretParameter": "/booking/local/stripe/webhook_secret",
    }


def test_everything_that_can_be_tagged_is_tagged(stack: Seen) -> None:
    tags = {"project": "booking-payments", "environment": "local"}
    untaggable = {
        "Account",
        "Alias",
        "BucketLifecycleConfiguration",
        "BucketPolicy",
        "BucketPublicAccessBlock",
        "BucketServerSideEncryptionConfiguration",
        "BucketVersioning",
        "Dashboard",
        "Deployment",
        "EventTarget",
        "MethodSettings",
        "Permission",
        "QueryDefinition",
        "RolePolicy",
        "RolePolicyAttachment",
        "Schedule",
        "TopicPolicy",
        "UserGroup",
        "UserPoolClient",
        "UserPoolDomain",
    }
    without = {r.type.rpartition(":")[2] for r in stack.deployment.resources if r.inputs.get("tags") != tags}
    assert without == untaggable
