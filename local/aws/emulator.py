"""The AWS of the local stack: moto in this process, with its gaps closed by `patches/`, a file for each subject.

moto's hooks are private, so patches/ alone uses them, and pyproject.toml pins the exact version. Each patch says which
gap it closes; tests/local/aws has a test for each that fails as soon as moto closes the gap.
"""

import os
import time
from datetime import UTC, datetime

from local.aws.patches import without_ec2  # noqa: F401 - before what imports EC2

# isort: split
import moto.core.models as core_models
import moto.stepfunctions.parser.models as interpreter
import moto.stepfunctions.parser.utils as interpreter_utils
from moto import mock_aws
from moto.cognitoidp.models import cognitoidp_backends
from moto.core.config import DefaultConfig, default_user_config
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.table import Table
from moto.s3.models import s3_backends
from moto.sns.models import sns_backends
from moto.stepfunctions.parser.api import ExecutionStatus

from local import credentials
from local.aws import archives, aws_account, clients
from local.aws.aws_account import (
    ACCOUNT,
    LOCAL,
    REGION,
    access,
    aws_faults,
    counts,
    current_function,
    on_execution_closed,
    published,
)
from local.aws.function_log import function_log, log_functions_to
from local.aws.patches import (
    concurrent_resolver,  # noqa: F401 - importing a patch declares it
    dynamodb_lock,  # noqa: F401
    dynamodb_speed,  # noqa: F401
    error_names,  # noqa: F401
    execution_end,  # noqa: F401
    interpreter_speed,
    nested_executions,  # noqa: F401
    patching,
    put_events,  # noqa: F401
    service_descriptions,  # noqa: F401
    sign_up,  # noqa: F401
    size_of_missing,  # noqa: F401
    state_transitions,  # noqa: F401
    user_lookup,  # noqa: F401
    user_pool_key,  # noqa: F401
)
from local.aws.patches.aws_calls import other_dynamodb
from local.aws.patches.jsonata_evaluation import evaluate_jsonata
from local.aws.patches.lambda_invocation import invoke
from local.aws.patches.task_tokens import machine_of_token, task_tokens

__all__ = [
    "ACCOUNT",
    "CONFIG",
    "LOCAL",
    "REGION",
    "access",
    "aws_faults",
    "counts",
    "current_function",
    "empty",
    "evaluate_jsonata",
    "install",
    "invoke",
    "log_functions_to",
    "machine_of_token",
    "on_execution_closed",
    "published",
    "start",
    "stop",
    "stop_executions",
]

CONFIG: DefaultConfig = {
    "lambda": {"use_docker": False},
    "stepfunctions": {"execute_state_machine": True},
    # With a new session every client would read its service's description again: seconds at each start.
    "core": {**default_user_config["core"], "reset_boto3_session": False},
}


def install() -> None:
    """Close every gap of moto, once per process."""
    patching.apply()
    interpreter_speed.install()


def start(dynamodb: str | None = None) -> mock_aws:
    """Start an empty AWS in this process; `stop` ends it. Raises RuntimeError if one is running already.

    `dynamodb`: the address of another DynamoDB for the items of the tables; by default that of the environment, if any.
    """
    install()
    if core_models.botocore_stubber.enabled:
        raise RuntimeError("there is an in-process AWS already, and all share one")
    aws = mock_aws(config=CONFIG)
    aws.start()
    # AWS is reached through botocore alone. This mock would inspect each request to Stripe as well, which is slow.
    core_models.responses_mock.stop()
    other_dynamodb.endpoint = dynamodb or os.environ.get(credentials.DYNAMODB_ENDPOINT)
    task_tokens.clear()
    aws_account.reset()
    return aws


def stop_executions() -> None:
    """Stop every execution and wait for its threads."""
    on_execution_closed.clear()
    for account in interpreter.stepfunctions_parser_backends.values():
        for backend in account.values():
            for execution in backend._get_executions(ExecutionStatus.RUNNING):
                execution.stop(datetime.now(UTC), "Stopped", "the local stack stops")
    deadline = time.monotonic() + 5
    for thread in list(interpreter_utils.TMP_THREADS):
        thread.join(max(0, deadline - time.monotonic()))
    interpreter_utils.TMP_THREADS.clear()


def empty() -> None:
    """Forget everything but what is deployed: items, files, executions, users, notifications and published events."""
    for table in dynamodb_backends[ACCOUNT][REGION].tables.values():
        table.items.clear()
        if other_dynamodb.endpoint is not None:
            _delete_items(table)
    for machine in interpreter.stepfunctions_parser_backends[ACCOUNT][REGION].state_machines:
        machine.executions.clear()
    for bucket in s3_backends[ACCOUNT]["aws"].buckets.values():
        bucket.keys.clear()
    for topic in sns_backends[ACCOUNT][REGION].topics.values():
        topic.sent_notifications.clear()
    for pool in cognitoidp_backends[ACCOUNT][REGION].user_pools.values():
        pool.users.clear()
        for group in pool.groups.values():
            group.users.clear()
    task_tokens.clear()
    aws_account.reset()


def _delete_items(table: Table) -> None:
    stored = clients.table(table.name)
    with stored.batch_writer() as writer:
        for page in stored.meta.client.get_paginator("scan").paginate(TableName=table.name):
            for item in page["Items"]:
                writer.delete_item(Key={name: item[name] for name in table.table_key_attrs})


def stop(aws: mock_aws) -> None:
    """Stop every execution and its threads, and forget everything."""
    stop_executions()
    if other_dynamodb.endpoint is not None:
        client = clients.client("dynamodb")
        for table in client.list_tables()["TableNames"]:
            client.delete_table(TableName=table)
        other_dynamodb.endpoint = None
    aws.stop()
    archives.forget()
    function_log.release()
