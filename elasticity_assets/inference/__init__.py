"""Pure numerics: the demand model and the engines that fit it.

Imports only jax, flatbuffers, numpyro, optax, numpy and scipy, so that it runs on a machine that has nothing else.
"""
