"""Recipes: made from runs as they came, published in two places that agree, found by likeness."""

import math

import pandas as pd
import pytest

from grok.__main__ import main
from grok.experiment import GrokError, Run, grid
from grok.measure import recipes
from grok.measure.recipes import Recipe
from grok.store import results

PLAIN = Recipe("x+y", "Z31", 0.6, 64, 4e-3, 1.0, 0, 0.5, 3000, 1500.0, 5, 5, 2.0)


@pytest.fixture
def known(monkeypatch):
    """Recipes of known tables in the place of the published ones."""
    found = [
        PLAIN,
        PLAIN._replace(operation="x-y", batch_size=90),
        PLAIN._replace(structure="Z97", d_model=128),
        PLAIN._replace(operation="xy", structure="S4"),
        PLAIN._replace(operation="xy", structure="D4", d_model=32),
        PLAIN._replace(operation="xy", structure="D12", d_model=32),
        PLAIN._replace(operation="x*y", structure="Z59", updates=math.nan, reached=2),
    ]
    monkeypatch.setattr(recipes, "published", lambda: found)
    return found


@pytest.mark.parametrize(
    ("operation", "structure", "number"),
    [
        ("x+y", "Z31", 0),
        ("x*y", "Z29", 0),
        ("x^2+y^2", "Z67", 2),  # nearer to Z97 than to Z31, and Z59 did not get there
        ("x^3+xy", "Z97", 1),  # x and y may not change places
        ("xyx^-1", "S4", 3),
        ("xy", "D5", 4),
        ("xy", "A5", 3),
        ("xy", "D12", 5),  # as large as S4
    ],
)
def test_the_nearest_recipe_is_alike_in_kind_then_symmetry_then_size(
    known, operation, structure, number
):
    assert recipes.nearest(operation, structure) == known[number]


def test_a_run_of_a_recipe_has_its_setting_and_sees_the_same_share_of_the_table(known):
    run = recipes.run_of(known[1], "x/y", "Z37")
    assert (run.operation, run.structure, run.train_fraction) == ("x/y", "Z37", 0.6)
    assert (run.d_model, run.learning_rate, run.weight_decay) == (64, 4e-3, 1.0)
    assert run.batch_size == round(90 * 37 * 36 / 31**2)
    assert run.num_steps == 4500 and run.snapshots == "log"
    assert recipes.run_of(known[0], "x+y", "Z31").batch_size == 0


def test_a_recipe_counts_the_seeds_that_got_there(write_results, monkeypatch):
    """Two of three seeds of x+y do, none of x-y."""
    base = Run(structure="Z5", n_layers=1, n_heads=1, d_model=4, num_steps=100)
    runs = grid(base, operation=["x+y", "x-y"], seed=range(3))
    folder = write_results(runs, [{}] * 6, val=lambda number: 1.0 if number < 2 else 0.5)
    monkeypatch.setattr(recipes, "milliseconds", lambda run: 2.0)
    sums, differences = recipes.measure(folder)
    assert (sums.operation, sums.reached, sums.seeds, sums.updates) == ("x+y", 2, 3, 100)
    assert sums.seconds == 0.2
    assert (differences.reached, differences.seeds) == (0, 3) and math.isnan(differences.updates)


def test_what_is_published_comes_from_the_committed_runs():
    """The table, the page and results/recipes say the same."""
    loaded = results.load("results/recipes")
    tasks = loaded.runs.groupby(["operation", "structure"], sort=False)
    found = recipes.published()
    assert [(recipe.operation, recipe.structure) for recipe in found] == list(tasks.groups)
    for recipe, (_, runs) in zip(found, tasks, strict=True):
        assert recipe.reached == runs["steps_to_val_99"].notna().sum()
        assert recipe.seeds == len(runs) == 5
        if recipe.reached == recipe.seeds:
            assert recipe.updates == pytest.approx(runs["steps_to_val_99"].median())
    page = recipes.PAGE.read_text()
    assert f"{recipes.BEGIN}\n{recipes.markdown(found)}\n{recipes.END}" in page


def test_results_of_another_experiment_replace_no_recipe(write_results, tiny, capsys):
    before = recipes.PUBLISHED.read_bytes(), recipes.PAGE.read_bytes()
    assert main(["recipes", str(write_results([tiny], [None]))]) == 2
    assert "holds experiment 'written': recipes come from" in capsys.readouterr().err
    assert (recipes.PUBLISHED.read_bytes(), recipes.PAGE.read_bytes()) == before


def test_publishing_keeps_what_people_wrote(tmp_path, monkeypatch, known):
    page, table = tmp_path / "README.md", tmp_path / "recipes.csv"
    page.write_text(f"before\n{recipes.BEGIN}\nold\n{recipes.END}\nafter\n")
    monkeypatch.setattr(recipes, "PAGE", page)
    monkeypatch.setattr(recipes, "PUBLISHED", table)
    recipes.publish(known)
    said = page.read_text()
    assert said.startswith("before\n<!--") and said.endswith("-->\nafter\n") and "old" not in said
    assert "| `x*y` | Z59 | 60% | 64 | 0.004 | 1 | all | over 3,000 |  | 2 of 5 |" in said
    monkeypatch.undo()
    pd.testing.assert_frame_equal(pd.read_csv(table), pd.DataFrame(known))


def test_try_trains_one_run_and_draws_it(
    known, tmp_path, monkeypatch, capsys, quick_sweeps, devices_ready
):
    tiny = Run(operation="x*y", structure="Z7", n_layers=1, n_heads=2, d_model=8, num_steps=30)
    tiny = tiny.replace(snapshots="log", eval_every=10)
    monkeypatch.setattr(recipes, "run_of", lambda recipe, *task: tiny)
    assert main(["try", "x*y", "--structure", "Z7", "--seed", "3", "--results", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "The nearest recipe: x+y over Z31, 60% of the table" in said
    folder = tmp_path / "try-x.times.y-Z7-seed=3"
    assert str(folder / "trial.png") in said and (folder / "trial.pdf").exists()
    [run] = results.load(folder).runs.to_dict("records")
    assert run["seed"] == 3


def test_an_operation_that_is_none_gives_one_line(capsys):
    assert main(["try", "x+"]) == 2
    assert capsys.readouterr().err.startswith("grok: operation 'x+', position 3")
    with pytest.raises(GrokError, match="structure"):
        recipes.nearest("x+y", "Q8")
