"""Animations: each view shows the moment it is asked for, on axes that stay; the files play."""

import subprocess

import numpy as np
import pytest
from matplotlib.animation import FFMpegWriter
from matplotlib.collections import LineCollection, PathCollection
from PIL import Image

from grok.__main__ import main
from grok.experiment import Run
from grok.figures import animation
from grok.measure import growth
from grok.store import results
from grok.task.dataset import make_dataset

RING = Run(operation="x/y", structure="Z13", num_steps=1000, d_model=8, n_heads=2)
GROUP = RING.replace(operation="xy", structure="S3")
STEPS = (1, 10, 1000)


def kept(run, n):
    """{update: (rows [n, 8], right [n, n])}, the more right the later."""
    rng = np.random.default_rng(0)
    defined = (make_dataset(run).kind_N > 0).reshape(n, n)
    luck = rng.random((n, n))
    rows = rng.normal(size=(n, 8))
    return {step: ((i + 1) * rows, defined & (luck < i / 2)) for i, step in enumerate(STEPS)}


@pytest.fixture
def ring(write_growth):
    return write_growth("ring", RING, kept(RING, 13))


@pytest.fixture
def group(write_growth):
    return write_growth("group", GROUP, kept(GROUP, 6))


def film(folder, *views):
    """Its axes, the function that shows a moment, and what it was drawn from."""
    grown = growth.follow(results.load(folder), 0)
    picture, show = animation.film(grown, views)
    return picture.axes, show, grown


def test_the_cursor_stands_at_the_update(ring):
    [axes], show, _ = film(ring, "curve")
    *curves, cursor = axes.lines
    assert [line.get_label() for line in curves] == ["training", "validation"]
    for i, step in enumerate(STEPS):
        show(i)
        assert set(cursor.get_xdata()) == {step}


def test_the_table_fills_in(ring):
    """x/y leaves y = 0 out; every other equation is one of four kinds, counted from the bits."""
    [axes], show, _ = film(ring, "table")
    kinds, [image] = make_dataset(RING).kind_N.reshape(13, 13), axes.images
    names = list(animation.CELLS)
    for i, (_, right) in enumerate(kept(RING, 13).values()):
        show(i)
        shown = np.array(names)[np.asarray(image.get_array(), int)]
        assert (shown[:, 0] == "undefined").all() and (shown[:, 1:] != "undefined").all()
        assert ((shown == "training, right") == ((kinds == 1) & right)).all()
        assert ((shown == "validation, right") == ((kinds > 1) & right)).all()
        assert (np.char.startswith(shown, "training") == (kinds == 1)).all()
        assert f"{100 * right[kinds > 1].mean():.1f}%" in axes.get_xlabel()


def test_the_circle_and_its_joints_are_those_of_the_plane(ring):
    [axes], show, grown = film(ring, "circle")
    axis = growth.axis(grown)
    points_MT2 = growth.planes(grown, axis.order).points_MPT2[:, 0]
    for i in range(3):
        show(i)
        points = points_MT2[i] / np.sqrt((points_MT2[i] ** 2).mean())
        [dots] = [artist for artist in axes.collections if isinstance(artist, PathCollection)]
        [lines] = [artist for artist in axes.collections if isinstance(artist, LineCollection)]
        np.testing.assert_allclose(dots.get_offsets(), points)
        ends = np.array(lines.get_segments())
        np.testing.assert_allclose(ends[:, 0], points)
        # Going from end to end visits every element once: one closed tour.
        step = int(np.abs(points - ends[0, 1]).sum(1).argmin())
        assert sorted(step * np.arange(13) % 13) == list(range(13))


def test_bars_and_cosines_are_those_of_the_moment(ring, group):
    for folder in (ring, group):
        axes, show, grown = film(folder, "spectrum", "cosines")
        is_ring = grown.group.is_ring
        found = (
            growth.frequencies(grown, growth.axis(grown).order)
            if is_ring
            else growth.irrep_shares(grown)
        )
        for i in (2, 0):
            show(i)
            heights = [bar.get_height() for bar in axes[0].patches]
            np.testing.assert_allclose(heights, 100 * found.share[i])
            shown = np.sort(np.asarray(axes[1].images[0].get_array()), None)
            expected = growth.cosines(grown)[i]
            np.testing.assert_allclose(shown, np.sort(expected, None), atol=1e-9)


