"""Which call of AWS creates each resource, and which member of that call each property becomes.

A property goes to the member of the same name, whatever its capitals, or without a plural `s`. Only the others stand
here. `Shape:member` is a member of another call, or of what AWS answers, which is checked on its own.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Call:
    """`members`: by property, the member's path. `unchecked`: properties that no member has, and why.

    `added`: what Pulumi's provider adds itself.
    """

    service: str
    operation: str
    members: Mapping[str, str] = field(default_factory=dict)
    unchecked: Mapping[str, str] = field(default_factory=dict)
    added: Mapping[str, Any] = field(default_factory=dict)


CALLS: Mapping[str, Call] = {
    "aws:apigateway/account:Account": Call(
        "apigateway", "UpdateAccount", {"cloudwatchRoleArn": "Account:cloudwatchRoleArn"}
    ),
    "aws:apigateway/basePathMapping:BasePathMapping": Call(
        "apigateway", "CreateBasePathMapping", {"restApi": "restApiId", "stageName": "stage"}
    ),
    "aws:apigateway/deployment:Deployment": Call(
        "apigateway", "CreateDeployment", {"restApi": "restApiId"}, {"triggers": "Pulumi's own"}
    ),
    "aws:apigateway/domainName:DomainName": Call("apigateway", "CreateDomainName"),
    "aws:apigateway/methodSettings:MethodSettings": Call(
        "apigateway",
        "UpdateStage",
        {"restApi": "restApiId", "methodPath": "UpdateStage:patchOperations.path", "settings": "MethodSetting:"},
    ),
    "aws:apigateway/restApi:RestApi": Call(
        "apigateway", "CreateRestApi", {"body": "PutRestApi:body", "putRestApiMode": "PutRestApi:mode"}
    ),
    "aws:apigateway/stage:Stage": Call(
        "apigateway",
        "CreateStage",
        {
            "restApi": "restApiId",
            "deployment": "deploymentId",
            "xrayTracingEnabled": "tracingEnabled",
            "accessLogSettings": "Stage:accessLogSettings",
        },
    ),
    "aws:cloudwatch/dashboard:Dashboard": Call("cloudwatch", "PutDashboard"),
    "aws:cloudwatch/eventBus:EventBus": Call("events", "CreateEventBus"),
    "aws:cloudwatch/eventRule:EventRule": Call("events", "PutRule"),
    "aws:cloudwatch/eventTarget:EventTarget": Call(
        "events",
        "PutTargets",
        {
            "targetId": "Targets.Id",
            "arn": "Targets.Arn",
            "retryPolicy": "Targets.RetryPolicy",
            "inputTransformer": "Targets.InputTransformer",
            "inputTransformer.inputPaths": "InputPathsMap",
        },
    ),
    "aws:cloudwatch/logGroup:LogGroup": Call(
        "logs", "CreateLogGroup", {"name": "logGroupName", "retentionInDays": "PutRetentionPolicy:retentionInDays"}
    ),
    "aws:cloudwatch/metricAlarm:MetricAlarm": Call(
        "cloudwatch",
        "PutMetricAlarm",
        {
            "name": "AlarmName",
            "metricQueries": "Metrics",
            "metricQueries.metric": "MetricStat",
            "metricQueries.metric.namespace": "Metric.Namespace",
            "metricQueries.metric.metricName": "Metric.MetricName",
            "metricQueries.metric.dimensions": "Metric.Dimensions",
        },
    ),
    "aws:cloudwatch/queryDefinition:QueryDefinition": Call("logs", "PutQueryDefinition"),
    "aws:cognito/userGroup:UserGroup": Call("cognito-idp", "CreateGroup", {"name": "GroupName"}),
    "aws:cognito/userPool:UserPool": Call(
        "cognito-idp", "CreateUserPool", {"name": "PoolName", "tags": "UserPoolTags"}
    ),
    "aws:cognito/userPoolClient:UserPoolClient": Call(
        "cognito-idp",
        "CreateUserPoolClient",
        {
            "name": "ClientName",
            "allowedOauthFlows": "AllowedOAuthFlows",
            "allowedOauthFlowsUserPoolClient": "AllowedOAuthFlowsUserPoolClient",
            "allowedOauthScopes": "AllowedOAuthScopes",
            "callbackUrls": "CallbackURLs",
        },
    ),
    "aws:cognito/userPoolDomain:UserPoolDomain": Call("cognito-idp", "CreateUserPoolDomain"),
    "aws:dynamodb/table:Table": Call(
        "dynamodb",
        "CreateTable",
        {
            "name": "TableName",
            "attributes": "AttributeDefinitions",
            "attributes.name": "AttributeName",
            "attributes.type": "AttributeType",
            "hashKey": "KeySchema.AttributeName",
            "rangeKey": "KeySchemaElement:AttributeName",
            "globalSecondaryIndexes.name": "IndexName",
            "globalSecondaryIndexes.projectionType": "Projection.ProjectionType",
            "globalSecondaryIndexes.nonKeyAttributes": "Projection.NonKeyAttributes",
            "serverSideEncryption": "SSESpecification",
            "serverSideEncryption.kmsKeyArn": "KMSMasterKeyId",
            "pointInTimeRecovery": "PointInTimeRecoverySpecification:",
            "pointInTimeRecovery.enabled": "PointInTimeRecoveryEnabled",
            "ttl": "TimeToLiveSpecification:",
        },
        added={"KeySchema": [{"KeyType": "HASH"}]},
    ),
    "aws:iam/role:Role": Call(
        "iam", "CreateRole", {"name": "RoleName", "assumeRolePolicy": "AssumeRolePolicyDocument"}
    ),
    "aws:iam/rolePolicy:RolePolicy": Call(
        "iam", "PutRolePolicy", {"name": "PolicyName", "role": "RoleName", "policy": "PolicyDocument"}
    ),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": Call("iam", "AttachRolePolicy", {"role": "RoleName"}),
    "aws:kms/alias:Alias": Call("kms", "CreateAlias", {"name": "AliasName"}),
    "aws:kms/key:Key": Call(
        "kms",
        "CreateKey",
        {"deletionWindowInDays": "ScheduleKeyDeletion:PendingWindowInDays"},
        {"enableKeyRotation": "a call of its own, without a value"},
    ),
    "aws:lambda/alias:Alias": Call("lambda", "CreateAlias"),
    "aws:lambda/function:Function": Call(
        "lambda", "CreateFunction", {"name": "FunctionName"}, {"code": "an archive"}, added={"Code": {}}
    ),
    "aws:lambda/layerVersion:LayerVersion": Call(
        "lambda", "PublishLayerVersion", unchecked={"code": "an archive"}, added={"Content": {}}
    ),
    "aws:lambda/permission:Permission": Call(
        "lambda", "AddPermission", {"function": "FunctionName"}, added={"StatementId": "terraform-1"}
    ),
    "aws:s3/bucket:Bucket": Call(
        "s3", "CreateBucket", {"tags": "PutBucketTagging:Tagging.TagSet"}, {"forceDestroy": "Pulumi's own"}
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": Call(
        "s3", "PutBucketLifecycleConfiguration", {"rules": "LifecycleConfiguration.Rules"}
    ),
    "aws:s3/bucketPolicy:BucketPolicy": Call("s3", "PutBucketPolicy"),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": Call(
        "s3",
        "PutPublicAccessBlock",
        {
            name: f"PublicAccessBlockConfiguration.{name[0].upper()}{name[1:]}"
            for name in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
        },
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": Call(
        "s3",
        "PutBucketEncryption",
        {
            "rules": "ServerSideEncryptionConfiguration.Rules",
            "rules.applyServerSideEncryptionByDefault.kmsMasterKeyId": "KMSMasterKeyID",
            "rules.applyServerSideEncryptionByDefault.sseAlgorithm": "SSEAlgorithm",
        },
    ),
    "aws:s3/bucketVersioning:BucketVersioning": Call("s3", "PutBucketVersioning"),
    "aws:scheduler/schedule:Schedule": Call("scheduler", "CreateSchedule"),
    "aws:sfn/alias:Alias": Call("stepfunctions", "CreateStateMachineAlias"),
    "aws:sfn/stateMachine:StateMachine": Call(
        "stepfunctions",
        "CreateStateMachine",
        {"loggingConfiguration.logDestination": "destinations.cloudWatchLogsLogGroup.logGroupArn"},
    ),
    "aws:sns/topic:Topic": Call("sns", "CreateTopic", {"kmsMasterKeyId": "Attributes.KmsMasterKeyId"}),
    "aws:sns/topicPolicy:TopicPolicy": Call(
        "sns", "SetTopicAttributes", {"arn": "TopicArn", "policy": "AttributeValue"}, added={"AttributeName": "Policy"}
    ),
    "aws:sns/topicSubscription:TopicSubscription": Call("sns", "Subscribe", {"topic": "TopicArn"}),
    "aws:ssm/parameter:Parameter": Call(
        "ssm", "PutParameter", {"valueWo": "Value"}, {"valueWoVersion": "Pulumi's own"}
    ),
    "aws:wafv2/webAclAssociation:WebAclAssociation": Call("wafv2", "AssociateWebACL"),
}

_RETENTIONS = "1 3 5 7 14 30 60 90 120 150 180 365 400 545 731 1096 1827 2192 2557 2922 3288 3653"

# What the services' documentation demands beyond their models, as a pattern for the whole value.
DOCUMENTED: Mapping[tuple[str, str], re.Pattern[str]] = {
    ("aws:apigateway/methodSettings:MethodSettings", "methodPath"): re.compile(
        r"\*/\*|(~1[\w{}+.-]+)+/(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS|\*)"
    ),
    ("aws:apigateway/stage:Stage", "stageName"): re.compile(r"[\w-]{1,128}"),
    ("aws:cloudwatch/dashboard:Dashboard", "dashboardName"): re.compile(r"[\w-]{1,255}"),
    ("aws:cloudwatch/logGroup:LogGroup", "retentionInDays"): re.compile(_RETENTIONS.replace(" ", "|")),
    ("aws:cloudwatch/metricAlarm:MetricAlarm", "period"): re.compile(r"1|10|20|30|[1-9]\d*0"),
    ("aws:cloudwatch/metricAlarm:MetricAlarm", "treatMissingData"): re.compile("breaching|notBreaching|ignore|missing"),
    ("aws:dynamodb/table:Table", "name"): re.compile(r"[\w.-]{3,255}"),
    ("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "policyArn"): re.compile(
        r"arn:aws:iam::(aws|\d{12}):policy/.+"
    ),
    ("aws:kms/key:Key", "deletionWindowInDays"): re.compile(r"[7-9]|[12]\d|30"),
    ("aws:lambda/function:Function", "name"): re.compile(r"[\w-]{1,64}"),
    ("aws:lambda/function:Function", "timeout"): re.compile(r"[1-9]\d?|[1-8]\d\d|900"),
    ("aws:lambda/function:Function", "memorySize"): re.compile(r"12[89]|1[3-9]\d|[2-9]\d\d|[1-9]\d{3}|10[0-2]\d\d"),
    ("aws:s3/bucket:Bucket", "bucket"): re.compile(r"(?!xn--|sthree-)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]"),
    ("aws:scheduler/schedule:Schedule", "scheduleExpression"): re.compile(
        r"rate\((1 (minute|hour|day)|([2-9]|[1-9]\d+) (minutes|hours|days))\)|cron\(\S+( \S+){5}\)"
    ),
    ("aws:sfn/stateMachine:StateMachine", "name"): re.compile(r"[\w-]{1,80}"),
    ("aws:sns/topic:Topic", "name"): re.compile(r"[\w-]{1,256}"),
    ("aws:sns/topicSubscription:TopicSubscription", "protocol"): re.compile("email|email-json|https?|sms|sqs|lambda"),
    ("aws:ssm/parameter:Parameter", "name"): re.compile(r"(?!/(aws|ssm))(/[\w.-]+){1,15}"),
}
