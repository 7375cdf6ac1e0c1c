"""Random numbers that are a function of the seed alone, whatever the environment asks of JAX."""

import jax

# JAX also takes these from the environment (JAX_THREEFRY_PARTITIONABLE=0 and so on). With other
# values the same seed draws other numbers, or a sum of two types that is fine here is refused.
PINNED = {
    "jax_threefry_partitionable": True,
    "jax_random_seed_offset": 0,
    "jax_numpy_dtype_promotion": "standard",
    "jax_numpy_rank_promotion": "allow",
}
for setting, value in PINNED.items():
    jax.config.update(setting, value)


def new_key(seed):
    """A key of the generator threefry2x32, also where JAX's own default is another one."""
    return jax.random.key(seed, impl="threefry2x32")
