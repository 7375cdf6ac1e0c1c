"""The tuning before the league: how each cell of each method's grid did, and which was chosen."""

from collections.abc import Iterator

from grok.measure.findings.finding import Table
from grok.store import tuning


def method_and_task(label: str) -> tuple[str, str]:
    """What a label of the league's runs says: 'Muon; x+y' is Muon on x+y."""
    method, _, task = label.partition("; ")
    return method, task


def find(results) -> Iterator[Table]:
    results.need_runs("label", "status", "steps_to_val_99_sustained", "best_val_accuracy")
    chosen = tuning.best_settings(results)
    rows = []
    for row in tuning.settings(results).to_dict("records"):
        method, task = method_and_task(row["label"])
        run = row["setting"]
        rows.append(
            {"method": method, "task": task}
            | {"rate": run.learning_rate, "decay": run.weight_decay, "strength": strength_of(run)}
            | {name: row[name] for name in ("sustained", "first", "reached", "best", "runs")}
            | {"budget": run.num_steps, "chosen": run == chosen.get(row["label"])}
        )
    yield Table("cells", rows)


def strength_of(run) -> float:
    """The number of a run's method that is its own: the one that is not the default, or NaN."""
    grokfast = run.gradient_filter.startswith("grokfast")
    used = {
        "filter_strength": grokfast,
        "sam_radius": run.optimizer == "sam",
        "init_scale": run.constant_norm,
        "logit_scale": run.norm == "sphere",
        "attention_mix": run.attention_mix != 1,
        "train_table": run.values == "file",
    }
    return next((float(getattr(run, name)) for name in used if used[name]), float("nan"))
