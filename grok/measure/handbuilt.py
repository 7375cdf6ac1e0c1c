"""How few frequencies suffice: networks whose weights are written down, and noise on them."""

import jax
import numpy as np
import pandas as pd

from grok.measure.network import of_params
from grok.model.handbuilt import handbuilt

MODULI = (97, 113)
MOST, DRAWS = 8, 5  # frequencies; random choices of them
NOISE = (0.0, 0.1, 0.3)  # its size in each matrix, relative to the matrix


def enough_frequencies() -> pd.DataFrame:
    """Accuracy over the whole table with 1 to MOST random frequencies and noise on every weight.

    Columns n, frequencies, draw, noise, accuracy, and margin: how far the right answer's logit
    stands above the next one, over all answers' range, in the equation where that is least.
    """
    rows = []
    for n in MODULI:
        for count in range(1, MOST + 1):
            for draw in range(DRAWS):
                rng = np.random.default_rng([n, count, draw])
                waves = rng.choice(np.arange(1, (n + 1) // 2), count, replace=False)
                run, params = handbuilt(n, waves.tolist())
                for noise in NOISE:
                    found = of_params(run, noisy(params, noise, rng))
                    rows.append(
                        {
                            "n": n,
                            "frequencies": count,
                            "draw": draw,
                            "noise": noise,
                            "accuracy": found.accuracy("all"),
                            "margin": least_margin(found) if not noise else np.nan,
                        }
                    )
    return pd.DataFrame(rows)


def noisy(params, size: float, rng: np.random.Generator):
    """Parameters with Gaussian noise of `size` times the norm of each matrix."""

    def with_noise(w):
        noise = rng.normal(size=w.shape) * np.linalg.norm(w) / np.sqrt(w.size)
        return (w + size * noise).astype(np.float32)

    return jax.tree.map(with_noise, params)


def least_margin(network) -> float:
    """See `enough_frequencies`."""
    logits, answers = network.logits(), network.answers
    right = np.take_along_axis(logits, answers[..., None], 2)[..., 0]
    others = logits.copy()
    np.put_along_axis(others, answers[..., None], -np.inf, 2)
    return float(((right - others.max(2)) / np.ptp(logits, axis=2)).min())
