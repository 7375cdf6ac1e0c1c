"""The page in a real browser: what it shows is what the files hold, by mouse, keyboard and link."""

import contextlib
import dataclasses
import json
import os
import re
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from grok.__main__ import main
from grok.experiment import Experiment, GrokError, Run
from grok.measure import growth
from grok.measure.findings import registry
from grok.measure.findings.finding import Finding
from grok.page import build, experiments, pack, scoreboard
from grok.store import array_files, outcomes, provenance, results, sessions, tables
from grok.task.dataset import TRAIN, make_dataset

RING = Run(operation="x/y", structure="Z13", num_steps=1000, d_model=8, n_heads=2)
GROUP = RING.replace(operation="xy", structure="S4")
STEPS = (1, 20, 300, 1000)
STATIC = Path(build.__file__).parent / "static"
RESULTS = Path(__file__).parent.parent / "results"
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


# --- Results to show ---


def write_sweep(folder, base, fractions, keep=()):
    """A folder with three seeds at each fraction; those of the last one are censored or diverged.

    keep: numbers of runs whose matrices are kept at every one of STEPS, with their answers.
    """
    runs = [base.replace(train_fraction=f, seed=s) for f in fractions for s in range(3)]
    sessions.begin(folder, Experiment(name=folder.name, runs=tuple(runs)), {"processes": 1})
    n, rows, curves = len(make_dataset(base).kind_N), [], []
    order = int(np.sqrt(n))
    rng = np.random.default_rng(0)
    for number, run in enumerate(runs):
        kind_N, luck_N = make_dataset(run).kind_N, rng.random(n)
        grows = run.train_fraction < fractions[-1]
        W, metrics_MC = rng.normal(size=(order, 8)), []
        for i, step in enumerate(STEPS):
            right_N = (kind_N > 0) & ((luck_N < i / 3) if grows else (luck_N < 0.1))
            shares = {
                "train_accuracy": right_N[kind_N == TRAIN].mean(),
                "val_accuracy": right_N[kind_N > TRAIN].mean(),
                "train_loss": rng.random(),
                "val_loss": rng.random(),
            }
            metrics_MC.append([shares.get(name, 0.5) for name in tables.METRICS])
            if number in keep:
                kept = {"unembedding": (i + 1) * W + rng.normal(size=W.shape)}
                kept |= {"embedding": W, "correct": np.packbits(right_N)}
                at = None if step == STEPS[-1] else step
                array_files.write_arrays(folder, array_files.arrays_name(number, at), kept)
        curve = tables.curves_table(
            np.full(len(STEPS), number), np.array(STEPS), np.array(metrics_MC)
        )
        diverged = not grows and run.seed == 2
        curves.append(curve)
        rows.append({"run": number} | vars(run) | outcomes.outcome(curve, run, diverged, True))
    tables.write_tables(folder, tables.runs_table(rows), pd.concat(curves))
    sessions.finish(folder, {"seconds": 1.0})
    return folder


FINDINGS = (
    Finding("a", "a circle appears", "always", "3 of 3", "reproduced", runs=3, seeds=3),
    Finding(
        "b",
        "it takes 10⁵ updates",
        "10⁵ <at most>",
        "900",
        "not reproduced",
        runs=6,
        seeds=3,
        censored=2,
    ),
)


def write_findings(folder, findings):
    """Leave findings in a results folder as the command `findings` would."""
    found = registry.Findings({"scale": "small"}, {each.id: each for each in findings}, {})
    (folder / registry.FILE).write_text(registry.as_text(found, registry.mark_of(folder)))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """ring: x/y with two networks kept; group: S4 with one; broken: a torn table."""
    root = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(provenance, "git", lambda *arguments: None)
        write_sweep(root / "ring", RING, (0.4, 0.6, 0.8), keep=(0, 4))
        write_sweep(root / "group", GROUP, (0.5, 0.7), keep=(0,))
        write_sweep(root / "no_matrices", RING, (0.3, 0.5))
        broken = write_sweep(root / "broken", RING, (0.5, 0.7))
    (broken / "curves.parquet").write_bytes(b"torn")
    write_findings(root / "ring", FINDINGS)
    (root / "ring" / "figure.png").write_bytes(b"")
    return root


@pytest.fixture(scope="module")
def page(folders):
    """The page of all of them, and what it says is missing."""
    out = folders / "page.html"
    return out, build.build([folders], out)


