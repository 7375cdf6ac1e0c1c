"""Commands that train: train, try, results, bench."""

import argparse
import dataclasses
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from grok import config
from grok.commands import overrides
from grok.commands.parser import (
    RESULTS,
    Argument,
    argument,
    argument_group,
    command,
    not_negative_float,
    positive_float,
    positive_int,
    program,
)
from grok.experiment import SCALES, Experiment, GrokError, Run

SCALE = argument(
    "--scale",
    choices=tuple(SCALES),
    default="small",
    help="; ".join(f"{name}: {what}" for name, what in SCALES.items()),
)
HOW_TO_TRAIN = argument_group(
    "how to train",
    RESULTS,
    argument(
        "--name",
        metavar="NAME",
        help="name of the experiment's folder (default: the config's, with the overrides)",
    ),
    SCALE,
    argument(
        "--slots",
        metavar="N",
        type=positive_int,
        help="runs in training at once (default: chosen for the device)",
    ),
    argument(
        "--time-limit",
        metavar="SECONDS",
        type=positive_float,
        help="stop, checkpoint and leave with status 75 after this long (default: none)",
    ),
    argument(
        "--checkpoint-every",
        metavar="SECONDS",
        type=not_negative_float,
        default=60.0,
        help="time between checkpoints",
    ),
    argument(
        "--anew",
        action="store_true",
        help="train again what is complete, and start unfinished runs over",
    ),
    argument("--no-figures", action="store_true", help="do not draw figures at the end"),
    argument(
        "--watch",
        action="store_true",
        help="redraw the curves every few seconds, in the terminal or as watch.png",
    ),
    argument(
        "--tensorboard",
        action="store_true",
        help="write the curves as TensorBoard event files too, into the results folder",
    ),
)
SEVERAL_PROCESSES = argument_group(
    "several processes or machines",
    argument(
        "--distributed",
        action="store_true",
        help="share the runs among processes that Slurm, Open MPI or Kubernetes started",
    ),
    argument(
        "--coordinator",
        metavar="HOST:PORT",
        help="address of process 0, where nothing else tells",
    ),
    argument("--num-processes", metavar="N", type=int, help="how many processes there are"),
    argument("--process-id", metavar="I", type=int, help="which of them this is"),
)


def field_flag(spec: dataclasses.Field) -> Argument:
    """The option that overrides a field of every run."""
    default = "" if spec.default is None else f" (default: {spec.default!r})"
    return argument(
        "--" + spec.name.replace("_", "-"),
        dest=f"field_{spec.name}",
        help=spec.metadata["help"].replace("%", "%%") + default,
        default=argparse.SUPPRESS,
        **field_type(spec),
    )


def field_type(spec: dataclasses.Field) -> dict[str, Any]:
    """argparse's keywords for the type of a field of `Run`."""
    if get_origin(spec.type) is Literal:
        return {"choices": get_args(spec.type)}
    kind = (get_args(spec.type) or (spec.type,))[0]
    if kind is bool:
        return {"action": argparse.BooleanOptionalAction}
    return {"type": kind, "metavar": {int: "N", float: "X", str: "TEXT"}[kind]}


FIELDS = argument_group(
    "fields of every run (the defaults are those of a run that says nothing else)",
    argument("--modulus", metavar="N", type=int, help="short for --structure Z<N>"),
    *map(field_flag, dataclasses.fields(Run)),
)


@command(
    "train",
    "train the runs of a config, or go on where an earlier session stopped",
    argument("config", metavar="CONFIG", help="a file such as configs/quickstart.py"),
    HOW_TO_TRAIN,
    SEVERAL_PROCESSES,
    FIELDS,
)
def train(options) -> int:
    given = vars(options)
    changes = field_changes(given)
    found = config.load(options.config, options.scale)
    experiment = overrides.override(found.experiment, given.get("name"), **changes)

    from grok.store import sessions
    from grok.training import devices, sweep

    process, n_processes = devices.start_devices(
        options.distributed,
        given.get("coordinator"),
        given.get("num_processes"),
        given.get("process_id"),
    )
    how = sweep.Options(
        options.results,
        given.get("slots"),
        given.get("time_limit"),
        options.checkpoint_every,
        options.anew,
        process,
        n_processes,
        observer(options, experiment.name, process),
    )
    top = options.results / experiment.name
    if not options.anew and sessions.is_complete(top, sessions.grown(top, experiment)):
        print(f"grok: note: {top} is complete: --anew trains it again", file=sys.stderr)
    return train_and_show(experiment, how, draw=not options.no_figures)


def train_and_show(experiment: Experiment, how, draw: bool) -> int:
    """Train an experiment and show what came of it; the exit status."""
    from grok.training import sweep

    try:
        folder = sweep.train_experiment(experiment, how)
    except sweep.Interrupted as stop:
        again = shlex.join(text for text in sys.argv[1:] if text != "--anew")
        print(
            f"grok: stopped by {stop}; all is saved. To go on: {program()} {again}",
            file=sys.stderr,
        )
        return stop.code
    show(folder, draw)
    return 0