@pytest.mark.parametrize("name", ["ring", "group"])
def test_axes_stay_where_they_are(name, request):
    views = [view for view in animation.VIEWS if name == "ring" or view != "circle"]
    axes, show, _ = film(request.getfixturevalue(name), *views)
    places = []
    for i in range(3):
        show(i)
        places.append([(ax.get_xlim(), ax.get_ylim(), ax.get_position().bounds) for ax in axes])
    assert places[0] == places[1] == places[2]


def test_a_gif_has_a_frame_a_moment_and_rests_on_the_last(ring, tmp_path, capsys):
    out = tmp_path / "new" / "a.gif"
    assert main(["animate", str(ring), "--out", str(out), "--per-second", "4"]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    with Image.open(out) as image:
        durations = []
        for i in range(image.n_frames):
            image.seek(i)
            durations.append(image.info["duration"])
    assert durations == [250, 250, 2000] and list(out.parent.iterdir()) == [out]


def test_a_colour_that_one_frame_alone_has_is_shown_as_it_is():
    """Each frame has a flat colour of its own, and greys enough to fill a palette."""
    colours = [[0, 114, 178], [246, 213, 176], [213, 94, 0]]
    greys = np.arange(256, dtype=np.uint8).repeat(3 * 4).reshape(16, 64, 3)
    frames = [np.concatenate([np.full((48, 64, 3), each, np.uint8), greys]) for each in colours]
    shown = animation.with_one_palette(frames)
    for frame, colour, image in zip(frames, colours, shown):
        assert image.getpalette() == shown[0].getpalette()
        made = np.asarray(image.convert("RGB"))
        assert (made[:48] == colour).all()
        assert np.abs(made - frame.astype(int)).max() <= 16


@pytest.mark.skipif(not FFMpegWriter.isAvailable(), reason="ffmpeg is not installed")
def test_an_mp4_lasts_as_long_as_its_moments(group, tmp_path):
    out = tmp_path / "a.mp4"
    assert main(["animate", str(group), "--out", str(out), "--per-second", "2"]) == 0
    shown = ["-show_entries", "format=duration:stream=codec_name", "-of", "csv=p=0"]
    said = subprocess.run(["ffprobe", "-v", "error", *shown, out], capture_output=True, text=True)
    codec, seconds = said.stdout.split()
    assert codec == "h264" and float(seconds) == pytest.approx(1.5, abs=0.1)


def test_results_without_answers_say_so_in_the_picture(write_growth, tmp_path):
    folder = write_growth("old", RING, kept(RING, 13), with_answers=False)
    [axes], _, _ = film(folder, "table")
    assert "are answered right" in " ".join(axes.texts[0].get_text().split())
    assert main(["animate", str(folder), "--out", str(tmp_path / "a.gif")]) == 0


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--out", "a.png"], "a.png is no animation: let its name end in .gif or .mp4"),
        (["--out", "a.gif", "--views", "curve,graph"], "there is no view 'graph': choose from"),
        (["--out", "a.gif", "--run", "7"], "has no run 7: its runs are 0 to 0"),
        (["--out", "a.gif", "--views", "circle"], "S3 is not a cyclic group Z<n>"),
    ],
)
def test_mistakes_are_said_in_a_line(group, arguments, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["animate", str(group), *arguments]) == 2
    out, err = capsys.readouterr()
    assert not out and said in err and len(err.splitlines()) == 1
    assert not (tmp_path / arguments[1]).exists()


def test_a_run_without_snapshots_does_not_move(write_growth, capsys):
    rows, right = kept(RING, 13)[1000]
    folder = write_growth("end", RING, {1000: (rows, right)})
    assert main(["animate", str(folder), "--out", "a.gif"]) == 2
    assert "kept at its end alone, so nothing moves" in capsys.readouterr().err


def test_an_mp4_needs_ffmpeg_and_says_so(ring, capsys, monkeypatch):
    monkeypatch.setattr(animation.FFMpegWriter, "isAvailable", lambda: False)
    assert main(["animate", str(ring), "--out", "a.mp4"]) == 2
    assert "an .mp4 needs the program ffmpeg: install it, or write a .gif" in (
        capsys.readouterr().err
    )
