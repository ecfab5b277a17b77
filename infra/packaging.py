"""What Lambda is sent."""

from pathlib import Path

import pulumi

_ROOT = Path(__file__).parent.parent


def sources() -> pulumi.Archive:
    """The functions as they are in the working tree, without what they import from elsewhere."""
    return pulumi.AssetArchive({name: pulumi.FileArchive(str(_ROOT / name)) for name in ("lambdas", "shared")})
