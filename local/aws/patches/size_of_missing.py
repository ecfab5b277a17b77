"""Gap of moto: a condition on the size of a missing attribute fails with an error, where DynamoDB finds it false."""

from typing import Any

from moto.dynamodb.comparisons import FuncSize

from local.aws.patches.patching import replaces


@replaces(FuncSize, "expr")
def size(self: Any, item: Any) -> Any:
    return None if self.attr.get_type(item) is None else size.original(self, item)
