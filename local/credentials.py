"""Secrets of the local stack, generated at every start: none is stored in a file or resembles a real one."""

import secrets
from typing import Final

STRIPE_API_KEY: Final = f"sk_test_local_{secrets.token_hex(16)}"
REPORTING_KEY: Final = f"rk_test_local_{secrets.token_hex(16)}"
PUBLISHABLE_KEY: Final = f"pk_test_local_{secrets.token_hex(16)}"
WEBHOOK_SECRET: Final = f"whsec_local_{secrets.token_hex(16)}"

# The environment variable with the address of a DynamoDB to use instead of moto's.
DYNAMODB_ENDPOINT = "LOCAL_DYNAMODB_ENDPOINT"
