"""Recipes: with which width, learning rate and decay small tables grok, as measured.

`recipes.csv`, beside this file, has a row a recipe. `python -m grok recipes` makes it from the runs
of configs/recipes.py, and writes it into configs/README.md as a table.
"""

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from grok import files
from grok.analysis import survival
from grok.experiment import GrokError, Run
from grok.store import results
from grok.task.operations import OperationTable, operation_table

PUBLISHED = Path(__file__).with_name("recipes.csv")
PAGE = Path(__file__).parents[2] / "configs" / "README.md"
BEGIN, END = "<!-- recipes: begin -->", "<!-- recipes: end -->"
COLUMNS = (
    "operation",
    "structure",
    "data",
    "width",
    "rate",
    "decay",
    "batch",
    "updates",
    "seconds",
    "seeds",
)
MORE_TIME = 3  # a run from a recipe may take this many times its median updates


class Recipe(NamedTuple):
    """A setting and what came of it.

    updates: the median to 99% validation (Kaplan-Meier), NaN where it was not reached.
    reached, seeds: how many of how many seeds got there.
    ms: milliseconds that an update of one run takes, NaN where `updates` is.
    Every recipe has one block of four heads.
    """

    operation: str
    structure: str
    train_fraction: float
    d_model: int
    learning_rate: float
    weight_decay: float
    batch_size: int
    init_scale: float
    num_steps: int
    updates: float
    reached: int
    seeds: int
    ms: float

    @property
    def seconds(self) -> float:
        """How long a run takes to its median, without starting and compiling."""
        return self.updates * self.ms / 1000

    @property
    def words(self) -> str:
        rows = f"{self.batch_size} rows" if self.batch_size else "all training rows"
        low = survival.wilson_interval(self.reached, self.seeds).low
        return (
            f"{self.operation} over {self.structure}, {100 * self.train_fraction:g}% of the table: "
            f"one block of width {self.d_model}, learning rate {self.learning_rate:g}, "
            f"decay {self.weight_decay:g}, {rows} an update; "
            f"{self.reached} of {self.seeds} seeds reached 99%, "
            f"the median one after {self.updates:,.0f} updates (about {self.seconds:.0f} s). "
            f"So few seeds show no more than that at least {100 * low:.0f}% do "
            "(Wilson's 95% interval): where yours does not, try another --seed"
        )


SETTING = Recipe._fields[: Recipe._fields.index("updates")]


# --- Making the table ---


def check_is_of_recipes(folder: Path) -> None:
    """Raise GrokError for results that are not all of configs/recipes.py: they would replace it."""
    loaded = results.load(folder)
    name = loaded.description["experiment"]["name"]
    if name != "recipes" or not loaded.complete:
        what = f"experiment '{name}'" if name != "recipes" else "a part of the recipes' runs"
        raise GrokError(
            f"{folder} holds {what}: recipes come from the complete results of configs/recipes.py"
        )


def measure(folder: Path) -> list[Recipe]:
    """The recipes of a results folder: its settings, each with what came of its seeds.

    Updates are timed on this machine, one run alone on one device, where the median got there.
    """
    loaded = results.load(folder)
    found = []
    for _, runs in loaded.runs.groupby(["operation", "structure"], sort=False):
        run = loaded.experiment_run(int(runs["run"].iloc[0]))
        crossed = runs["steps_to_val_99"].astype(float).to_numpy()
        recipe: dict[str, Any] = {name: getattr(run, name) for name in SETTING}
        last = runs["stopped_at"].to_numpy(float)
        recipe["updates"] = survival.median_time(crossed, last).value
        recipe["reached"], recipe["seeds"] = int(np.isfinite(crossed).sum()), len(runs)
        recipe["ms"] = milliseconds(run) if math.isfinite(recipe["updates"]) else math.nan
        found.append(Recipe(**recipe))
    return found


def milliseconds(run: Run) -> float:
    """The time of one update of a run that has a device to itself."""
    from grok.training.capacity import time_updates
    from grok.training.program import program_of

    timed = time_updates(program_of(run), [run], 1, repeats=3, seconds=0.3)
    return round(timed["ms_per_run"], 3)


def publish(recipes: list[Recipe]) -> list[Path]:
    """Write the table for `grok try` and into configs/README.md; returns both paths."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    page = f"{before}{BEGIN}\n{markdown(recipes)}\n{END}{after}"
    for path, text in ((PUBLISHED, pd.DataFrame(recipes).to_csv(index=False)), (PAGE, page)):
        with files.disk_errors(path.parent), files.replacing(path) as side:
            side.write_text(text, encoding="utf-8")
    return [PUBLISHED, PAGE]


def markdown(recipes: list[Recipe]) -> str:
    """The table as people read it."""
    lines = [
        f"| {' | '.join(COLUMNS)} |",
        "|---" * len(COLUMNS) + "|",
    ]
    for recipe in recipes:
        known = math.isfinite(recipe.updates)
        cells = [
            f"`{recipe.operation}`",
            recipe.structure,
            f"{100 * recipe.train_fraction:g}%",
            recipe.d_model,
            f"{recipe.learning_rate:g}",
            f"{recipe.weight_decay:g}",
            recipe.batch_size or "all",
            f"{recipe.updates:,.0f}" if known else f"over {recipe.num_steps:,}",
            f"{recipe.seconds:.0f}" if known else "",
            f"{recipe.reached} of {recipe.seeds}",
        ]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


# --- Using it ---


def published() -> list[Recipe]:
    """The recipes that come with the package."""
    return [Recipe(**row) for row in pd.read_csv(PUBLISHED).to_dict("records")]


def nearest(operation: str, structure: str) -> Recipe:
    """The recipe to try an operation with. Raises GrokError for an operation that is none.

    Alike in kind (ring or group), then in whether x and y may change places, then in size. Of
    recipes of one size that of the structure itself comes first.
    Recipes with which fewer than half of the seeds got there are left out.
    """
    wanted = operation_table(operation, structure)
    usable = [recipe for recipe in published() if math.isfinite(recipe.updates)]
    if not usable:
        raise GrokError("no recipe reached 99% validation accuracy")
    return min(usable, key=lambda recipe: distance(recipe, wanted))


def distance(recipe: Recipe, wanted: OperationTable) -> tuple:
    """How far a recipe is from a table; the first part that differs decides."""
    measured = operation_table(recipe.operation, recipe.structure)
    return (
        measured.structure.is_ring != wanted.structure.is_ring,
        is_symmetric(measured) != is_symmetric(wanted),
        abs(math.log(measured.structure.order / wanted.structure.order)),
        recipe.structure != wanted.structure.name,
        recipe.operation != wanted.operation,
    )


def is_symmetric(found: OperationTable) -> bool:
    return bool((found.answers == found.answers.T).all())


def run_of(recipe: Recipe, operation: str, structure: str) -> Run:
    """A run of another operation by a recipe, with time to spare, that keeps snapshots."""
    share = (
        operation_table(operation, structure).rows
        / operation_table(recipe.operation, recipe.structure).rows
    )
    return Run(
        operation=operation,
        structure=structure,
        train_fraction=recipe.train_fraction,
        n_layers=1,
        d_model=recipe.d_model,
        learning_rate=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        batch_size=round(recipe.batch_size * share),
        init_scale=recipe.init_scale,
        num_steps=max(recipe.num_steps, MORE_TIME * round(recipe.updates)),
        eval_every=100,
        stop_after=1,
        snapshots="log",
    )
