"""The functions: one module for each state or trigger, a package where routes come in groups.

On Lambda nothing that is imported is garbage, so none is looked for until shared/start_up.py is done.
"""

import gc
import os

if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    gc.disable()
