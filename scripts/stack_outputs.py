"""The outputs of a deployed stack, which tools that work on one begin with."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any


def read(stack: str) -> dict[str, Any]:
    """The outputs of a stack of this project. Ends the program where the Pulumi CLI cannot read them.

    API_URL in the environment is the address of a stack that is served on this machine.
    """
    command = ["pulumi", "stack", "output", "--json", "--stack", stack]
    try:
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    except FileNotFoundError:
        sys.exit("the Pulumi CLI is not on the PATH: docs/deploy.md says how to install it")
    except subprocess.CalledProcessError as error:  # it has printed why
        sys.exit(error.returncode)
    outputs: dict[str, Any] = json.loads(printed)
    if not outputs:
        sys.exit(f"stack {stack} has no outputs: deploy it first, with pulumi up")
    if address := os.environ.get("API_URL"):
        outputs |= {"apiUrl": address, "webhookUrl": f"{address}/webhooks/stripe"}
    return outputs


def region(outputs: Mapping[str, Any]) -> str:
    """The region that the stack is in."""
    return str(outputs["operatorTopicArn"].split(":")[3])
