"""Gap of moto: for each user pool it computes anew the factors of the key that all its pools have: half a second."""

import functools

from cryptography.hazmat.primitives.asymmetric.rsa import rsa_recover_prime_factors
from joserfc._rfc7518 import rsa_key

from local.aws.patches.patching import replace

replace(rsa_key, "rsa_recover_prime_factors", functools.cache(rsa_recover_prime_factors))
