"""A provider in its own process, which a test can kill: `python -m tests.real.provider_process AWS TYPE NAME`.

It uses the AWS at the address AWS and prints its port. It kills itself once it has created the resource of TYPE whose
`name` ends with NAME (any of them if NAME is -), before the engine gets the answer.
"""

import os
import signal
import sys
from typing import Any

from botocore.config import Config

from local.pulumi.provider import AwsProvider
from local.pulumi.resources.registry import RESOURCE_TYPES
from local.pulumi.resources.resource_type import AwsClients


def main(address: str, type_name: str, name: str) -> None:
    config = Config(retries={"total_max_attempts": 1})
    aws = AwsClients(endpoint_url=address, aws_access_key_id="local", aws_secret_access_key="local", config=config)
    type_ = RESOURCE_TYPES[type_name]
    create = type_.create

    def create_and_die(aws: AwsClients, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        created = create(aws, inputs)
        if name == "-" or inputs["name"].endswith(name):
            os.kill(os.getpid(), signal.SIGKILL)
        return created

    type_.create = create_and_die  # type: ignore[method-assign]
    sys.stdout.write(f"{AwsProvider(aws).port}\n")
    sys.stdout.flush()
    signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
