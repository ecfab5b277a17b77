"""A private, versioned, encrypted S3 bucket."""

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from infra.encryption import Encryption


class Bucket(pulumi.ComponentResource):
    """The bucket `{prefix}-{name}-{account}`: S3's names are shared by all accounts.

    Former versions of objects are kept, except below the prefixes `temporary`, where they are deleted after a week.
    Unless it is protected, it is deleted with all it contains.
    """

    name: pulumi.Output[str]
    arn: pulumi.Output[str]

    def __init__(
        self, name: str, *, prefix: str, account: str, encryption: Encryption, temporary: Sequence[str], protect: bool
    ) -> None:
        super().__init__("booking:infra:Bucket", name)
        inside = pulumi.ResourceOptions(parent=self)
        bucket = aws.s3.Bucket(
            name, bucket=f"{prefix}-{name}-{account}", opts=pulumi.ResourceOptions(parent=self, protect=protect)
        )
        versioning = aws.s3.BucketVersioning(
            name, bucket=bucket.bucket, versioning_configuration={"status": "Enabled"}, opts=inside
        )
        algorithm = "AES256" if encryption.key_arn is None else "aws:kms"
        aws.s3.BucketServerSideEncryptionConfiguration(
            name,
            bucket=bucket.bucket,
            rules=[
                {
                    "apply_server_side_encryption_by_default": {
                        "sse_algorithm": algorithm,
                        "kms_master_key_id": encryption.key_arn,
                    },
                    "bucket_key_enabled": encryption.key_arn is not None,
                }
            ],
            opts=inside,
        )
        aws.s3.BucketPublicAccessBlock(
            name,
            bucket=bucket.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=inside,
        )
        aws.s3.BucketLifecycleConfiguration(
            name,
            bucket=bucket.bucket,
            rules=[
                {
                    "id": f"{folder.rstrip('/')}-versions",
                    "status": "Enabled",
                    "filter": {"prefix": folder},
                    "noncurrent_version_expiration": {"noncurrent_days": 7},
                }
                for folder in temporary
            ],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[versioning]),
        )
        over_plain_http = {
            "Sid": "EncryptedConnectionsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [bucket.arn, pulumi.Output.concat(bucket.arn, "/*")],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
        aws.s3.BucketPolicy(
            name,
            bucket=bucket.bucket,
            policy=pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": [over_plain_http]}),
            opts=inside,
        )
        self.name, self.arn = bucket.bucket, bucket.arn
        self.register_outputs({"name": self.name})