# --- The browser ---


@pytest.fixture(scope="module")
def driver():
    """Chromium, started once; skipped where it is not installed, unless REQUIRE_BROWSER is set."""
    browser, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (browser and chromedriver):
        assert not os.environ.get("REQUIRE_BROWSER"), "chromium and chromedriver are required"
        pytest.skip("chromium and chromedriver are not installed")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with tempfile.TemporaryDirectory() as profile:
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        service = webdriver.ChromeService(chromedriver)
        with contextlib.closing(webdriver.Chrome(options, service)) as started:
            started.close = started.quit
            yield started
            started.quit()


class Browser:
    """The page in the browser, by the identifiers of its elements."""

    def __init__(self, driver, path):
        self.driver, self.path = driver, path

    def open(self, state="", width=1280, dark=False):
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.driver.get("about:blank")
        self.driver.get(f"{self.path.as_uri()}#{state}")
        self.wait("return document.documentElement.dataset.ready === 'yes'")

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def wait(self, script, *arguments, seconds=20):
        deadline = time.monotonic() + seconds
        while not self.run(script, *arguments):
            assert time.monotonic() < deadline, f"{script} {arguments}"
            time.sleep(0.02)

    def text(self, name):
        return self.run("return document.getElementById(arguments[0]).textContent", name)

    def value(self, name):
        return self.run("return document.getElementById(arguments[0]).value", name)

    def set(self, name, value, event="change"):
        """Set a form element as a user would, and wait until the page has taken it in."""
        script = """
        const [name, value, event] = arguments;
        const element = document.getElementById(name);
        element.value = value;
        element.dispatchEvent(new Event(event, {bubbles: true}));
        """
        self.run(script, name, str(value), event)
        self.settle()

    def settle(self):
        self.driver.execute_async_script("setTimeout(arguments[0], 60)")
        self.wait("return document.querySelector('main').ariaBusy === 'false'")

    def traces(self, name):
        """What a plot was given: its traces, with their arrays as lists."""
        script = """
        const plain = (v) => ArrayBuffer.isView(v) ? Array.from(v) : v;
        return document.getElementById(arguments[0]).data.map((trace) => ({
          x: plain(trace.x), y: plain(trace.y), z: trace.z, text: trace.text, name: trace.name,
          symbol: trace.marker?.symbol, customdata: plain(trace.customdata)}));
        """
        return self.run(script, name)

    def shapes(self, name):
        return self.run("return document.getElementById(arguments[0]).layout.shapes", name)

    def rows(self):
        """The runs that the table shows, by number."""
        script = (
            "return [...document.querySelectorAll('#runs tbody tr')].map((r) => +r.dataset.run)"
        )
        return self.run(script)

    def classes(self):
        """The names in the key of colours and marks, without the marks."""
        script = "return [...document.querySelectorAll('#classes li')].map((e) => e.textContent)"
        return [text.split()[1] for text in self.run(script)]

    def state(self):
        return self.run("return location.hash.slice(1)")


@pytest.fixture
def opened(driver):
    """The file of a page -> it in the browser; the console must have no error at the test's end."""
    yield lambda path: Browser(driver, path)
    assert [entry["message"] for entry in driver.get_log("browser")] == []


@pytest.fixture
def browser(opened, page):
    """The page of the results made here."""
    return opened(page[0])


# --- What it shows is what the files hold ---


def test_it_is_one_file_that_loads_nothing(browser, page):
    browser.open()
    assert browser.run("return performance.getEntriesByType('resource').length") == 0
    assert page[0].stat().st_size < 4_000_000
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=\"?https?:", page[0].read_text())


def test_every_experiment_opens_with_its_runs(browser, folders):
    browser.open("view=experiments")
    names = browser.run(
        "return [...document.querySelectorAll('#experiment option')].map((o) => o.value)"
    )
    assert names == ["group", "no_matrices", "ring"]
    for name in names:
        browser.set("experiment", name)
        loaded = results.load(folders / name)
        assert browser.text("runs-count").startswith(f"{len(loaded.runs)} of {len(loaded.runs)}")
        assert browser.rows() == loaded.runs["run"].tolist()
        assert len(browser.traces("curves")) == 2 * min(8, len(loaded.runs))