def observer(options, name: str, process: int) -> Callable[[Path], None] | None:
    """What to do whenever a process has written its tables; None for nothing.

    A mistake in it is said, and training goes on.
    """
    from grok.figures.watch import Watcher
    from grok.store.event_files import EventFiles

    watcher = Watcher(options.results / name) if options.watch and process == 0 else None
    event_files = EventFiles() if options.tensorboard else None
    if watcher is None and event_files is None:
        return None

    def observe(folder: Path) -> None:
        try:
            if event_files:
                event_files.update(folder)
            if watcher:
                watcher.show()
        except GrokError as error:
            print(f"grok: {error}", file=sys.stderr, flush=True)

    return observe


def field_changes(given: dict[str, Any]) -> dict[str, Any]:
    """The fields of a run that parsed options override, and their values."""
    changes = {
        name.removeprefix("field_"): value
        for name, value in given.items()
        if name.startswith("field_")
    }
    if "modulus" in given:
        changes["structure"] = f"Z{given['modulus']}"
    return changes


def show(folder: Path, draw: bool) -> None:
    """Print an experiment's closing table, draw its figures, and say where everything is."""
    from grok import figures
    from grok.measure.findings import story
    from grok.store import results

    loaded = results.load(folder)
    if not loaded.complete:
        print(
            f"this process is done, others still train into {folder}; "
            "the last one draws the figures"
        )
        return
    print(results.closing_table(loaded))
    paths = figures.draw(folder) if draw else []
    print(folder / "runs.parquet", folder / "curves.parquet", folder / "arrays", *paths, sep="\n")
    if words := story.told(loaded, paths):
        print(f"\n{words}")


@command(
    "try",
    "train one network on an operation, with a recipe that groks a table like it within a minute",
    argument("operation", metavar="OPERATION", help="such as x*y, or xy with --structure A5"),
    argument(
        "--structure",
        default="Z31",
        help="Z<n>, S<n>, A<n>, D<n> or a product such as Z2xS3",
    ),
    argument("--seed", metavar="N", type=int, help="another seed than 0"),
    argument(
        "--train-fraction",
        metavar="X",
        type=float,
        help="share of the table to train on (default: the recipe's)",
    ),
    RESULTS,
)
def try_operation(options) -> int:
    from grok.measure import recipes
    from grok.training import devices, sweep

    recipe = recipes.nearest(options.operation, options.structure)
    print(f"The nearest recipe: {recipe.words}.", flush=True)
    run = recipes.run_of(recipe, options.operation, options.structure)
    name = overrides.folder_name("try", options.operation, options.structure)
    given = vars(options)
    changes = {name: given[name] for name in ("seed", "train_fraction") if name in given}
    experiment = overrides.override(Experiment(name=name, runs=(run,)), **changes)
    devices.start_devices()
    return train_and_show(experiment, sweep.Options(options.results), draw=True)


@command(
    "results",
    "make all results that are not complete: train, and measure what the figures need",
    argument(
        "arguments",
        metavar="-- ARGS",
        nargs="*",
        help="options of every training, after two dashes, such as -- --anew",
    ),
    SCALE,
    RESULTS,
    argument(
        "--configs",
        metavar="DIR",
        type=Path,
        default=Path("configs"),
        help="folder of configs",
    ),
    argument(
        "--only",
        metavar="NAME",
        action="append",
        default=[],
        help="only this config; may be given several times, and they are made in that order",
    ),
    argument(
        "--time-limit",
        metavar="SECONDS",
        type=positive_float,
        default=None,
        help="stop, save and leave with status 75 after this long for all of it (default: none)",
    ),
    argument(
        "--cores",
        metavar="N",
        type=positive_int,
        default=None,
        help="use so many CPU cores (default: all)",
    ),
    argument("--train-only", action="store_true", help="neither measure nor draw figures"),
    argument("--list", action="store_true", help="print the names in order, and make nothing"),
    argument("--status", action="store_true", help="say how far each is, and make nothing"),
)
def make_results(options) -> int:
    from grok import campaign

    wanted = campaign.Options(
        scale=options.scale,
        root=options.results,
        arguments=tuple(options.arguments),
        configs=options.configs,
        only=tuple(options.only),
        time_limit=options.time_limit,
        train_only=options.train_only,
    )
    if options.list:
        print(*campaign.chosen(wanted), sep="\n")
        return 0
    if options.status:
        return campaign.report_all(wanted)
    if options.cores:
        campaign.use_cores(options.cores)
    return campaign.make_all(wanted)


@command(
    "bench",
    "measure the speed of training on this machine, beside its own matrix rate",
    argument("--json", action="store_true", help="print one JSON object instead of a table"),
    argument(
        "--precision",
        choices=get_args(Run.__dataclass_fields__["precision"].type),
        default="float32",
        help="precision of matrix products",
    ),
    argument(
        "--profile",
        action="store_true",
        help="where the time of an update goes on a CPU, by kind of loop, as one JSON object",
    ),
)
def bench(options) -> None:
    from grok.training import bench, devices, profile

    devices.start_devices()
    if options.profile:
        print(json.dumps(profile.measure(Run(precision=options.precision))))
    else:
        bench.main(options.json, options.precision)
