"""DynamoDB tables: on demand, encrypted, with point-in-time recovery."""

from collections.abc import Callable, Mapping

import pulumi
import pulumi_aws as aws

from infra.encryption import Encryption


def table(
    name: str,
    *,
    prefix: str,
    key: str,
    range_key: str | None = None,
    indexes: Mapping[str, tuple[str, ...]],
    ttl: str | None = None,
    encryption: Encryption,
    protect: bool,
) -> aws.dynamodb.Table:
    """Create the table `{prefix}-{name}` with string keys; `indexes` by name: hash key, then range key if any.

    Indexes hold only keys. They find candidates; whoever acts on one reads the item itself.
    """
    return aws.dynamodb.Table(
        name,
        name=f"{prefix}-{name}",
        billing_mode="PAY_PER_REQUEST",
        hash_key=key,
        range_key=range_key,
        attributes=[
            {"name": attribute, "type": "S"}
            for attribute in sorted(
                {key, *([range_key] if range_key else []), *(name for keys in indexes.values() for name in keys)}
            )
        ],
        global_secondary_indexes=[
            {
                "name": index,
                "key_schemas": [
                    {"attribute_name": attribute, "key_type": kind}
                    for attribute, kind in zip(keys, ("HASH", "RANGE"), strict=False)
                ],
                "projection_type": "KEYS_ONLY",
            }
            for index, keys in indexes.items()
        ],
        ttl={"attribute_name": ttl, "enabled": True} if ttl else None,
        point_in_time_recovery={"enabled": True},
        server_side_encryption={"enabled": True, "kms_key_arn": encryption.key_arn},
        deletion_protection_enabled=protect,
        opts=pulumi.ResourceOptions(protect=protect),
    )


def platform_table(
    given: str | None, create: Callable[[], aws.dynamodb.Table]
) -> aws.dynamodb.Table | aws.dynamodb.GetTableResult:
    """Return the booking platform's table of the name `given`, or create one."""
    return aws.dynamodb.get_table(name=given) if given else create()
