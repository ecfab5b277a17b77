"""Gap of moto: it reads the description of each service itself, and lists all services of AWS each time.

That takes a third of a second at each start. botocore has read the same for its clients: moto's is another only where
moto has additions of its own, which it has for S3 alone of what is used here.
"""

import functools
from pathlib import Path
from typing import Any

import boto3
from moto.core import utils
from moto.core.base_backend import AccountSpecificBackend
from moto.core.loaders import create_loader, moto_root

from local.aws.patches.patching import replace, replaces

replace(utils, "create_loader", functools.cache(create_loader))
replace(AccountSpecificBackend, "get_session", staticmethod(boto3._get_default_session))


@replaces(utils, "_load_service_model")
def load_description(service: str, kind: str) -> Any:
    additions = Path(moto_root, service.replace("-", "")).glob(f"*/{kind}.moto-extras.json*")
    if any(additions):
        return load_description.original(service, kind)
    return boto3._get_default_session()._session.get_component("data_loader").load_service_model(service, kind)