@pytest.mark.parametrize("metric", ["accuracy", "loss"])
def test_curves_are_those_of_the_tables(browser, folders, metric):
    browser.open(f"view=experiments&experiment=ring&runs=4,1&metric={metric}")
    loaded = results.load(folders / "ring")
    lines = iter(browser.traces("curves"))
    for run in (4, 1):
        curve = loaded.curve(run)
        for split in ("train", "val"):
            line, expected = next(lines), curve[f"{split}_{metric}"]
            drawn = expected > 0 if metric == "loss" else expected >= 0
            assert line["name"].startswith(f"run {run} ")
            assert line["x"] == curve["step"][drawn].tolist()
            assert line["y"] == expected[drawn].astype(float).tolist()
    assert next(lines, None) is None


def test_censored_runs_are_open_marks_at_the_update_until_which_they_were_followed(
    browser, folders
):
    browser.open("view=experiments&experiment=ring&against=train_fraction")
    runs = results.load(folders / "ring").runs.set_index("run")
    reached, censored = browser.traces("times")
    crossed = runs["steps_to_val_99"].notna()
    assert crossed.sum() == 6 and (runs["status"] == "diverged").sum() == 1
    assert reached["symbol"] == "circle" and censored["symbol"] == "triangle-up-open"
    for trace, some in ((reached, runs[crossed]), (censored, runs[~crossed])):
        assert trace["customdata"] == some.index.tolist()
        assert trace["x"] == some["train_fraction"].tolist()
    assert reached["y"] == runs["steps_to_val_99"][crossed].tolist()
    assert censored["y"] == [1000] * 3


@pytest.mark.parametrize("moment", [0, 2, 3])
def test_the_slider_moves_cursor_table_and_circle_at_once(browser, folders, moment):
    browser.open("view=network&experiment=ring&run=4&update=20")
    before = browser.traces("net-plane")[1]["x"]
    browser.set("moment", moment, "input")
    loaded = results.load(folders / "ring")
    grown = growth.follow(loaded, 4)
    update, row = STEPS[moment], loaded.curve(4).iloc[moment]
    assert f"update={update}" in browser.state()
    said = f"update {update:,}: training {100 * row['train_accuracy']:.1f}%, "
    assert browser.text("moment-words") == f"{said}validation {100 * row['val_accuracy']:.1f}%"
    assert browser.shapes("net-curve")[0]["x0"] == update
    # The table: every equation of both kinds, right or wrong.
    found = growth.table(grown)
    kind, right = found.kind_nn, found.right_Mnn[moment]
    words = np.where(kind == TRAIN, "training, ", "validation, ") + np.where(
        right, "right", "wrong"
    )
    words = np.where(kind == 0, "undefined", words)
    [heat] = browser.traces("net-table")
    assert heat["text"] == words.tolist()
    # The plane, to the 16 bits in which it is kept, and what is joined.
    axis = growth.axis(grown)
    planes = growth.planes(grown, axis.order)
    lines, dots = browser.traces("net-plane")
    points = np.stack([dots["x"], dots["y"]], 1)
    close = 1e-4 * np.abs(planes.points_MPT2).max()
    np.testing.assert_allclose(points, planes.points_MPT2[moment, 0], atol=close)
    assert points[:, 0].tolist() != before
    ends = np.stack([lines["x"], lines["y"]], 1).reshape(-1, 3, 2)[:, :2].astype(float)
    m = int(browser.value("join"))
    np.testing.assert_allclose(ends[:, 1], np.roll(points, -m, 0))
    [bars] = browser.traces("net-spectrum")
    share = growth.frequencies(grown, axis.order).share[moment]
    np.testing.assert_allclose(bars["y"], share, rtol=1e-6)
    [cosines] = browser.traces("net-cosine")
    np.testing.assert_allclose(cosines["z"], growth.cosines(grown)[moment], atol=1 / 127)


def test_a_group_has_irreps_cosets_and_cycle_types(browser, folders):
    browser.open("view=network&experiment=group")
    grown = growth.follow(results.load(folders / "group"), 0)
    [bars] = browser.traces("net-spectrum")
    spectrum = growth.irrep_shares(grown)
    assert bars["x"] == spectrum.names
    np.testing.assert_allclose(bars["y"], spectrum.share[-1], rtol=1e-6)
    [cosines] = browser.traces("net-cosine")
    order = np.argsort(
        growth.best_cosets(grown.W_MnD[grown.best], grown.group).label_n, kind="stable"
    )
    expected = growth.cosines(grown)[-1][order][:, order]
    np.testing.assert_allclose(cosines["z"], expected, atol=1 / 127)
    browser.set("colour", "cycle")
    assert browser.classes() == ["1+1+1+1", "2+1+1", "2+2", "3+1", "4"]
    assert "colour=cycle" in browser.state()
    assert len(set(browser.traces("net-pca")[1]["symbol"])) == 5
    assert not browser.run("return document.querySelector('.of-ring').offsetParent")


