"""A provider in a process of its own, which a test can kill: `python -m tests.real.provider_process AWS TYPE NAME`.

Its AWS is at the address AWS. It prints its port, and dies by SIGKILL once it has made the resource of TYPE whose
`name` ends with NAME (whichever, where it is -), before the engine hears of it.
"""

import os
import signal
import sys
from typing import Any

from botocore.config import Config

from local.pulumi.provider import AwsProvider
from local.pulumi.resources.registry import RESOURCE_TYPES
from local.pulumi.resources.resource_type import AwsClients


def main(address: str, type_: str, name: str) -> None:
    config = Config(retries={"total_max_attempts": 1})
    aws = AwsClients(endpoint_url=address, aws_access_key_id="local", aws_secret_access_key="local", config=config)
    kind = RESOURCE_TYPES[type_]
    create = kind.create

    def make_and_die(aws: AwsClients, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        made = create(aws, inputs)
        if name == "-" or inputs["name"].endswith(name):
            os.kill(os.getpid(), signal.SIGKILL)
        return made

    kind.create = make_and_die  # type: ignore[method-assign]
    sys.stdout.write(f"{AwsProvider(aws).port}\n")
    sys.stdout.flush()
    signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
