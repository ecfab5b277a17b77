"""Quotas refuse what exceeds them, and know what was never repeated."""

import json

from local.aws.request_units import MeteredRequest
from local.quotas import CONCURRENCY, STRIPE, STRIPE_ENDPOINT, WRITES, Quotas

START = json.dumps({"name": "RES-000000000001"})
WRITE = json.dumps({"TableName": "payments", "Item": {"payment_id": {"S": "PAY-1"}, "status": {"S": "pending"}}})


def test_without_limits_nothing_is_refused() -> None:
    quotas = Quotas()
    assert not any(quotas.refuses_aws("sfn.StartExecution", "states", START) for _ in range(5000))
    assert not any(quotas.refuses_stripe("refunds.create", "one") for _ in range(500))


def test_a_call_beyond_the_burst_is_refused_until_the_bucket_has_a_token() -> None:
    quotas = Quotas({"StartExecution": (1e-9, 1)})
    answers = [quotas.refuses_aws("sfn.StartExecution", caller, START) for caller in ("states", "payments_api", None)]
    assert answers == [False, True, False]  # the local stack itself has no quota
    assert quotas.throttled == {"StartExecution": 1}


def test_a_refused_call_counts_as_not_repeated_until_it_is_made_again() -> None:
    quotas = Quotas({"StartExecution": (1e-9, 1)})
    quotas.refuses_aws("sfn.StartExecution", "states", "{}")
    quotas.refuses_aws("sfn.StartExecution", "states", START)
    assert (quotas.not_repeated, quotas.refused_again) == ({"StartExecution": 1}, {})
    quotas.refuses_aws("sfn.StartExecution", "states", START)
    assert (quotas.not_repeated, quotas.refused_again) == ({}, {"StartExecution": 1})


def test_each_endpoint_of_stripe_has_its_own_limit_within_that_of_all() -> None:
    quotas = Quotas({STRIPE: (1e-9, 3), STRIPE_ENDPOINT: (1e-9, 2)})
    calls = ["refunds.create"] * 3 + ["refunds.list"] * 2
    answers = [quotas.refuses_stripe(operation, str(number)) for number, operation in enumerate(calls)]
    assert answers == [False, False, True, False, True]
    assert quotas.throttled == {STRIPE: 1, STRIPE_ENDPOINT: 1}


def test_lambda_runs_no_more_functions_at_a_time_than_its_concurrency() -> None:
    quotas = Quotas({CONCURRENCY: (1, 1)})
    assert [quotas.begin_function("a", "{}"), quotas.begin_function("b", "{}")] == [True, False]
    quotas.end_function()
    assert quotas.begin_function("b", "{}")
    assert not quotas.not_repeated


def test_a_key_of_a_table_or_an_index_that_has_used_its_units_refuses_writes_that_name_it() -> None:
    quotas = Quotas({WRITES: (1e-9, 2)})
    used = {("payments/status-index", "pending"): 3.0, ("payments", "PAY-2"): 1.0}
    quotas.spend_units(MeteredRequest("states", "PutItem", "", write=4, partitions=used))
    assert quotas.refuses_aws("dynamodb.PutItem", "states", WRITE)
    assert not quotas.refuses_aws("dynamodb.PutItem", "states", WRITE.replace("pending", "confirmed"))
    assert not quotas.refuses_aws("dynamodb.GetItem", "states", WRITE)
