"""Gap of moto: its interpreter imports AWS Batch for a table of statuses, and both its Batch and its SSM import EC2.

That takes half a second at each start. This module is imported before those, and gives them what they need alone.
"""

import importlib
import sys
from importlib.util import find_spec, module_from_spec

if "moto.ec2" not in sys.modules:
    packages = {name: spec for name in ("moto.batch", "moto.ec2") if (spec := find_spec(name))}
    # They are found, but not run, so that their modules can be imported one by one.
    sys.modules |= {name: module_from_spec(spec) for name, spec in packages.items()}
    vars(sys.modules["moto.ec2"])["ec2_backends"] = {}
    try:
        for needed in ("moto.batch.utils", "moto.ssm"):
            importlib.import_module(needed)
    finally:
        for name in packages:
            del sys.modules[name]
