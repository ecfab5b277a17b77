"""Creates a user in the operators' group of a deployed stack: `make operator STACK=dev EMAIL=ada@example.com`.

Cognito sends the new user an e-mail with a temporary password. Safe to run again: a user who exists stays as it is and
joins the group. A user pool of the booking platform gets the group if it has none.
"""

import sys
from collections.abc import Mapping
from typing import Any

import boto3

from scripts import stack_outputs

GROUP = "operators"


def create_operator(outputs: Mapping[str, Any], email: str) -> str:
    """Return a sentence about what was done; `outputs` are the stack's. Raises ValueError for a wrong address."""
    if email.count("@") != 1 or any(letter.isspace() or letter in '"\\' for letter in email):
        raise ValueError(f"{email!r} is not an e-mail address")
    cognito = boto3.client("cognito-idp", region_name=stack_outputs.region(outputs))
    pool = outputs["userPoolId"]
    found = cognito.list_users(UserPoolId=pool, Filter=f'email = "{email}"', Limit=1)["Users"]
    if found:
        user, done = found[0]["Username"], f"{email} exists already"
    else:
        created = cognito.admin_create_user(
            UserPoolId=pool,
            Username=email,
            UserAttributes=[{"Name": "email", "Value": email}, {"Name": "email_verified", "Value": "true"}],
            DesiredDeliveryMediums=["EMAIL"],
        )
        user, done = created["User"]["Username"], f"{email} created; Cognito sends a temporary password"
    groups = [group["GroupName"] for group in cognito.list_groups(UserPoolId=pool, Limit=60)["Groups"]]
    if GROUP not in groups:
        cognito.create_group(UserPoolId=pool, GroupName=GROUP)
    cognito.admin_add_user_to_group(UserPoolId=pool, Username=user, GroupName=GROUP)
    return f"{done}; member of {GROUP} in {pool}"


def main(stack: str, email: str) -> None:
    try:
        sys.stdout.write(f"{create_operator(stack_outputs.read(stack), email)}\n")
    except ValueError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
