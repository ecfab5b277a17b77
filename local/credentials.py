"""Secrets of the local stack: made anew at every start, so that none is in a file or mistaken for a real one."""

import secrets
from typing import Final

STRIPE_API_KEY: Final = f"sk_test_local_{secrets.token_hex(16)}"
PUBLISHABLE_KEY: Final = f"pk_test_local_{secrets.token_hex(16)}"
WEBHOOK_SECRET: Final = f"whsec_local_{secrets.token_hex(16)}"

# Where the environment says that a DynamoDB is to be used in place of moto's.
DYNAMODB_ENDPOINT = "LOCAL_DYNAMODB_ENDPOINT"