# --- Controls ---


def test_playing_goes_to_the_end_and_stops(browser):
    browser.open("view=network&experiment=ring&run=0&update=1")
    browser.run("document.getElementById('play').click()")
    assert browser.text("play") == "Pause"
    browser.wait("return document.getElementById('moment').value === '3'")
    browser.wait("return document.getElementById('play').textContent === 'Play'")
    assert "update=1000" in browser.state()


def test_the_slider_is_moved_by_the_keyboard_and_speaks(browser):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    browser.open("view=network&experiment=ring&run=0&update=300")
    slider = browser.driver.find_element(By.ID, "moment")
    slider.send_keys(Keys.ARROW_LEFT)
    browser.settle()
    assert "update=20" in browser.state()
    assert slider.get_attribute("aria-valuetext").startswith("update 20: training ")
    slider.send_keys(Keys.END)
    browser.settle()
    assert "update=1000" in browser.state()


def test_it_plays_to_the_last_update_and_pauses_when_it_is_told_to(browser):
    browser.open("view=network&experiment=ring&run=0&update=1")
    play_once = """
    const play = document.getElementById('play');
    play.click();
    const name = play.textContent;
    const timer = setInterval(() => {
      if (!location.hash.includes('update=20')) return;
      clearInterval(timer);
      play.click();
      arguments[0]([name, play.textContent]);
    }, 5);
    """
    assert browser.driver.execute_async_script(play_once) == ["Pause", "Play"]
    browser.driver.execute_async_script("setTimeout(arguments[0], 600)")
    assert "update=20" in browser.state() and browser.value("moment") == "1"
    browser.run("document.getElementById('play').click()")
    browser.wait("return document.getElementById('play').textContent === 'Play'")
    assert "update=1000" in browser.state() and browser.value("moment") == "3"


