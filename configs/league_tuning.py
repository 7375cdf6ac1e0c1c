"""Beyond the paper: the tuning before the league, the same grid for every method.

The grid is three learning rates times two decays (three at the paper's scale), times three values
of a method's own strength where it has one. Where a method lives at other learning rates, its rates
are AdamW's times one factor, and its decays are divided by it, so that a weight shrinks as fast.
Tasks without decay have rates and strengths alone, and so has a constant norm, which undoes decay.
Its strength is the norm of the start. The seeds are none of the league's. The rule by which a cell
is chosen stands in grok/store/tuning.py.

Shows: at which learning rate, decay and strength each method reaches 99% soonest.

Data are poor where an AdamW gets there in half of its seeds and no longer with 5% less: at the
small scale the best of three cells did in 3 of 4 seeds at 45% of x+y, and in 1 of 4 at 40%.

Cost: small x+y and x/y mod 31, x+y with poor data and without decay too, 15 methods, 2 seeds (about
40 minutes on two cores); night 4 methods with the paper's network, 1 seed, at most 2 core-hours;
paper 15 methods on 6 tasks mod 97 and of S5, 3 seeds, on a GPU.
"""

from typing import NamedTuple

from grok.experiment import Experiment, Run, grid

RATES = (1 / 3, 1.0, 3.0)


class Method(NamedTuple):
    """Its fields, its own strength (a field and its values), its learning rates over AdamW's."""

    fields: dict
    strength: dict = {}
    rate: float = 1.0
    decays: bool = True


METHODS = {  # those whose claims are the loudest first, for a training that is cut short
    "AdamW": Method({}),
    "Grokfast-EMA": Method(
        {"gradient_filter": "grokfast_ema"}, {"filter_strength": (0.5, 2.0, 5.0)}
    ),
    "⊥Grad": Method({"gradient_filter": "orthogonal"}),
    "StableMax": Method({"loss": "stablemax"}),
    "exact softmax": Method({"loss": "softmax_exact"}),
    "Muon": Method({"optimizer": "muon"}),
    "Muon, norm only": Method({"optimizer": "muon_norm_only"}),
    "sphere": Method({"norm": "sphere"}, {"logit_scale": (8.0, 16.0, 32.0)}),
    "even attention": Method({}, {"attention_mix": (0.0, 0.3, 0.7)}),
    "Egalitarian GD": Method({"optimizer": "egalitarian"}, rate=3.0),
    "constant norm": Method(
        {"constant_norm": True}, {"init_scale": (0.25, 0.5, 1.0)}, decays=False
    ),
    "low-rank decay": Method({"decay_form": "low_rank"}),
    "SGD": Method({"optimizer": "sgd"}, rate=30.0),
    "SAM": Method({"optimizer": "sam"}, {"sam_radius": (0.02, 0.05, 0.15)}),
    "Grokfast-MA": Method({"gradient_filter": "grokfast_ma"}, {"filter_strength": (0.5, 2.0, 5.0)}),
}
NIGHT = ("AdamW", "Muon", "Egalitarian GD", "sphere")
# Without decay only those that claim something of it, or that are no other method there.
WITHOUT_DECAY = (
    "AdamW",
    "Grokfast-EMA",
    "⊥Grad",
    "StableMax",
    "exact softmax",
    "Muon",
    "sphere",
    "even attention",
    "Egalitarian GD",
)


def cells(name, task, run, decays, seeds):
    """The runs of one method on one task; decays: none where the task has no decay."""
    method = METHODS[name]
    if not decays and name not in WITHOUT_DECAY:
        return []
    decays = [decay / method.rate for decay in decays if method.decays] or [0.0]
    rates = [method.rate * factor * run.learning_rate for factor in RATES]
    base = run.replace(label=f"{name}; {task}", **method.fields)
    return grid(base, **method.strength, learning_rate=rates, weight_decay=decays, seed=seeds)


def experiment(scale):
    decays, seeds, names = (0.15, 0.5), range(2), tuple(METHODS)
    if scale == "small":
        base = Run(
            structure="Z31",
            train_fraction=0.8,
            n_layers=1,
            d_model=32,
            learning_rate=0.01,
            batch_size=124,
            operation="x+y",
            num_steps=2_000,
            eval_every=50,
        )
        tasks = {
            "x+y": (base, decays),
            "x/y": (base.replace(operation="x/y", num_steps=3_500), decays),
            "x+y without decay": (base, ()),
            "x+y, poor": (
                base.replace(train_fraction=0.45, batch_size=72, num_steps=4_000),
                decays,
            ),
        }
    elif scale == "night":
        names, seeds = NIGHT, range(1)
        tasks = {"x/y": (Run(operation="x/y", num_steps=10_000), (1.0,))}
    else:
        decays, seeds = (0.3, 1.0, 3.0), range(3)
        ring = Run(num_steps=20_000)
        group = Run(operation="xy", structure="S5", train_fraction=0.6, num_steps=50_000)
        tasks = {
            "x+y": (ring.replace(operation="x+y"), decays),
            "x/y": (ring.replace(operation="x/y"), decays),
            "x+y, poor": (ring.replace(operation="x+y", train_fraction=0.3), decays),
            "x/y, poor": (ring.replace(operation="x/y", train_fraction=0.4), decays),
            "xy": (group, decays),
            "x+y without decay": (ring.replace(operation="x+y"), ()),
        }
    runs = [
        run
        for name in names
        for task, (base, decays) in tasks.items()
        for run in cells(name, task, base, decays, seeds)
    ]
    return Experiment(name="league_tuning", scale=scale, runs=runs)
