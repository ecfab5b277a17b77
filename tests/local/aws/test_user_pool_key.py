"""The key of the emulated user pools."""

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from moto.cognitoidp import models

from local.aws.patches.user_pool_key import prime_factors


def test_moto_still_has_its_key_without_the_factors_that_it_computes_for_each_pool() -> None:
    key = models.load_resource("cognitoidp/resources/jwks-private.json")
    assert {"p", "q"}.isdisjoint(key)


@pytest.mark.parametrize("usual", [True, False], ids=["d below (p-1)(q-1)", "another d of the same key"])
def test_the_factors_of_a_key_follow_from_it(*, usual: bool) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_numbers()
    d = pow(65537, -1, (key.p - 1) * (key.q - 1)) + (0 if usual else (key.p - 1) * (key.q - 1))
    assert set(prime_factors(key.p * key.q, d, 65537)) == {key.p, key.q}
