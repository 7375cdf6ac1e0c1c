"""What one network computes, on a page: losses in their phases, its parts, neurons, attention."""

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from grok.figures.parts import style
from grok.figures.parts.data import facts
from grok.figures.parts.gallery import figure
from grok.measure import findings
from grok.measure import mechanism as measured
from grok.measure.findings.runs import beside
from grok.store import results

TABLE, PHASES = "mechanism.parquet", "phases.parquet"
NEURONS = (2, 6)  # rows and columns of their maps
HEIGHTS = (2.1, 2.0, 2.2, 1.8)  # inches
SPANS = (  # of the phases: its ends in phases.parquet, its name, its shade
    (None, "memorised", "memorisation", "0.93"),
    ("memorised", "formed", "circuit formation", "0.86"),
    ("formed", "cleaned", "clean-up", "0.79"),
)
MATRICES = {  # measure -> what it is, colour
    "embedding_power": ("embedding", style.ORANGE),
    "hidden_power": ("hidden layer", style.GREEN),
    "output_power": ("output layer", style.BLUE),
    "logits_power": ("logits", style.BLACK),
}
CAPTION = (
    "What one network computes (Nanda et al. 2023). Losses: restricted to the key parts on "
    "validation rows, and without them on training rows, in the phases. Power: share of the "
    "variance of the logits in each key part, with the 95% range of renamed answers. Spectrum at "
    "the best moment, by embedding, hidden and output layer and logits. Ablations: validation "
    "loss without a part of the embedding; bars are the means, whiskers the ranges of as many "
    "others at random. Neurons over the whole table; every neuron by its best part; what = "
    "attends to."
)


@figure("mechanism", caption=CAPTION, needs=TABLE)
def mechanism(loaded):
    table = beside(loaded, TABLE, *measured.COLUMNS, *measured.NULL_COLUMNS)
    moments = table.groupby("run")["step"].nunique()
    return page(loaded, int(moments.idxmax()))


def draw_page(folder: Path, run: int) -> list[Path]:
    """Draw the page of a run that has been measured; returns the files."""
    loaded = results.load(folder)
    with matplotlib.rc_context(style.LOOK):
        picture = page(loaded, run)
    style.add_caption(picture, facts(findings.of(loaded)))
    return style.save(picture, folder, f"mechanism_run_{run:04d}", "")


def page(loaded, run: int) -> Figure:
    """The page of a run that has been measured."""
    table = beside(loaded, TABLE, *measured.COLUMNS, *measured.NULL_COLUMNS)
    phases = beside(loaded, PHASES, *measured.PHASES).set_index("run").loc[run]
    table = table[table["run"] == run]
    best = table[table["step"] == best_step(table)]
    keys = [key for key in phases["keys"].split(", ") if key]
    pictures = measured.read_pictures(loaded, run)
    names = list(dict.fromkeys(best.loc[best["measure"] == "output_power", "part"]))
    picture = Figure(figsize=(style.DOUBLE, sum(HEIGHTS)), layout="constrained")
    bands = picture.subfigures(len(HEIGHTS), 1, height_ratios=HEIGHTS, squeeze=False)
    assert isinstance(bands, np.ndarray)  # with squeeze it may be a single one
    training, parts, neurons, rest = bands[:, 0]
    left, right = training.subplots(1, 2)
    draw_losses(left, loaded.curve(run), table, phases)
    draw_power(right, table, keys)
    left, right = parts.subplots(1, 2)
    draw_spectrum(left, best, phases["kind"])
    draw_ablations(right, best)
    draw_neurons(neurons.subplots(*NEURONS), pictures, names)
    left, right = rest.subplots(1, 2, width_ratios=(2, 1))
    draw_shares(left, pictures, names, phases["kind"])
    draw_attention(right, pictures)
    picture.suptitle(f"run {run} of {loaded.folder.name}", fontsize=8)
    return picture


def best_step(table: pd.DataFrame) -> int:
    """The update at which ablations were measured, the best kept moment."""
    return int(table.loc[table["measure"] == "loss_val", "step"].iloc[0])


# --- Over training ---


def draw_losses(axes, curve, table, phases) -> None:
    """Training and validation loss, restricted and excluded loss, and the phases behind them."""
    curve = curve[curve["step"] > 0]
    for split, colour in (("train", style.TRAIN), ("val", style.VALIDATION)):
        loss = curve[f"{split}_loss"].where(curve[f"{split}_loss"] > 0)
        words = {"train": "training", "val": "validation"}[split]
        axes.plot(curve["step"], loss, color=colour, linewidth=0.8, label=words)
    for measure, words, colour in (
        ("restricted_loss_val", "restricted", style.GREEN),
        ("excluded_loss_train", "excluded", style.PURPLE),
    ):
        found = table[(table["measure"] == measure) & (table["part"] == "keys")]
        if len(found):
            axes.plot(
                found["step"], found["value"], "o-", markersize=1.5, color=colour, label=words
            )
    for start, end, words, shade in SPANS:
        low = 0 if start is None else phases[start]
        if np.isfinite(low) and np.isfinite(phases[end]) and low < phases[end]:
            axes.axvspan(low, phases[end], color=shade, linewidth=0, zorder=0, label=words)
    axes.set_yscale("log")
    axes.set_ylim(bottom=max(axes.get_ylim()[0], 1e-8))
    axes.set_ylabel("Cross-entropy (nats)")
    linear_steps(axes, curve["step"].max())
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, fontsize=5.5)


