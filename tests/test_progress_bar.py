"""What a user sees of a sweep, by a clock of its own: a bar, or a line a minute."""

import io
from types import SimpleNamespace

import pytest

from grok.experiment import Experiment, Run
from grok.training import progress_bar
from grok.training.jobs import last_batch_note, make_jobs
from grok.training.sweep import Interrupted, Options, train_experiment


class Screen(io.StringIO):
    """A standard error that may be a terminal."""

    def __init__(self, terminal: bool):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal

    def take(self) -> str:
        """What was written since the last time."""
        text = self.getvalue()
        self.seek(0)
        self.truncate()
        return text


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until `seconds` is changed."""
    clock = SimpleNamespace(seconds=1000.0)
    monkeypatch.setattr(progress_bar, "time", SimpleNamespace(monotonic=lambda: clock.seconds))
    return clock


@pytest.fixture
def begin(monkeypatch, clock):
    """(terminal, done) -> the progress of a sweep, and its screen.

    The sweep has 4 runs of up to 1,000 updates; one run and `done` updates came before it.
    """
    begun = []

    def start(terminal: bool, done: int = 0):
        screen = Screen(terminal)
        monkeypatch.setattr(progress_bar.sys, "stderr", screen)
        begun.append(progress_bar.Progress("sweep", 4, 1000, 1, done))
        return begun[-1], screen

    yield start
    for shown in begun:
        shown.close()


def test_elsewhere_than_on_a_terminal_there_is_a_line_now_and_then_and_no_bar(begin, clock):
    """Every 15 s at first, and every minute once it has taken ten."""
    shown, screen = begin(terminal=False)
    said = []
    shown.advance(0, [1.0], [0.5])
    for second in range(1, 781):
        clock.seconds += 1
        shown.advance(second, [1.0], [0.5])
        said += [second] if screen.take() else []
    assert said == [*range(15, 600, 15), 645, 705, 765]
    clock.seconds += 60
    shown.advance(840, [1.0], [0.5])
    assert screen.take() == (
        "840 of at most 1,000 steps, 1 steps/s, at most 3 min left, "
        "runs 1/4, train 100.0%, val 50.0%\n"
    )


def test_the_rate_and_the_time_left_do_not_count_the_updates_of_earlier_sessions(begin, clock):
    shown, screen = begin(terminal=False, done=400)
    shown.advance(400, [1.0], [0.5])
    clock.seconds += 100
    shown.advance(500, [1.0], [0.5])
    assert screen.take().startswith(
        "500 of at most 1,000 steps, 1 steps/s, at most 8 min left, "
    )  # 500 updates at one a second


def test_the_rate_does_not_count_the_time_of_the_first_updates_which_are_compiled(begin, clock):
    """A minute for one update, then 18 in 20 s: nothing is said of hours."""
    shown, screen = begin(terminal=False)
    clock.seconds += 60
    shown.advance(1, [1.0], [0.5])
    assert screen.take() == "1 of at most 1,000 steps, runs 1/4, train 100.0%, val 50.0%\n"
    clock.seconds += 20
    shown.advance(19, [1.0], [0.5])
    assert screen.take().startswith("19 of at most 1,000 steps, 1 steps/s, at most 18 min left, ")


def test_a_run_that_ends_early_gives_the_rest_of_its_budget_back(begin, clock):
    shown, screen = begin(terminal=False)
    clock.seconds += 61
    shown.advance(100, [1.0], [0.5])
    shown.retire("run 0: grokked", 300)
    clock.seconds += 61
    shown.advance(200, [1.0], [0.5])
    first, closing, second = screen.take().splitlines()
    assert "100 of at most 1,000 steps" in first and "runs 1/4" in first
    assert closing == "run 0: grokked"
    assert "200 of at most 700 steps" in second and "runs 2/4" in second


def test_on_a_terminal_there_is_one_bar_with_the_same_totals_and_lines_stand_above_it(begin, clock):
    shown, screen = begin(terminal=True, done=400)
    assert (shown.bar.n, shown.bar.total, shown.bar.initial) == (400, 1000, 400)
    clock.seconds += 1000
    shown.advance(450, [0.25, 1.0], [0.5, 0.75])
    shown.retire("run 0: grokked", 300)
    assert (shown.bar.n, shown.bar.total) == (450, 700)
    shown.bar.refresh()
    said = screen.take()
    assert "\nrun 0: grokked\n" in said.replace("\r", "\n") and "of at most" not in said, (
        "the bar alone tells the totals"
    )
    assert "450/700" in said.rsplit("\r", 1)[1] and "train 25.0/100.0%, val 50.0/75.0%" in said


def test_of_many_runs_the_range_of_accuracies_is_shown():
    assert progress_bar.percentages([0.5, 1.0, 0.25, 0.09]) == "50.0/100.0/25.0/9.0%"
    assert progress_bar.percentages([0.5, 1.0, 0.25, 0.09, 0.3]) == "9.0-100.0%"


def test_a_resumed_sweep_shows_what_earlier_sessions_did(
    tmp_path, tiny: Run, quick_sweeps, monkeypatch
):
    begun, ended = [], []

    class Watched(progress_bar.Progress):
        def __init__(self, name, n_runs, total, done_runs, done):
            begun.append((n_runs, total, done_runs, done))
            super().__init__(name, n_runs, total, done_runs, done)

        def close(self):
            ended.append((self.n_runs, self.total, self.done_runs, self.done))
            super().close()

    monkeypatch.setattr("grok.training.sweep.Progress", Watched)
    runs = (
        tiny.replace(num_steps=10, eval_every=10, stop_after=0),
        tiny.replace(num_steps=30, eval_every=10, stop_after=0),
    )
    experiment = Experiment(name="watched", runs=runs)
    with pytest.raises(Interrupted):
        train_experiment(experiment, Options(tmp_path, slots=2, time_limit=0))
    train_experiment(experiment, Options(tmp_path, slots=2))
    assert begun == [(2, 40, 0, 0), (2, 40, 1, 20)]
    assert ended == [(2, 40, 1, 20), (2, 40, 2, 40)]


@pytest.mark.parametrize(
    ("batch_size", "noted"),
    [
        (64, "run 1: 1 of 64 rows"),
        (62, None),
        (0, None),
        (None, None),
        (192, "run 1: 1 of 192 rows"),
    ],
)
def test_a_tiny_last_batch_is_noted(batch_size, noted):
    """769 = 12 x 64 + 1 = 12 x 62 + 25 = 4 x 192 + 1; 673 = 10 x 64 + 33 = 3 x 192 + 97."""
    runs = [
        Run(operation="x+y", structure="Z31", train_fraction=share, batch_size=batch_size)
        for share in (0.7, 0.8)
    ]
    note = last_batch_note(make_jobs(runs, range(2)))
    assert (note is None) if noted is None else (noted in note and "in 1 of 2 runs" in note)
