"""What a training of a few runs has shown, in words, for whoever has just waited for it."""

from pathlib import Path

import pandas as pd

from grok.measure.findings.runs import run_names
from grok.measure.findings.words import number
from grok.store import results

MOST_RUNS = 4  # More are told by their table.
NEXT = (
    "To try next: make train ARGS='--operation x+y'; make train ARGS='--train-fraction 0.3';\n"
    "make train CONFIG=configs/figure1_left.py follows the run that only memorises further."
)


def told(loaded: results.Results, pictures: list[Path]) -> str:
    """Who memorised when and who generalised when, where the pictures are, what to try next.

    Nothing of experiments with many runs, or whose runs answer no equations.
    """
    runs = loaded.runs
    if len(runs) > MOST_RUNS or runs["final_val_accuracy"].isna().any():
        return ""
    names = run_names(runs)
    lines = [sentence(names[index], run) for index, run in runs.iterrows()]
    shown = [str(path) for path in pictures if path.suffix == ".png"]
    lines += ["Pictures: " + ", ".join(shown)] if shown else []
    lines += [NEXT] if loaded.folder.name == "quickstart" else []
    return "\n".join(lines)


def sentence(name: str, run: pd.Series) -> str:
    """When a run memorised and when it generalised."""
    trained, validated = run["steps_to_train_99"], run["steps_to_val_99"]
    accuracy = f"{100 * run['final_val_accuracy']:.0f}%"
    memorised = (
        "did not memorise its training rows"
        if pd.isna(trained)
        else f"memorised its training rows (99%) after {number(trained)} updates"
    )
    if pd.isna(validated):
        until = f"at its end, after {number(run['stopped_at'])},"
        return f"{name}: {memorised}; {until} it is right on {accuracy} of the others."
    return f"{name}: {memorised}, and generalised to the others after {number(validated)}."
