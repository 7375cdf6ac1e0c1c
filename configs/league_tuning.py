"""Beyond the paper: the tuning before the league, the same grid for every method.

The grid is three learning rates times two decays (one at night, three at the paper's scale), times
three values of a method's own strength where it has one. Where a method lives at other learning
rates, its rates are AdamW's times one factor, and its decays are divided by it, so that a weight
shrinks as fast. Tasks without decay have rates and strengths alone, and so has a constant norm,
which undoes decay. Its strength is the norm of the start. The seeds are none of the league's. The
rule by which a cell is chosen stands in grok/store/tuning.py.

A grokked table starts from that of Figure 2 right's network of the same task, of another seed; its
strength says whether it is frozen (0) or trained on (1). Poor data have no such network.

Shows: at which learning rate, decay and strength each method reaches 99% soonest.

Data are poor where an AdamW gets there in half of its seeds and no longer with 5% less: at the
small scale the best of three cells did in 3 of 4 seeds at 45% of x+y, and in 1 of 4 at 40%.

Cost: small x+y and x/y mod 31, x+y with poor data and without decay too, xy of A5, 16 methods, 2
seeds (an hour and a half on two cores); night 4 methods with the paper's network on x+y and x/y, 1
seed, at most 2 core-hours; paper 16 methods on 6 tasks mod 97 and of S5, 3 seeds, on a GPU. The
methods of the night are AdamW and the three that lastingly got there in most runs of the small
scale's tasks with decay; their strengths are those that were chosen there for x+y and x/y.
"""

from pathlib import Path
from typing import NamedTuple

from grok.config import table_of
from grok.experiment import SMALL, Experiment, Run, grid

RATES = (1 / 3, 1.0, 3.0)
DONORS = Path(__file__).with_name("figure2_right.py")


class Method(NamedTuple):
    """Its fields, its own strength (a field and its values), its learning rates over AdamW's."""

    fields: dict
    strength: dict = {}
    rate: float = 1.0
    decays: bool = True


METHODS = {
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
    "grokked table": Method({"values": "file"}, {"train_table": (False, True)}),
}
NIGHT = {
    "AdamW": METHODS["AdamW"],
    "Muon": METHODS["Muon"],
    "Egalitarian GD": METHODS["Egalitarian GD"],
    "sphere": METHODS["sphere"]._replace(strength={"logit_scale": (16.0,)}),
}
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
    "grokked table",
)


class Task(NamedTuple):
    """What all methods train alike, its decays (none: a task without decay), a grokked table."""

    run: Run
    decays: tuple[float, ...] = ()
    table: str = ""


def experiment(scale):
    if scale == "small":
        methods, tasks, seeds = METHODS, small_tasks(), range(2)
    elif scale == "night":
        methods, tasks, seeds = NIGHT, night_tasks(), range(1)
    else:
        methods, tasks, seeds = METHODS, papers_tasks(), range(3)
    runs = []
    for title, task in tasks.items():  # a training that is cut short has whole tasks
        for name, method in methods.items():
            runs += cells(name, method, title, task, seeds)
    return Experiment(name="league_tuning", scale=scale, runs=runs)


def cells(name, method, title, task, seeds):
    """The runs of one method on one task; none where the method has nothing to do there."""
    if not task.decays and name not in WITHOUT_DECAY:
        return []
    fields = dict(method.fields)
    if fields.get("values") == "file":
        if not task.table:
            return []
        fields["table"] = task.table
    decays = [decay / method.rate for decay in task.decays if method.decays] or [0.0]
    rates = [method.rate * factor * task.run.learning_rate for factor in RATES]
    base = task.run.replace(label=f"{name}; {title}", **fields)
    return grid(base, **method.strength, learning_rate=rates, weight_decay=decays, seed=seeds)


def small_tasks():
    """One narrow block: tables mod 31 and of A5."""
    ring = SMALL.replace(
        train_fraction=0.8, learning_rate=0.01, batch_size=124, num_steps=2_000, eval_every=50
    )
    ratio = ring.replace(operation="x/y", num_steps=3_500)
    poor = ring.replace(train_fraction=0.45, batch_size=72, num_steps=4_000)
    group = ring.replace(
        operation="xy", structure="A5", d_model=64, learning_rate=5e-3, batch_size=240
    )
    of_sum, of_ratio, of_group = (grokked("small", run) for run in (ring, ratio, group))
    return {
        "x+y": Task(ring, (0.15, 0.5), of_sum),
        "x/y": Task(ratio, (0.15, 0.5), of_ratio),
        "x+y without decay": Task(ring, (), of_sum),
        "x+y, poor": Task(poor, (0.15, 0.5)),
        "xy": Task(group, (0.3, 1.0), of_group),
    }


def night_tasks():
    """The paper's network on two of its tables."""
    base = Run(num_steps=5_000, eval_every=100)
    operations = ("x+y", "x/y")
    return {name: Task(base.replace(operation=name), (1.0,)) for name in operations}


def papers_tasks():
    """The paper's network on its own tables."""
    ring = Run(operation="x+y", num_steps=20_000)
    ratio = ring.replace(operation="x/y")
    group = Run(operation="xy", structure="S5", train_fraction=0.6, num_steps=50_000)
    decays = (0.3, 1.0, 3.0)
    found = {
        "x+y": Task(ring, decays),
        "x/y": Task(ratio, decays),
        "x+y, poor": Task(ring.replace(train_fraction=0.3), decays),
        "x/y, poor": Task(ratio.replace(train_fraction=0.4), decays),
        "xy": Task(group, decays),
        "x+y without decay": Task(ring),
    }
    return {name: task._replace(table=grokked("paper", task.run)) for name, task in found.items()}


def grokked(scale, run):
    """The table of Figure 2 right's network of this task, which saw the same training rows.

    Its seed is neither one of the small scale's tuning nor one of the league's.
    """
    fields = ("operation", "structure", "train_fraction")
    return table_of(DONORS, scale, seed=2, **{name: getattr(run, name) for name in fields})
