"""Gap of moto: its interpreter is slow and noisy.

- It creates a new client for every task. Here all tasks share one client per service.
- It parses the definition for every execution (0.3 s for the payment workflow). The result is shared here: it keeps
  nothing between states, as the interpreter's memory is in the environment. Each part of it draws a random name for
  that memory when it is first used, so that one history would change what the next one draws: here its address is it.
- It searches a list of hundreds of services for every call. Here the services in use come first.
- It lists the methods of a service's class for every request. Here once.
- It writes the times of a history as text, which botocore is slow to read.
- It prints every failure together with the whole state. The execution's history has it already.
"""

import functools
import logging
import sys
import threading
from datetime import datetime
from typing import Any

import boto3
import botocore.parsers
from botocore.config import Config
from botocore.utils import parse_timestamp
from moto import backend_index
from moto.core import responses
from moto.stepfunctions.parser.asl.component.eval_component import EvalComponent
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser

from local.aws.aws_faults import STATES
from local.aws.patches.patching import replace

_SERVICES = ("dynamodb", "stepfunctions", "lambda", "events", "ssm", "sns")

parse = functools.lru_cache(maxsize=64)(AmazonStateLanguageParser.parse)
_client_lock = threading.Lock()


@functools.cache
def _shared_client(region: str, service: str) -> Any:
    config = Config(parameter_validation=False, retries={"total_max_attempts": 1}, user_agent_extra=f"caller/{STATES}")
    return boto3.client(service, region_name=region, config=config)  # type: ignore[call-overload]


def _client_for(region: str, service: str, state_credentials: Any = None) -> Any:
    del state_credentials
    with _client_lock:
        return _shared_client(region, service)


def _read_time(value: Any) -> Any:
    iso = isinstance(value, str) and value[10:11] == "T"  # a time of a header has a T in GMT
    return datetime.fromisoformat(value) if iso else parse_timestamp(value)


replace(botocore.parsers, "DEFAULT_TIMESTAMP_PARSER", _read_time)  # of clients that are made from now on
replace(AmazonStateLanguageParser, "parse", staticmethod(parse))
replace(responses, "method_names_from_class", functools.cache(responses.method_names_from_class))
replace(EvalComponent, "heap_key", property(lambda self: str(id(self))))
for _name in ("_log_exception", "_log_failure_event_exception"):
    replace(EvalComponent, _name, lambda *_, **__: None)


def install() -> None:
    """Replace what is found only once all of moto is loaded."""
    # Only modules of moto are tried: asking a lazy module of another package would load it.
    for name, module in list(sys.modules.items()):
        if name.startswith("moto.stepfunctions.") and hasattr(module, "boto_client_for"):
            vars(module)["boto_client_for"] = _client_for
    backend_index.backend_url_patterns.sort(key=lambda entry: entry[0] not in _SERVICES)
    logging.getLogger("moto.stepfunctions").setLevel(logging.CRITICAL)
