"""Gap of moto: for each user pool it searches anew for the factors of the key that all its pools have: 0.1 s.

It searches with random numbers. For a usual key they follow from the key, whose p - 1 and q - 1 divide e * d - 1.
"""

from math import isqrt

from cryptography.hazmat.primitives.asymmetric.rsa import rsa_recover_prime_factors
from joserfc._rfc7518 import rsa_key

from local.aws.patches.patching import replace


def prime_factors(n: int, d: int, e: int) -> tuple[int, int]:
    multiple = e * d - 1
    both = n + 1 - multiple // (multiple // n + 1)  # p + q
    difference = isqrt(max(0, both * both - 4 * n))
    p, q = (both + difference) // 2, (both - difference) // 2
    return (p, q) if p * q == n else rsa_recover_prime_factors(n, d, e)


replace(rsa_key, "rsa_recover_prime_factors", prime_factors)
