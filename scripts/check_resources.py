"""Checks every resource of the stacks `dev` and `prod` against what AWS accepts; part of `make lint`.

Prints what AWS would refuse, and exits with 1 if there is something. Nothing is deployed outside this process.
"""

import sys
import warnings
from collections.abc import Iterator, Sequence

from moto import mock_aws

from local.pulumi.deployer import deploy
from local.pulumi.resources.resource_type import Resource
from scripts.aws_policies import policy_problems, size_problems
from scripts.service_calls import CALLS
from scripts.service_inputs import InputChecks

# Every optional part of the program, except the packages for Lambda, which take minutes to build.
STACKS: dict[str, dict[str, str | int]] = {
    "dev": {},
    "prod": {
        "operatorEmail": "operators@example.com",
        "domainName": "payments.example.com",
        "certificateArn": "arn:aws:acm:eu-west-1:123456789012:certificate/0a1b2c3d",
        "webAclArn": "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/guests/0a1b2c3d",
    },
}
_BESIDE: dict[str, str | int] = {"package": "false", "frontendUrl": "https://booking.example.com"}


def problems(resources: Sequence[Resource], inputs: InputChecks) -> Iterator[str]:
    found = [(resource, problem) for resource in resources for problem in inputs.problems(resource)]
    found += [*size_problems(resources), *policy_problems(resources)]
    yield from (f"{resource.type} {resource.name!r}: {problem}" for resource, problem in found)


def main() -> int:
    warnings.simplefilter("ignore")
    inputs, resources, found = InputChecks(), [], []
    for stack, config in STACKS.items():
        with mock_aws(config={"lambda": {"use_docker": False}}):
            deployed = deploy({**_BESIDE, **config}, stack).resources
        resources += deployed
        found += [f"{stack}: {problem}" for problem in problems(deployed, inputs)]
    print("\n".join(found) or coverage(resources, inputs))
    return int(bool(found))


def coverage(resources: Sequence[Resource], inputs: InputChecks) -> str:
    services = {service for service, _ in inputs.operations}
    unchecked = [f"{type_}.{name} ({why})" for type_, call in CALLS.items() for name, why in call.unchecked.items()]
    unseen = CALLS.keys() - {resource.type for resource in resources}
    return (
        f"{len(resources)} resources fit AWS's models: {inputs.checked} values of {len(inputs.operations)} calls to"
        f" {len(services)} services\nnot checked: {', '.join([*unchecked, *sorted(unseen)])}"
    )


if __name__ == "__main__":
    sys.exit(main())
