"""Tags on every resource that can have them."""

from collections.abc import Mapping
from typing import Any, cast

import pulumi


def tag_everything(tags: Mapping[str, str]) -> None:
    """Add `tags` to every resource that is created from here on."""

    def add(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
        props = cast("dict[str, Any]", args.props)
        if "tags" not in props:  # the provider's classes list all their properties, whether they are set or not
            return None
        return pulumi.ResourceTransformationResult({**props, "tags": {**tags, **(props["tags"] or {})}}, args.opts)

    pulumi.runtime.register_stack_transformation(add)
