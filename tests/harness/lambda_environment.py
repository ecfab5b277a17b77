"""What AWS gives a function: environment variables, an invocation context, secrets and request ids."""

import uuid

from aws_lambda_powertools.utilities.typing import LambdaContext

from local.credentials import REPORTING_KEY

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "POWERTOOLS_SERVICE_NAME": "booking-payments",
    "POWERTOOLS_METRICS_NAMESPACE": "BookingPayments",
    "STACK": "booking-test",
    "PAYMENTS_TABLE": "payments",
    "WEBHOOK_EVENTS_TABLE": "events",
    "RESERVATIONS_TABLE": "reservations",
    "AVAILABILITY_TABLE": "availability",
    "AUDIT_TABLE": "audit",
    "STRIPE_SECRET_KEY_PARAMETER": "/booking/test/stripe/secret_key",
    "STRIPE_WEBHOOK_SECRET_PARAMETER": "/booking/test/stripe/webhook_secret",
    "STRIPE_API_BASE": "http://stripe.test/stripe",
    "FRONTEND_URLS": "https://stay.example,http://localhost:3000",
    "CHECKOUT_WINDOW_SECONDS": "1800",
    "HOLD_SECONDS": "86400",
    "MAX_ATTEMPTS": "3",
    "PROPERTY_TIME_ZONE": "Europe/Madrid",
    "REFUND_POLICY": '[{"days": 14, "percent": 100}, {"days": 7, "percent": 50}]',
    "PROPERTY_NAME": "Casa Azul",
    "STATEMENT_DESCRIPTOR_SUFFIX": "",
    "SEND_RECEIPTS": "false",
    "REFUND_ON_FRAUD_WARNING": "never",
    "CUSTOMER_ID_CLAIM": "custom:customer_id",
    "OPERATOR_TOPIC_ARN": "arn:aws:sns:eu-west-1:123456789012:operators",
    "EVENT_BUS_NAME": "bookings",
    "LEDGER_BUCKET": "ledger",
    "STRIPE_REPORTING_KEY_PARAMETER": "/booking/test/stripe/reporting_key",
    "PAYMENT_STATE_MACHINE_ARN": "arn:aws:states:eu-west-1:123456789012:stateMachine:payment",
    "REFUND_STATE_MACHINE_ARN": "arn:aws:states:eu-west-1:123456789012:stateMachine:refund",
}
API_KEY = "sk_test_4f1d2c7a"
WEBHOOK_SECRET = "whsec_4f1d2c7a"
SECRETS = {"secret_key": API_KEY, "reporting_key": REPORTING_KEY, "webhook_secret": WEBHOOK_SECRET}


class Context(LambdaContext):
    _function_name = "function"
    _function_version = "1"
    _memory_limit_in_mb = 512
    _invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:function"
    _aws_request_id = "00000000-0000-4000-8000-000000000000"


CONTEXT = Context()


def request_id() -> str:
    """A new request id as API Gateway assigns them."""
    return str(uuid.uuid4())