def test_joints_colour_and_order_are_chosen_and_kept_in_the_link(browser):
    chosen = {"join": "3", "colour": "residue", "modulus": "5", "order": "key"}
    browser.open("view=network&experiment=ring&run=0")
    for name, value in chosen.items():
        browser.set(name, value, "change" if name in ("colour", "order") else "input")
    assert browser.text("join-words") == "m = 3" and browser.classes() == [*"01234"]
    plane, state = browser.traces("net-plane"), browser.state()
    browser.open(state)
    assert {name: browser.value(name) for name in chosen} == chosen
    assert browser.traces("net-plane") == plane and browser.classes() == [*"01234"]
    browser.set("colour", "place")
    dots = browser.traces("net-pca")[1]
    places = [re.search(r"mod (\d+): .*: (\w+)$", text).groups() for text in dots["text"]]
    quarters = ["none" if at == "none" else 4 * int(at) // int(n) for n, at in places]
    assert len(set(quarters)) == len(set(dots["symbol"])) == len(set(zip(quarters, dots["symbol"])))
    assert {0, 1, 2, 3} <= set(quarters)
    browser.set("colour", "log")
    labels = [text.split("<br>") for text in browser.traces("net-pca")[1]["text"]]
    logs = {label: words.split(": ")[1] for label, words in labels}
    # 2 is the least primitive root of 13, and 2^6 = 12, 2^7 = 11.
    assert (logs["0"], logs["1"], logs["2"], logs["12"], logs["11"]) == ("none", *"0112")


def test_runs_are_filtered_and_sorted_by_any_field_and_the_link_restores_it(browser, folders):
    runs = results.load(folders / "ring").runs
    browser.open("view=experiments&experiment=ring")
    type_in = """
    const input = document.querySelector(`th[data-name="${arguments[0]}"] input`);
    input.focus(); input.value = arguments[1]; input.dispatchEvent(new Event('input'));
    """
    press = 'document.querySelector(`th[data-name="${arguments[0]}"] button`).click()'
    browser.run(type_in, "train_fraction", ">= 0.6")
    browser.settle()
    browser.run(type_in, "seed", "!= 1")
    browser.settle()
    kept = runs[(runs["train_fraction"] >= 0.6) & (runs["seed"] != 1)]
    assert browser.rows() == kept["run"].tolist()
    assert browser.run("return document.activeElement.getAttribute('aria-label')") == "filter seed"
    for sign in (True, False):
        browser.run(press, "train_loss" if "train_loss" in runs else "final_val_loss")
        browser.settle()
        expected = kept.sort_values("final_val_loss", ascending=sign)["run"].tolist()
        assert browser.rows() == expected
    state, curves = browser.state(), browser.traces("curves")
    browser.open(state)
    assert browser.rows() == expected and browser.traces("curves") == curves
    sort = "return document.querySelector('th[data-name=final_val_loss]').ariaSort"
    assert browser.run(sort) == "descending"
    browser.run(type_in, "status", "none such")
    browser.settle()
    assert browser.rows() == [] and "No run is chosen" in browser.text("curves-words")
    browser.run("document.getElementById('no-filters').click()")
    browser.settle()
    assert len(browser.rows()) == len(runs)


def test_a_run_is_drawn_by_its_box_and_opened_by_its_link_or_its_point(browser):
    browser.open("view=experiments&experiment=ring&runs=0&against=run")
    browser.run("document.querySelector('tr[data-run=\"2\"] input').click()")
    browser.settle()
    assert {line["name"].split()[1] for line in browser.traces("curves")} == {"0", "2"}
    links = "[...document.querySelectorAll('#runs td a')]"
    assert browser.run(f"return {links}.map((a) => a.closest('tr').dataset.run)") == ["0", "4"], (
        "two networks were kept"
    )
    # A click in the middle of the point of run 4.
    at = browser.run("""
    const plot = document.getElementById('times');
    const {customdata, x, y} = plot.data[0];
    const i = customdata.indexOf(4), {xaxis, yaxis} = plot._fullLayout;
    plot.scrollIntoView();
    const box = plot.getBoundingClientRect();
    return [box.left + xaxis._offset + xaxis.d2p(x[i]), box.top + yaxis._offset + yaxis.d2p(y[i])];
    """)
    for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
        where = {"type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1}
        browser.driver.execute_cdp_cmd("Input.dispatchMouseEvent", where)
        if kind == "mouseMoved":
            browser.wait("return document.getElementById('times')._hoverdata?.length")
    browser.wait("return location.hash.includes('view=network')")
    browser.wait("return document.getElementById('network-run').value === '4'")
    browser.driver.back()
    browser.wait("return !document.getElementById('experiments').hidden")


def test_findings_are_filtered_and_lead_to_their_figure_experiment_and_command(browser, folders):
    browser.open()
    cells = "[...document.querySelectorAll('#findings [data-name=claim]')]"
    shown = f"return {cells}.map((cell) => cell.textContent)"
    assert browser.run(shown) == [finding.claim for finding in FINDINGS]
    browser.set("verdict", "not reproduced")
    assert browser.run(shown) == ["it takes 10⁵ updates"]
    state = browser.state()
    browser.open(state)
    assert browser.run(shown) == ["it takes 10⁵ updates"]
    text = browser.run("return document.querySelector('#findings tbody').textContent")
    [session] = results.load(folders / "ring").description["sessions"]
    for words in ("10⁵ <at most>", "6 runs, 3 seeds, 2 censored", session["command"]):
        assert words in text
    links = "[...document.querySelectorAll('#findings a')]"
    experiment, figure = browser.run(f"return {links}.map((a) => a.getAttribute('href'))")
    assert figure == "ring/figure.png" and "experiment=ring" in experiment
    assert "other code" not in text
    browser.set("words", "no such words", "input")
    assert browser.text("board-count") == "0 of 2 findings."


# --- The committed results ---


@pytest.fixture(scope="module")
def committed(tmp_path_factory):
    """The page of all of them, what it says is missing, and the index of what it holds."""
    out = tmp_path_factory.mktemp("committed") / "page.html"
    missing = build.build([RESULTS], out)
    index = re.search(r'id="index">(.*?)</script>', out.read_text(), re.DOTALL)[1]
    return out, missing, json.loads(index)


def test_all_committed_results_are_in_a_page_of_12_megabytes_or_are_named(committed):
    out, missing, index = committed
    assert out.stat().st_size <= 12_000_000
    shown = {entry["name"]: entry for entry in index["experiments"]}
    for description in RESULTS.glob("*/experiment.json"):
        folder = description.parent
        if folder.name not in shown:
            assert any(line.startswith(f"{folder.name}: ") for line in missing)
            continue
        entry = shown[folder.name]
        kept = [path for path in folder.glob("arrays/*.npz") if re.fullmatch(r"run_\d+", path.stem)]
        unreadable = [line for line in missing if line.startswith(f"{folder.name}, run ")]
        assert len(entry["networks"]) + entry["left_out"] + len(unreadable) == len(kept)
        assert bool(entry["left_out"]) == any(
            line.startswith(f"{folder.name}: {entry['left_out']} networks") for line in missing
        )
    found = [json.loads(path.read_text())["findings"] for path in RESULTS.glob("*/findings.json")]
    assert len(index["findings"]) == sum(map(len, found))


def test_every_committed_experiment_opens_with_the_curves_of_its_files(opened, committed):
    out, _, index = committed
    browser = opened(out)
    browser.open("view=experiments")
    for entry in index["experiments"]:
        browser.set("experiment", entry["name"])
        assert not browser.run("return document.getElementById('opening').offsetHeight")
        curves = pd.read_parquet(RESULTS / entry["name"] / "curves.parquet")
        assert browser.text("runs-count").startswith(f"{entry['runs']:,} of {entry['runs']:,} runs")
        for line in browser.traces("curves"):
            _, run, split = line["name"].split()
            name = "train" if split == "training" else "val"
            metric = f"{name}_{browser.value('metric')}"
            known = curves[(curves["run"] == int(run)) & curves["step"].isin(line["x"])]
            assert line["y"] == known[metric].astype("float32").tolist()


def test_every_committed_experiment_shows_a_network_at_each_end_of_the_slider(opened, committed):
    out, _, index = committed
    browser = opened(out)
    browser.open("view=network")
    for entry in [entry for entry in index["experiments"] if entry["networks"]]:
        browser.set("network-experiment", entry["name"])
        curves = pd.read_parquet(RESULTS / entry["name"] / "curves.parquet")
        run = int(browser.value("network-run"))
        curve = curves[curves["run"] == run].set_index("step")
        for moment in {0, int(browser.run("return document.getElementById('moment').max"))}:
            browser.set("moment", moment, "input")
            words = browser.text("moment-words")
            step = int(words.split(":")[0].removeprefix("update ").replace(",", ""))
            shares = [curve.loc[step, f"{split}_accuracy"] for split in ("train", "val")]
            train, val = ["unknown" if pd.isna(x) else f"{100 * x:.1f}%" for x in shares]
            assert words == f"update {step:,}: training {train}, validation {val}"
        assert not browser.run("return document.getElementById('opening').offsetHeight")


# --- For everyone ---

VIEWS = ("view=scoreboard", "view=experiments&experiment=ring", "view=network&experiment=ring")


@pytest.mark.parametrize("state", VIEWS)
def test_a_phone_scrolls_down_and_not_sideways(browser, state):
    browser.open(state, width=400)
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")


def test_everything_that_is_filled_in_has_a_name(browser):
    script = """
    return [...document.querySelectorAll('input, select, button')]
      .filter((e) => !(e.labels?.length || e.ariaLabel || e.textContent.trim()))
      .map((e) => e.outerHTML);
    """
    for state in VIEWS:
        browser.open(state)
        assert browser.run(script) == []
        plots = "[...document.querySelectorAll('.plot .main-svg')]"
        assert browser.run(f"return {plots}.every((plot) => plot.closest('[aria-label]'))")


def test_every_picture_of_a_network_says_what_to_look_for(browser):
    browser.open(VIEWS[2])
    said = "[...document.querySelectorAll('#network figure')].map((e) => e.querySelector('.hint'))"
    words = browser.run(f"return {said}.map((hint) => hint?.textContent ?? '')")
    assert len(words) == 7 and all("ook for" in each for each in words)


def test_in_the_dark_the_page_is_dark(browser):
    script = """
    const style = getComputedStyle(document.body);
    const grey = (text) => text.match(/\\d+/g).slice(0, 3).reduce((sum, v) => sum + +v, 0) / 3;
    const plot = document.querySelector('#curves .xtick text');
    return [grey(style.backgroundColor), grey(style.color), grey(getComputedStyle(plot).fill)];
    """
    browser.open(VIEWS[1], dark=True)
    paper, ink, ticks = browser.run(script)
    assert paper < 60 and ink > 200 and ticks > 120
    browser.open(VIEWS[1])
    paper, ink, ticks = browser.run(script)
    assert paper > 240 and ink < 60 and ticks < 130


# --- What is missing is said ---


def test_what_cannot_be_shown_is_named(browser, page):
    browser.open()
    assert [line for line in page[1] if line.startswith("broken: the tables in")]
    assert "broken: the tables in" in browser.text("missing")
    browser.open("view=network&experiment=ring&run=7")
    assert "The network of run 7 is not in this page" in browser.text("network-message")
    browser.open("view=experiments&experiment=no_matrices")
    assert browser.text("facts").endswith("No network is in this page.")
    browser.open("view=network&experiment=no_matrices")
    shown = browser.value("network-experiment")
    said = f"No network of no_matrices is in this page; one of {shown} is shown."
    assert browser.text("network-message").startswith(said)


def test_results_of_one_run_without_answers_or_snapshots_say_so(opened, write_growth):
    rng, n = np.random.default_rng(0), 13
    rows, right = rng.normal(size=(n, 8)), np.ones((n, n), bool)
    old = write_growth("old", RING, {1000: (rows, right)}, with_answers=False)
    out = old.parent / "page.html"
    assert build.build([old], out) == []
    shown = opened(out)
    shown.open("view=network")
    assert "kept at its end alone" in shown.text("network-message")
    assert "were kept before they held which equations" in shown.text("net-table")
    shown.open()
    assert "python -m grok findings" in shown.text("board-count")
    shown.open("view=experiments")
    assert shown.rows() == [0] and shown.value("field") == "run"


def test_five_thousand_runs_are_shown_a_hundred_at_a_time(opened, tmp_path):
    folder, tiny = tmp_path / "many", Run(operation="x+y", structure="Z7", num_steps=100)
    runs = tuple(tiny.replace(seed=seed) for seed in range(5000))
    sessions.begin(folder, Experiment(name="many", runs=runs), {"processes": 1})
    steps = np.tile(np.arange(0, 100, 5) + 1, len(runs))
    numbers = np.repeat(np.arange(len(runs)), 20)
    metrics = np.random.default_rng(0).random((len(steps), len(tables.METRICS)))
    row = outcomes.outcome(
        tables.curves_table(numbers[:20], steps[:20], metrics[:20]), tiny, False, True
    )
    table = tables.runs_table([{"run": i} | vars(run) | row for i, run in enumerate(runs)])
    tables.write_tables(folder, table, tables.curves_table(numbers, steps, metrics))
    begun = time.monotonic()
    assert build.build([folder], tmp_path / "page.html") == []
    assert time.monotonic() - begun < 60
    shown = opened(tmp_path / "page.html")
    shown.open("view=experiments")
    assert shown.text("runs-count").startswith("5,000 of 5,000 runs") and len(shown.rows()) == 100
    assert "Curves are thinned to at most 12 evaluations a run" in shown.text("facts")
    shown.run("document.getElementById('more-rows').click()")
    shown.settle()
    assert len(shown.rows()) == 200
    first = results.load(folder).curve(0)
    line = shown.traces("curves")[0]
    assert line["x"][0] == 1 and line["x"][-1] == 96 and len(line["x"]) <= 12
    kept = first[first["step"].isin(line["x"])]
    assert line["y"] == kept["train_accuracy"].astype(float).tolist()


# --- Without a browser ---


def test_findings_that_are_not_current_or_torn_are_said_to_be(folders, tmp_path):
    folder = shutil.copytree(folders / "ring", tmp_path / "ring")
    loaded, out = results.load(folder), tmp_path / "page.html"
    assert {row["current"] for row in scoreboard.rows(loaded, "ring", out)} == {True}
    with open(folder / "experiment.json", "a") as description:
        description.write("\n")
    assert {row["current"] for row in scoreboard.rows(loaded, "ring", out)} == {False}
    (folder / registry.FILE).write_text("{")
    with pytest.raises(GrokError, match="its findings cannot be read: python -m grok findings"):
        scoreboard.rows(loaded, "ring", out)


def test_findings_stand_in_the_order_of_the_scoreboard_and_large_scales_first():
    names = ["other", "weight_decay", "figure3_night", "figure3", "quickstart"]
    rows = [{"experiment": name, "scale": "small"} for name in names]
    rows[2]["scale"] = "night"
    ordered = [row["experiment"] for row in sorted(rows, key=scoreboard.place)]
    assert ordered == ["quickstart", "figure3_night", "figure3", "weight_decay", "other"]


def test_networks_that_do_not_fit_are_left_out_and_counted(folders, tmp_path, monkeypatch):
    out = tmp_path / "page.html"
    build.build([folders / "ring"], out)
    whole = out.stat().st_size
    monkeypatch.setattr(build, "MOST_BYTES", whole - 3000)
    [missing] = build.build([folders / "ring"], out)
    assert missing.startswith("ring: 1 networks are left out") and out.stat().st_size < whole


def test_networks_that_tell_most_come_first():
    def wish(run, has_snapshots, first=False):
        return build.Wish("folder", run, has_snapshots, first)

    many = [wish(run, run in (3, 5), run == 3) for run in range(build.FIRST_FEW + 5)]
    other = [wish(1000, True, True), wish(1001, False)]
    ordered = [each.run for each in build.in_order([many, other])]
    assert ordered[:4] == [3, 1000, 5, 0] and ordered[-5:] == list(range(40, 45))
    assert sorted(ordered) == [*range(45), 1000, 1001]


def test_a_thinned_curve_is_a_choice_of_whole_rows(monkeypatch):
    monkeypatch.setattr(experiments, "MOST_EVALUATIONS", 40)
    curves = pd.DataFrame({"run": np.repeat([0, 1], 100), "step": np.tile(np.arange(1, 101), 2)})
    thinned, kept = experiments.thinned(curves.assign(value=curves["step"] * 2))
    assert kept == 20 and (thinned["value"] == 2 * thinned["step"]).all()
    for _, curve in thinned.groupby("run"):
        steps = curve["step"].to_numpy()
        assert (steps[0], steps[-1]) == (1, 100) and 10 < len(steps) <= 20
        assert (np.diff(steps) > 0).all() and steps[len(steps) // 2] < 25


def test_what_json_has_not_becomes_null():
    text = pack.dumps({"a": [np.float32(0.5), float("nan"), float("inf")], "b": np.int64(3)})
    assert json.loads(text) == {"a": [0.5, None, None], "b": 3}


def test_an_end_of_a_script_in_the_results_does_no_harm(opened, write_growth):
    label = "</script><b id='harm'>"
    run = RING.replace(label=label)
    rows, right = np.random.default_rng(0).normal(size=(13, 8)), np.ones((13, 13), bool)
    folder = write_growth("odd", run, {1000: (rows, right)})
    write_findings(folder, [dataclasses.replace(FINDINGS[0], claim=label)])
    out = folder.parent / "page.html"
    build.build([folder], out)
    shown = opened(out)
    shown.open()
    assert not shown.run("return document.getElementById('harm')")
    assert label in shown.run("return document.querySelector('#findings').textContent")


@pytest.mark.parametrize(
    "given, said", [("none", "holds no results"), ("empty", "holds no results")]
)
def test_there_must_be_results(tmp_path, capsys, given, said):
    (tmp_path / "empty").mkdir()
    assert main(["page", str(tmp_path / given), "--out", str(tmp_path / "page.html")]) == 2
    assert said in capsys.readouterr().err and not (tmp_path / "page.html").exists()


def test_a_folder_of_broken_results_alone_makes_no_page(folders, tmp_path):
    with pytest.raises(GrokError, match="no results can be shown; broken: the tables"):
        build.build([folders / "broken"], tmp_path / "page.html")


def test_without_plotly_it_says_what_to_install(folders, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "plotly.offline", None)
    with pytest.raises(GrokError, match=r"pip install 'grok\[page\]'"):
        build.build([folders / "ring"], tmp_path / "page.html")


def test_the_command_says_where_the_page_is(folders, tmp_path, capsys):
    out = tmp_path / "new" / "page.html"
    assert main(["page", str(folders / "group"), "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}\n" and out.stat().st_size > 1_000_000


@pytest.mark.parametrize("path", sorted(STATIC.iterdir()), ids=lambda path: path.name)
def test_lines_of_the_page_fit_a_hundred_columns(path):
    assert [line for line in path.read_text().splitlines() if len(line) > 100] == []