def draw_power(axes, table, keys: list[str]) -> None:
    """Share of the logits' variance in each key part over the kept updates, beside its null."""
    found = table[table["measure"] == "logits_power"]
    if found.empty or not keys:
        found = table[table["measure"] == "output_power"]
    for key, colour in zip(keys, style.PALETTE):
        of_key = found[found["part"] == key]
        value = 100 * of_key["value"]
        axes.plot(of_key["step"], value, "o-", markersize=1.5, color=colour, label=key)
        style.band(
            axes, of_key["step"], 100 * of_key["null_low"], 100 * of_key["null_high"], style.GREY
        )
    if keys:
        axes.legend(loc="upper left", fontsize=5.5)
    else:
        style.say(axes, "no key part")
    linear_steps(axes, found["step"].max())
    axes.set_ylabel("Share of the logits (%)")


def linear_steps(axes, last: float) -> None:
    axes.set_xlim(0, 1.04 * last)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_xlabel("Optimization steps")


# --- At the best moment ---


def draw_spectrum(axes, best, kind: str) -> None:
    """Share of the variance in each part, of the matrices, the last hidden layer and the logits."""
    width = 0.8 / len(MATRICES)
    for i, (measure, (words, colour)) in enumerate(MATRICES.items()):
        found = best[best["measure"] == measure]
        if found.empty:
            continue
        found = found[found["layer"].fillna(-1) == found["layer"].fillna(-1).max()]
        x = np.arange(1, len(found) + 1) + (i - 1.5) * width
        axes.bar(x, 100 * found["value"], width, color=colour, label=words)
        if kind == "irrep":
            style.name_ticks(axes.xaxis, range(1, len(found) + 1), found["part"])
            axes.tick_params(axis="x", labelsize=5.5)
    axes.set_xlabel("Frequency" if kind == "frequency" else "Irreducible representation")
    axes.set_ylabel("Share of variance (%)")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, fontsize=5.5)


def draw_ablations(axes, best) -> None:
    """Validation loss without each part, beside as many others; heads and even attention."""
    plain = best.loc[best["measure"] == "loss_val", "value"].iloc[0]
    wanted = ("ablated_loss_val", "head_at_mean_val", "even_attention_val")
    rows = best[best["measure"].isin(wanted)]
    names = [ablation_name(row) for row in rows.itertuples()]
    x = np.arange(len(rows))
    axes.bar(x, rows["value"], 0.6, color=style.VERMILION)
    whiskers = np.abs(rows["null_mean"] - rows[["null_low", "null_high"]].T).to_numpy()
    axes.errorbar(x, rows["null_mean"], whiskers, fmt="s", color=style.GREY, markersize=2, lw=0.8)
    axes.axhline(plain, color=style.BLACK, linewidth=0.6, linestyle=":")
    axes.set_yscale("log")
    style.name_ticks(axes.xaxis, x, names)
    axes.tick_params(axis="x", labelsize=5.5, rotation=60)
    axes.set_ylabel("Validation loss (nats)")


def ablation_name(row) -> str:
    if row.measure == "head_at_mean_val":
        return f"head {row.layer}.{row.part}"
    return row.part or "even attention"


def draw_neurons(axes, pictures, names: list[str]) -> None:
    """Neurons as pictures over the table, by part."""
    maps = pictures.get("neurons", ())
    for i, ax in enumerate(axes.flat):
        ax.set_axis_off()
        if i < len(maps):
            ax.imshow(maps[i], cmap="viridis", interpolation="nearest", origin="lower")
            part, share = pictures["neuron_part"][i], pictures["neuron_share"][i]
            name = names[part - 1] if part else "–"
            ax.set_title(f"{name}, {100 * share:.0f}%", fontsize=5.5, pad=1.5)


def draw_shares(axes, pictures, names: list[str], kind: str) -> None:
    """Every neuron: the part that explains most of it, and how much."""
    if "parts" not in pictures:
        style.say(axes, "the operation is undefined somewhere: no neurons by part")
        return
    parts, shares = pictures["parts"], pictures["shares"]
    jitter = np.random.default_rng(0).uniform(-0.3, 0.3, len(parts))
    axes.scatter(parts + jitter, 100 * shares, s=2, color=style.GREEN, linewidths=0)
    axes.axhline(85, color=style.GREY, linewidth=0.6, linestyle=":")
    axes.set_ylim(0, 103)
    over = 100 * float((shares > 0.85).mean())
    axes.set_title(f"{over:.0f}% of {len(shares)} neurons over 85%", fontsize=6.5, pad=2)
    axes.set_xlabel("Frequency" if kind == "frequency" else "Irreducible representation")
    axes.set_ylabel("Variance explained (%)")
    if kind == "irrep":
        style.name_ticks(axes.xaxis, range(1, len(names) + 1), names)
        axes.tick_params(axis="x", labelsize=5.5)


def draw_attention(axes, pictures) -> None:
    """Mean attention of = to each position, a row a head."""
    attention_LHT = pictures["attention"]
    layers, heads, n_positions = attention_LHT.shape
    axes.imshow(
        attention_LHT.reshape(layers * heads, n_positions),
        cmap="Blues",
        vmin=0,
        vmax=1,
        aspect="auto",
    )
    names = ["x", "∘", "y", "=", "z"]
    names = ["⟨eos⟩", *names] if n_positions > 4 else names
    style.name_ticks(axes.xaxis, range(n_positions), names[:n_positions])
    rows = [f"{layer}.{head}" for layer in range(layers) for head in range(heads)]
    style.name_ticks(axes.yaxis, range(layers * heads), rows)
    axes.tick_params(labelsize=6)
    axes.set_title("attention of =, by head", fontsize=6.5, pad=2)
