"""Gap of moto: it knows no quota of state transitions, which AWS delays beyond it."""

from typing import Any

from moto.stepfunctions.parser.asl.component.state.state import CommonStateField

from local.aws import aws_account
from local.aws.patches.patching import replaces


@replaces(CommonStateField, "_eval_state_input")
def _enter_state(self: Any, env: Any) -> None:
    aws_account.quotas.await_transition()
    _enter_state.original(self, env)
