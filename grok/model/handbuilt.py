"""A network that adds modulo n with weights that are written down, not trained.

The algorithm is that of trained networks (Nanda et al. 2023, Zhong et al. 2023): cosines and sines
of a few frequencies go in, the hidden layer turns sums into the wave of the sum, and the output
layer compares that wave with the wave of every answer.

With w = 2 pi k/n, the hidden neurons of frequency k are, for J angles f = 2 pi j/J and both signs,

    relu(cos(wx - f) ± cos(wy - f)),    and    cos(wx - f) + cos(wy - f)
                                               = 2 cos(w(x - y)/2) cos(w(x + y)/2 - f)

A rectified cosine has a second harmonic, so that the neurons' sum weighted with cos(2f) and sin(2f)
is |2 cos(w(x - y)/2)| times cos(w(x + y)) and sin(w(x + y)); with the minus sign |2 sin(...)| and
the opposite sign. Both together hardly depend on the distance x - y; the plus sign alone is the
pizza of Zhong et al., which does. All other harmonics that J angles cannot tell from the second are
of order 2J - 2 and above for odd J.
"""

from collections.abc import Iterable

import numpy as np

from grok.experiment import GrokError, Run

ANGLES = 7  # J: what its harmonics leave of an error is 2% of the wave
SHARPNESS = 40.0  # of attention scores: e^-40 is nothing in float32
SECOND_HARMONIC = 2 / (3 * np.pi)  # of a rectified cosine: 1/pi + cos/2 + 2/(3 pi) cos(2 .) - ...


def handbuilt(
    n: int, frequencies: Iterable[int], *, pizza: bool = False, logit: float = 100.0
) -> tuple[Run, dict]:
    """The run whose shape the network has, and its parameters.

    One block of x+y over Z/n without LayerNorm, four heads, learned positions. Half of the heads
    read x, half y; for a pizza all give both the same weight. logit: the height of the right
    answer's logit, about. Raises GrokError for a frequency outside 1..(n-1)//2 or given twice, and
    for none.
    """
    waves = list(frequencies)
    most = (n - 1) // 2
    for k in waves:
        if not 1 <= k <= most:
            raise GrokError(f"frequency {k} has no cosine and sine mod {n}: choose 1..{most}")
    if not waves or len(set(waves)) < len(waves):
        raise GrokError("choose at least one frequency, each once")
    width = max(128, 8 * -(-(6 * len(waves) + 3) // 8))
    signs = (1,) if pizza else (1, -1)
    run = Run(
        label=f"by hand, {len(waves)} frequencies" + ", pizza" * pizza,
        operation="x+y",
        structure=f"Z{n}",
        n_layers=1,
        norm="none",
        positions="learned",
        d_model=width,
        d_ff=max(512, ANGLES * len(signs) * len(waves)),
        weight_decay=0.0,
    )
    angle_KN = 2 * np.pi * np.outer(waves, np.arange(n)) / n
    wave_NW = np.stack([np.cos(angle_KN), np.sin(angle_KN)], -1).transpose(1, 0, 2).reshape(n, -1)
    height = logit / len(waves)
    tables = input_and_output(wave_NW, run, height)
    block = attention(run, 2 * len(waves), pizza) | hidden_layer(run, len(waves), signs)
    return run, tables | {"block0": {name: {"kernel": w} for name, w in block.items()}}


def input_and_output(wave_NW: np.ndarray, run: Run, height: float) -> dict:
    """The embeddings of tokens and positions, and the output matrix.

    The residual stream's first W places hold the token's wave, then x's, where = reads it; the next
    W y's; the next W the wave of x + y; the last three tell x's place, y's and that of =.
    """
    n, n_waves = wave_NW.shape
    embedding_VD = np.zeros((n + 2, run.d_model), np.float32)
    embedding_VD[:n, :n_waves] = wave_NW
    unembedding_DV = np.zeros((run.d_model, n + 2), np.float32)
    unembedding_DV[2 * n_waves : 3 * n_waves, :n] = height * wave_NW.T
    positions_TD = np.zeros((4, run.d_model), np.float32)
    positions_TD[[0, 2, 3], [-3, -2, -1]] = 1
    return {
        "embedding": embedding_VD,
        "unembedding": unembedding_DV,
        "positions": {"table": positions_TD},
    }


def attention(run: Run, n_waves: int, pizza: bool) -> dict[str, np.ndarray]:
    """Kernels [D, D] of a block whose heads bring x's wave and y's to =, into two sets of places.

    The first half of the heads attends to x and the second half to y, each head to a part of the
    wave. For a pizza every head attends to both, so that each set holds half of the sum of the two.
    """
    d_model, n_heads = run.d_model, run.n_heads
    d_head, half = d_model // n_heads, n_heads // 2
    kernels = {name: np.zeros((d_model, d_model), np.float32) for name in ("wq", "wk", "wv", "wo")}
    for head in range(n_heads):
        first = head * d_head
        kernels["wq"][-1, first] = SHARPNESS * np.sqrt(d_head)
        kernels["wk"][-3, first] = pizza or head < half
        kernels["wk"][-2, first] = pizza or head >= half
        for place in range(head % half, n_waves, half):  # the heads share the places of a wave
            column = first + place // half
            kernels["wv"][place, column] = 1
            kernels["wo"][column, place + n_waves * (head >= half)] = 1
    return kernels


def hidden_layer(run: Run, n_frequencies: int, signs: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Kernels of the hidden layer, w_in [D, F] and w_out [F, D]; see this file's docstring."""
    w_in = np.zeros((run.d_model, run.ff_width), np.float32)
    w_out = np.zeros((run.ff_width, run.d_model), np.float32)
    n_waves, neuron = 2 * n_frequencies, 0
    scale = 1 / (ANGLES * SECOND_HARMONIC * len(signs))  # the wave's height is about 1
    for k in range(n_frequencies):
        pair = slice(2 * k, 2 * k + 2)
        for sign in signs:
            for angle in 2 * np.pi * np.arange(ANGLES) / ANGLES:
                direction = np.array([np.cos(angle), np.sin(angle)])
                w_in[:n_waves][pair, neuron] = direction
                w_in[n_waves : 2 * n_waves][pair, neuron] = sign * direction
                double = np.array([np.cos(2 * angle), np.sin(2 * angle)])
                w_out[neuron, 2 * n_waves :][pair] = scale * sign * double
                neuron += 1
    return {"w_in": w_in, "w_out": w_out}
