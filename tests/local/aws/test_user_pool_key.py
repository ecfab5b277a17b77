"""The key of the emulated user pools."""

from moto.cognitoidp import models


def test_moto_still_has_its_key_without_the_factors_that_it_computes_for_each_pool() -> None:
    key = models.load_resource("cognitoidp/resources/jwks-private.json")
    assert {"p", "q"}.isdisjoint(key)
