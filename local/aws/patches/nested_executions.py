"""Gap of moto: a state that starts another execution (`states:startExecution`, `.sync`, `.sync:2`) fails.

The definition has `StateMachineArn`, the API takes `stateMachineArn` and returns `executionArn` and a datetime, and the
state's result has `ExecutionArn` and text. moto converts none of them.
"""

from datetime import datetime
from typing import Any

from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_sfn import (
    StateTaskServiceSfn,
)

from local.aws.patches.patching import replaces


@replaces(StateTaskServiceSfn, "_normalise_parameters")
def normalise_parameters(self: Any, parameters: dict[str, Any], *args: Any, **kwargs: Any) -> None:
    normalise_parameters.original(self, parameters, *args, **kwargs)
    for name in list(parameters):
        parameters[name[0].lower() + name[1:]] = parameters.pop(name)


@replaces(StateTaskServiceSfn, "_normalise_response")
def _normalise_response(_self: Any, response: Any, *_: Any, **__: Any) -> None:
    if isinstance(response, dict):
        for name in list(response):
            value = response.pop(name)
            value = value.isoformat() if isinstance(value, datetime) else value
            response[name[0].upper() + name[1:]] = value
