"""S3: buckets and their versioning. What else a bucket has does not matter on one machine."""

from local.aws.aws_account import REGION
from local.pulumi.resources.resource_type import (
    NOT_FOUND,
    AwsClients,
    Created,
    ResourceType,
    Values,
    ignoring,
    tag_list,
)


class Bucket(ResourceType):
    identity = ("bucket",)
    updatable = frozenset({"forceDestroy"})
    computed = ("arn",)

    def create(self, aws: AwsClients, inputs: Values) -> Created:
        name = inputs["bucket"]
        with ignoring({"BucketAlreadyOwnedByYou"}):
            aws.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        aws.client("s3").put_bucket_tagging(Bucket=name, Tagging={"TagSet": tag_list(inputs)})
        return name, {"arn": f"arn:aws:s3:::{name}"}

    def read(self, aws: AwsClients, id_: str, inputs: Values) -> Values | None:
        with ignoring({*NOT_FOUND, "404", "NoSuchBucket"}):
            aws.client("s3").head_bucket(Bucket=id_)
            return {}
        return None

    def update(self, aws: AwsClients, id_: str, inputs: Values, old: Values) -> Values:
        return {}

    def delete(self, aws: AwsClients, id_: str, inputs: Values) -> None:
        """Raises ClientError while a bucket without `forceDestroy` has objects, as S3 does."""
        s3 = aws.client("s3")
        with ignoring({"NoSuchBucket"}):
            if inputs.get("forceDestroy"):
                for page in s3.get_paginator("list_object_versions").paginate(Bucket=id_):
                    for one in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                        s3.delete_object(Bucket=id_, Key=one["Key"], VersionId=one["VersionId"])
            s3.delete_bucket(Bucket=id_)


class BucketVersioning(ResourceType):
    identity = ("bucket",)
    updatable = frozenset({"versioningConfiguration"})

    def create(self, aws: AwsClients, inputs: Values) -> Created:
        self.update(aws, inputs["bucket"], inputs, inputs)
        return inputs["bucket"], {}

    def read(self, aws: AwsClients, id_: str, inputs: Values) -> Values | None:
        with ignoring({"NoSuchBucket"}):
            status = aws.client("s3").get_bucket_versioning(Bucket=id_).get("Status", "Disabled")
            return {"versioningConfiguration": {"status": status}}
        return None

    def update(self, aws: AwsClients, id_: str, inputs: Values, old: Values) -> Values:
        status = inputs["versioningConfiguration"]["status"]
        aws.client("s3").put_bucket_versioning(Bucket=inputs["bucket"], VersioningConfiguration={"Status": status})
        return {}

    def delete(self, aws: AwsClients, id_: str, inputs: Values) -> None:
        """The bucket stays versioned until it is deleted itself."""
