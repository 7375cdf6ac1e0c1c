"""Findings and pages: the rules of verdicts, what is kept and when, and that no page is stale."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_figures import BASE, write

from grok import config, figures
from grok.analysis import survival
from grok.commands import overrides
from grok.experiment import GrokError, grid
from grok.measure import findings
from grok.measure.findings import (
    figure1_center,
    figure1_left,
    finding,
    pages,
    registry,
    report,
    scoreboard,
    story,
    words,
)
from grok.measure.findings.finding import (
    IN_PART,
    NOT_REPRODUCED,
    NOT_TESTED,
    REPRODUCED,
    Finding,
)
from grok.measure.findings.registry import Findings
from grok.store import provenance, results, tables

HERE = Path(__file__).parent.parent
ROOT = HERE / "results"
PAGES = [HERE / "README.md", *sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("*/*.md"))]
# Words with digits that are names or definitions, and no results.
NAMES = (
    r"Figure \d|[Ff]igure\d\w*|[ASZ]\d+|[xyn][²³]\S*|99%|95%|\b0\b|float32|bf16|TF32|word2vec"
    r"|`[^`]*`|\(.*?\.md.*?\)|\(https://.*?\)"
)
DEAR = ("embeddings", "figure3", "encodings")  # seconds to minutes; their pages are compared


@pytest.fixture(autouse=True)
def nobody(monkeypatch):
    monkeypatch.setattr(provenance, "git", lambda *arguments: None)


@pytest.fixture
def as_committed(monkeypatch):
    """Findings as they are kept, whether or not the code has changed since."""
    monkeypatch.setattr(registry, "refresh", lambda folder: registry.read(folder)[0])


# --- Rules ---


def test_one_seed_shows_that_something_can_happen_and_no_more():
    assert finding.by_seeds(REPRODUCED, 1) == IN_PART and finding.by_seeds(REPRODUCED, 2) == (
        REPRODUCED
    )
    assert finding.by_seeds(NOT_REPRODUCED, 1) == NOT_REPRODUCED


def test_a_number_without_an_interval_meets_no_range():
    inside = findings.Estimate(45, np.nan, np.nan)
    assert finding.by_overlap(inside, 40, 50, weaker=True) == IN_PART
    assert finding.by_overlap(findings.Estimate(45, 30, 60), 40, 50, weaker=False) == REPRODUCED
    assert finding.by_overlap(findings.Estimate(23, 9, 39), 40, 50, weaker=True) == IN_PART
    assert finding.by_overlap(findings.Estimate(2, -9, 9), 40, 50, False) == NOT_REPRODUCED
    assert finding.by_overlap(findings.Estimate(*[np.nan] * 3), 40, 50, True) == NOT_TESTED


def test_counts_decide_and_few_networks_that_show_nothing_prove_nothing():
    counts = [finding.by_count(*pair) for pair in ((3, 3), (1, 3), (0, 3), (0, 0))]
    assert counts == [REPRODUCED, IN_PART, NOT_REPRODUCED, NOT_TESTED]
    some = [finding.for_some_network(*pair) for pair in ((1, 9), (0, 9), (0, 3))]
    assert some == [REPRODUCED, NOT_REPRODUCED, NOT_TESTED]


def outcomes(**columns) -> pd.DataFrame:
    """Runs without decay as `figure1_left.outcomes` has them."""
    known = {"seed": [0, 1], "decays": False, "train_99": 100.0, "last": 1e6, "best_val": 1.0}
    losses = {"first_loss": 4.0, "top_loss": 10.0, "top_at": 1000, "bottom_loss": 0.2}
    return pd.DataFrame(known | losses | columns)


@pytest.mark.parametrize(
    "val_99, last, best, late, generalises",
    [
        ([2e4, 3e4], 1e6, 1.0, REPRODUCED, REPRODUCED),
        ([2e4, np.nan], 1e6, 1.0, REPRODUCED, IN_PART),
        ([2e3, 3e3], 1e6, 1.0, IN_PART, REPRODUCED),
        ([200.0, 300.0], 1e6, 1.0, NOT_REPRODUCED, REPRODUCED),
        ([np.nan, np.nan], 1e6, 0.05, REPRODUCED, NOT_REPRODUCED),
        ([np.nan, np.nan], 2e5, 0.95, REPRODUCED, IN_PART),
        ([np.nan, np.nan], 2e5, 0.05, REPRODUCED, NOT_TESTED),
        ([np.nan, np.nan], 5e3, 0.05, IN_PART, NOT_TESTED),
    ],
)
def test_late_generalisation_takes_censored_runs_as_later(val_99, last, best, late, generalises):
    plain = outcomes(val_99=val_99, last=last, best_val=best)
    assert figure1_left.late(plain).verdict == late
    assert figure1_left.generalises(plain).verdict == generalises


def test_runs_that_were_cut_short_are_judged_by_the_updates_that_all_have_taken(tmp_path):
    """x+y at 30% ends early, as it has grokked; x-y at 30% would get there after the cut."""
    times = {"x+y": 500, "x-y": 8000}
    tried = grid(BASE, operation=list(times), train_fraction=[0.3, 0.5])
    folder = write(
        tmp_path,
        "figure2_right",
        lambda run: (100, times[run.operation] if run.train_fraction < 0.5 else 500),
        runs=tried,
        complete=False,
    )
    table = results.load(folder).runs
    late = (table["operation"] == "x-y") & (table["train_fraction"] == 0.3)
    running = table["status"].mask(late, "running")
    stopped = table["stopped_at"].mask(late, 4000)
    tables.write_table(folder, "runs", table.assign(status=running, stopped_at=stopped))
    found = findings.refresh(folder)
    needs = {row["operation"]: row["need"] for row in found.tables["needs"]}
    assert needs == {"x+y": 0.3, "x-y": 0.5}
    assert found["others"].here == "2 of 2, from 30 to 50% data, in 4,000 updates"
    assert found["others"].verdict == IN_PART, "reproduced, were it not cut short"
    assert found["never"].verdict == NOT_TESTED


@pytest.mark.parametrize(
    "fractions, verdict, here",
    [
        (
            [0.3, 0.5, 0.8],
            REPRODUCED,
            "decay needs 30%; 1 of 3 others need 50%; 2 of 3 others fail",
        ),
        ([0.3, 0.5], IN_PART, "decay needs 30%; 1 of 3 others need 50%; 2 of 3 others fail"),
        ([0.5, 0.8], NOT_REPRODUCED, "decay needs 50%; 1 of 3 others need 50%; 2 of 3 others fail"),
    ],
)
def test_decay_halves_the_data_where_most_others_fail_at_twice_as_much(
    tmp_path, fractions, verdict, here
):
    """Adam at a low rate passes from 50% on. Adam, and decay to the start, pass nowhere."""
    adam = BASE.replace(label="Adam", optimizer="adam", weight_decay=0.0)
    low = adam.replace(label="Adam, low", learning_rate=1e-4)
    start = BASE.replace(label="AdamW towards init", decay_form="to_init")
    passes = {"AdamW": 0.3, "Adam": 1.0, "Adam, low": 0.5, "AdamW towards init": 1.0}
    runs = []
    for setting in (BASE.replace(label="AdamW"), adam, low, start):
        runs += grid(setting, train_fraction=fractions, seed=[0, 1])
    folder = write(
        tmp_path,
        "figure2_left",
        lambda run: (100, 500 if run.train_fraction >= passes[run.label] else np.inf),
        runs=runs,
    )
    found = findings.refresh(folder)
    assert found["halves"].verdict == verdict
    assert found["halves"].here == f"{here} up to {100 * fractions[-1]:g}%"
    assert found["towards_init"].verdict == REPRODUCED


def test_a_slope_that_unfinished_runs_may_make_steeper_is_not_refuted():
    law = survival.TimeLaw(6.0, -2.0, 16.0, intercept=0.0, slope=0.0, scatter=0.0)
    fitted = pd.DataFrame({"train_fraction": [0.3, 0.4, 0.4], "seed": 0, "status": "grokked"})
    crossed = np.array([np.nan, 2000, 3000])
    refuted = figure1_center.growth(law, fitted.assign(status="budget"), crossed)
    assert refuted.verdict == NOT_REPRODUCED and refuted.censored == 1
    unfinished = fitted.assign(status=["running", "grokked", "running"])
    open_ = figure1_center.growth(law, unfinished, crossed)
    assert open_.verdict == NOT_TESTED
    assert open_.here == "+6% [−2, +16] each, from 40 to 30%, 1 of 3 runs open"
    assert figure1_center.growth(law._replace(low=2.0), unfinished, crossed).verdict == IN_PART


def test_a_loss_must_rise_and_fall_in_every_run():
    assert figure1_left.double_descent(outcomes()).verdict == REPRODUCED
    assert figure1_left.double_descent(outcomes(bottom_loss=[0.2, 9.0])).verdict == IN_PART
    assert figure1_left.double_descent(outcomes(bottom_loss=9.0)).verdict == IN_PART
    assert figure1_left.double_descent(outcomes(top_loss=5.0)).verdict == NOT_REPRODUCED
    assert figure1_left.double_descent(outcomes().head(1)).verdict == IN_PART


def test_growth_of_the_paper_is_found_where_it_is_planted(tmp_path):
    """Each 1% less data takes 45% longer, in seven seeds that scatter by a tenth."""
    rng = np.random.default_rng(0)
    fractions, seeds = [0.25, 0.26, 0.27, 0.28, 0.29, 0.3], range(7)
    runs = grid(BASE.replace(num_steps=100_000), train_fraction=fractions, seed=seeds)
    folder = write(tmp_path, "figure1_center", lambda run: (100, 100), runs=runs)
    table = results.load(folder).runs
    late = (
        2000
        * 1.45 ** (30 - 100 * table["train_fraction"])
        * np.exp(0.1 * rng.normal(size=len(table)))
    )
    table["steps_to_val_99"] = late.round().astype("Int64")
    tables.write_table(folder, "runs", table.assign(stopped_at=100_000))
    growth = findings.refresh(folder)["growth"]
    assert growth.value == pytest.approx(45, abs=3) and growth.verdict == REPRODUCED
    assert growth.low < 45 < growth.high and growth.runs == 42 and growth.censored == 0


# --- Kept and read ---


def test_findings_survive_their_file(tmp_path):
    folder = write(tmp_path, "weight_decay")
    made = findings.refresh(folder)
    kept, mark = registry.read(folder)
    assert mark == registry.mark_of(folder)
    assert repr(kept) == repr(made), "NaN and infinity too"
    (folder / "findings.json").write_text("torn {")
    assert repr(findings.refresh(folder)) == repr(made)


def test_findings_are_made_anew_when_results_change(tmp_path):
    folder = write(tmp_path, "figure6")
    assert findings.refresh(folder)["training"].verdict == REPRODUCED
    runs = results.load(folder).runs.assign(best_train_accuracy=0.5)
    tables.write_table(folder, "runs", runs)
    assert findings.refresh(folder)["training"].verdict == NOT_REPRODUCED


def test_findings_that_are_computed_are_said_before_and_current_ones_are_not(tmp_path, capsys):
    """On a page, in a figure and in the command: all of them may take minutes."""
    results_dir = tmp_path / "results"
    folder = write(results_dir, "weight_decay", lambda run: (100, 1000), grid(BASE, seed=range(2)))
    page = results_dir / "README.md"
    page.write_text("<!-- findings: section weight_decay -->\n<!-- end -->\n")
    said = f"computing the findings of {folder}\n"
    for command in (
        lambda: pages.renew_all(results_dir),
        lambda: report.make(folder, results_dir),
        lambda: figures.draw_all(results_dir, [folder.name]),
    ):
        (folder / "findings.json").unlink(missing_ok=True)
        command()
        assert capsys.readouterr().err == said
        command()
        assert capsys.readouterr().err == ""


def test_an_experiment_without_a_theme_has_medians(tmp_path):
    folder = write(tmp_path, "unheard_of")
    said = report.make(folder, tmp_path)
    assert "learning rate 0.001" in said and "2,000" in said
    with pytest.raises(GrokError, match="holds no results"):
        report.make(None, tmp_path / "nothing")


# --- The scoreboard ---


def claim(
    scale: str, verdict: str, complete: bool = True, network: str = "small"
) -> scoreboard.Claim:
    head = {"scale": scale, "network": network, "complete": complete}
    return scoreboard.Claim(
        Path(scale), Findings(head, {}, {}), Finding("a", "b", "", "", verdict, runs=2, seeds=1)
    )


def test_the_largest_complete_scale_that_tests_a_claim_decides_it():
    small, night = claim("small", REPRODUCED), claim("night", IN_PART)
    assert scoreboard.deciding([night, small]) is night
    untested, cut = claim("night", NOT_TESTED), claim("paper", REPRODUCED, complete=False)
    assert scoreboard.deciding([untested, small]) is small
    assert scoreboard.deciding([cut, small]) is small
    assert scoreboard.deciding([cut, untested]) is cut
    assert cut.scale == "paper, 1 seed, cut short" and small.scale == "small, 1 seed"


def test_what_the_papers_network_has_shown_stands_below_where_it_was_cut_short():
    small, papers = claim("small", REPRODUCED), "the paper's"
    cut = claim("night", NOT_TESTED, complete=False, network=papers)
    counts, below = scoreboard.told([cut, small])
    assert counts is small and below.finding.claim == "↳ the paper's network, so far"
    assert below.scale == "night, paper's network, 1 seed, cut short"
    whole = claim("night", IN_PART, network=papers)
    assert scoreboard.told([whole, small]) == [whole]
    assert scoreboard.told([small]) == [small]


def test_scales_are_sought_from_the_largest(tmp_path):
    for name in ("figure6", "figure6_night/part-0", "figure6-seed=3", "figure66"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "runs.parquet").touch()
    (tmp_path / "figure6_paper").mkdir()
    (tmp_path / "figure6_paper" / "experiment.json").touch()  # has only just begun
    found = scoreboard.folders_of(tmp_path, "figure6")
    assert [path.name for path in found] == ["figure6_night", "figure6"]


def test_no_cell_of_the_scoreboard_is_long(as_committed):
    found = scoreboard.everything(ROOT)
    assert len(found) > 30
    for theme, each in found:
        assert max(map(len, each.cells)) <= 60, (theme, each.cells)
        assert theme in pages.SECTIONS


# --- The pages ---


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(HERE)))
def test_every_generated_block_is_what_the_findings_give(page, as_committed):
    assert pages.renewed(page.read_text(), ROOT) == page.read_text(), "run make figures"


def test_a_table_is_of_the_scale_that_a_page_names(as_committed):
    for scale, folder in (("small", "league"), ("night", "league_night")):
        labels = pd.read_parquet(ROOT / folder / "runs.parquet")["label"].unique()
        lines = pages.block(f"standings league {scale}", ROOT).splitlines()[2:]
        found = {"; ".join(line.split(" | ")[1::-1]).replace("| ", "") for line in lines}
        assert found == set(labels)
    assert len(pages.block("standings league paper", ROOT).splitlines()) == 2


def test_a_number_that_is_changed_by_hand_is_noticed(as_committed):
    text = (ROOT / "README.md").read_text()
    assert text.count("−0.34") > 0
    assert pages.renewed(text.replace("−0.34", "−0.74"), ROOT) == text
    empty = re.sub(r"(<!-- findings: .+? -->\n).*?(<!-- end -->)", r"\1\2", text, flags=re.S)
    assert len(empty) < len(text) / 2 and pages.renewed(empty, ROOT) == text
    with pytest.raises(GrokError, match="no block 'scorebord'"):
        pages.renewed("<!-- findings: scorebord -->\n<!-- end -->", ROOT)


def test_the_table_beside_pytorch_gives_medians_ratios_and_whether_goals_are_met(tmp_path):
    (tmp_path / "bench" / "beside").mkdir(parents=True)
    times = {
        "PyTorch, float32": [40.0, 50.0, 60.0],
        "one run, float32": [15.0, 15.0, 90.0],
        "a sweep, float32": [14.0, 13.0, 15.0],
        "a sweep of narrow networks, float32": [0.5, 0.4, 0.6],
    }
    (tmp_path / "bench" / "beside" / "cpu.json").write_text(json.dumps({"ms": times}))
    lines = pages.tables.beside(tmp_path).splitlines()[2:]
    cells = []
    for line in lines:
        _, *values = line.strip("|").split("|")
        cells.append([value.strip() for value in values])
    assert cells == [
        ["50 (40-60)", "1.00", ""],
        ["15 (15-90)", "0.30", "0.31, **met**"],
        ["14 (13-15)", "0.28", "0.27, **missed**"],
        ["0.5 (0.4-0.6)", "", ""],
    ]


@pytest.mark.parametrize("name", ["README.md", "embeddings/README.md", "encodings/README.md"])
def test_prose_gives_no_number_of_results(name):
    prose = pages.BLOCK.sub("", (ROOT / name).read_text())
    prose = re.sub(NAMES, "", prose)
    assert not [line for line in prose.splitlines() if re.search(r"\d", line)]


@pytest.mark.parametrize(
    "folder",
    [folder for folder in report.described(ROOT) if registry.theme_of(folder.name) not in DEAR],
    ids=lambda folder: folder.name,
)
def test_committed_findings_are_what_the_results_give(folder):
    kept, _ = registry.read(folder)
    assert repr(registry.compute(results.load(folder))) == repr(kept), "run make figures"


def test_the_front_page_is_short_and_the_list_of_figures_is_whole():
    assert len((HERE / "README.md").read_text().split()) <= 900
    assert figures.listing() in (HERE / "grok/figures/README.md").read_text()


def test_numbers_are_written_as_people_write_them():
    assert words.number(-0.5) == "−0.5" and words.number(12_345.6) == "12,346"
    assert words.interval(findings.Estimate(0.5, -np.inf, 1), ".2f") == "0.50 [−∞, 1.00]"
    assert words.interval(findings.Estimate(0.5, np.nan, 1), ".2f") == "0.50"
    assert words.span([3, 3]) == "3" and words.span([1, 1000]) == "1 to 1,000"
    assert words.share(findings.Estimate(0.25, 0.1, 0.5), 1, 4) == "1 of 4: 25% [10, 50]"


def test_a_training_of_a_few_runs_is_told_in_words(tmp_path):
    folder = write(tmp_path, "quickstart", lambda run: (200, 2000 if run.weight_decay else np.inf))
    said = story.told(results.load(folder), [folder / "quickstart.png", folder / "a.pdf"])
    lines = said.splitlines()
    assert lines[0] == (
        "decay: memorised its training rows (99%) after 200 updates, "
        "and generalised to the others after 2,000."
    )
    assert lines[1].endswith("at its end, after 10,000, it is right on 10% of the others.")
    assert lines[2] == f"Pictures: {folder / 'quickstart.png'}" and "make train" in lines[3]
    many = write(tmp_path, "figure7")
    assert story.told(results.load(many), []) == ""


def test_runs_that_an_override_made_alike_are_told_apart_by_what_still_differs(tmp_path):
    quickstart = config.load("configs/quickstart.py", "small").experiment
    overridden = overrides.override(quickstart, operation="x+y", weight_decay=0.5)
    runs = [*overridden.runs, overridden.runs[0].replace(seed=1)]
    folder = write(tmp_path, "quickstart", lambda run: (200, 2000), runs)
    names = [line.partition(":")[0] for line in story.told(results.load(folder), []).splitlines()]
    assert names[:3] == [
        "x+y, seed 0, num steps 10000, stop after 3",
        "x+y, seed 0, num steps 5000, stop after 10",
        "x+y, seed 1, num steps 10000, stop after 3",
    ]
