"""The command line: python -m grok {operations, table, train, results, figures, flatness, embeddings, scores, classical, skipgram, bench}. Short: parse, call, print."""

import argparse
import dataclasses
import shlex
import sys
from pathlib import Path
from typing import Literal, get_args, get_origin

from grok import config
from grok.experiment import SCALES, GrokError, Run

SCALES_HELP = "; ".join(f"{name}: {what}" for name, what in SCALES.items())


class Parser(argparse.ArgumentParser):
    """argparse with errors of one line."""

    def error(self, message):
        raise GrokError(message.replace("argument ", "", 1) + f" (see {self.prog} --help)")


def main(arguments: list[str] | None = None) -> int:
    try:
        parser = make_parser()
        options = parser.parse_args(arguments)
        return options.command(options) or 0
    except GrokError as error:
        print(f"grok: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except KeyboardInterrupt:
        print(
            "\ngrok: stopped; what was saved is intact, the same command goes on from there",
            file=sys.stderr,
        )
        return 130


def make_parser() -> Parser:
    parser = Parser(
        prog="python -m grok", description="A laboratory for grokking.", allow_abbrev=False
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(function, name, help, **more):
        sub = commands.add_parser(name, help=help, description=help, allow_abbrev=False, **more)
        sub.set_defaults(command=function)
        return sub

    command(
        list_operations,
        "operations",
        "list the operations of the paper and of its released code: name, domain, rows",
    )
    sub = command(print_table, "table", "print an operation's table as CSV: x,y,z, element indices")
    sub.add_argument(
        "expression", metavar="EXPR", help="such as x/y, x^2+xy+y^2, or xyx^-1 with --structure S5"
    )
    sub.add_argument(
        "--structure",
        default="Z97",
        help="Z<n>, S<n>, A<n>, D<n> or a product such as Z2xS3 (default: %(default)s)",
    )
    add_train(command)
    sub = command(
        make_results,
        "results",
        "make all results that are not complete: train, and measure what the figures need",
    )
    sub.add_argument(
        "arguments",
        metavar="-- ARGS",
        nargs="*",
        help="options of every training, after two dashes, such as -- --anew",
    )
    sub.add_argument(
        "--scale",
        choices=tuple(SCALES),
        default="small",
        help=SCALES_HELP,
    )
    sub.add_argument(
        "--results",
        metavar="DIR",
        type=Path,
        default=Path("results"),
        help="folder of results (default: %(default)s)",
    )
    sub.add_argument(
        "--configs",
        metavar="DIR",
        type=Path,
        default=Path("configs"),
        help="folder of configs (default: %(default)s)",
    )
    sub.add_argument(
        "--only",
        metavar="NAME",
        action="append",
        default=[],
        help="only this config; may be given several times, and they are made in that order",
    )
    sub.add_argument(
        "--time-limit",
        metavar="SECONDS",
        type=positive_float,
        help="stop, save and leave with status 75 after this long for all of it (default: none)",
    )
    sub.add_argument(
        "--cores",
        metavar="N",
        type=positive_int,
        help="use so many CPU cores (default: all)",
    )
    sub.add_argument("--train-only", action="store_true", help="neither measure nor draw figures")
    sub = command(
        draw_figures,
        "figures",
        "draw figures from results; without names, all whose results have changed",
    )
    sub.add_argument("names", metavar="NAME", nargs="*", help="figures to draw anew")
    sub.add_argument(
        "--results",
        metavar="DIR",
        type=Path,
        default=Path("results"),
        help="folder of results (default: %(default)s)",
    )
    sub = command(
        measure_flatness,
        "flatness",
        "measure sharpness and curvature of the networks of a results folder",
    )
    sub.add_argument(
        "folder",
        metavar="DIR",
        type=Path,
        help="such as results/figure7; its experiment keeps parameters",
    )
    sub = command(
        export_embeddings,
        "embeddings",
        "write learned embeddings as TSV for the TensorBoard Embedding Projector, and as NPZ",
    )
    sub.add_argument("folder", metavar="RESULTS", type=Path, help="such as results/figure3")
    sub.add_argument(
        "--run",
        metavar="N",
        type=int,
        action="append",
        help="only this run; may be given several times (default: all)",
    )
    sub.add_argument(
        "--step",
        metavar="S",
        type=int,
        help="the snapshot after this many updates (default: the end)",
    )
    sub.add_argument(
        "--matrix",
        choices=("output", "input", "both"),
        default="output",
        help="output or input rows of the tokens (default: %(default)s)",
    )
    sub.add_argument("--out", metavar="DIR", type=Path, required=True, help="folder to write to")
    sub = command(
        measure_scores,
        "scores",
        "score the structure of the embeddings of a results folder, beside null models",
    )
    sub.add_argument(
        "folder",
        metavar="RESULTS",
        type=Path,
        help="such as results/figure3; symmetry scores need kept parameters",
    )
    sub.add_argument(
        "--run",
        metavar="N",
        type=int,
        action="append",
        help="only this run; may be given several times (default: all)",
    )
    sub.add_argument(
        "--step",
        metavar="S",
        type=int,
        help="the matrices after this many updates (default: where the validation accuracy was highest)",
    )
    sub = command(
        fit_classical,
        "classical",
        "fit classical models on learned vectors, beside random, one-hot and untrained ones",
    )
    sub.add_argument("folder", metavar="RESULTS", type=Path, help="such as results/figure3")
    sub.add_argument(
        "--run",
        metavar="N",
        type=int,
        action="append",
        help="only this run; may be given several times (default: all)",
    )
    add_skipgram(command)
    sub = command(
        run_bench,
        "bench",
        "measure the speed of training on this machine, beside its own matrix rate",
    )
    sub.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    sub.add_argument(
        "--precision",
        choices=get_args(Run.__dataclass_fields__["precision"].type),
        default="float32",
        help="precision of matrix products (default: %(default)s)",
    )
    return parser


def add_train(command) -> None:
    sub = command(
        train,
        "train",
        "train the runs of a config, or go on where an earlier session stopped",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    sub.add_argument("config", metavar="CONFIG", help="a file such as configs/quickstart.py")
    how = sub.add_argument_group("how to train")
    how.add_argument(
        "--results",
        metavar="DIR",
        type=Path,
        default=Path("results"),
        help="folder in which the experiment's own folder lies",
    )
    how.add_argument(
        "--name",
        metavar="NAME",
        default=argparse.SUPPRESS,
        help="name of the experiment's folder (default: the config's, with the overrides)",
    )
    how.add_argument(
        "--scale",
        choices=tuple(SCALES),
        default="small",
        help=SCALES_HELP,
    )
    how.add_argument(
        "--slots",
        metavar="N",
        type=positive_int,
        default=argparse.SUPPRESS,
        help="runs in training at once (default: chosen for the device)",
    )
    how.add_argument(
        "--time-limit",
        metavar="SECONDS",
        type=positive_float,
        default=argparse.SUPPRESS,
        help="stop, checkpoint and leave with status 75 after this long (default: none)",
    )
    how.add_argument(
        "--checkpoint-every",
        metavar="SECONDS",
        type=not_negative_float,
        default=60.0,
        help="time between checkpoints",
    )
    how.add_argument(
        "--anew",
        action="store_true",
        help="train again what is complete, and start unfinished runs over",
    )
    how.add_argument("--no-figures", action="store_true", help="do not draw figures at the end")
    several = sub.add_argument_group("several processes or machines")
    several.add_argument(
        "--distributed",
        action="store_true",
        help="share the runs among processes that Slurm, Open MPI or Kubernetes started",
    )
    several.add_argument(
        "--coordinator",
        metavar="HOST:PORT",
        default=argparse.SUPPRESS,
        help="address of process 0, where nothing else tells",
    )
    several.add_argument(
        "--num-processes",
        metavar="N",
        type=int,
        default=argparse.SUPPRESS,
        help="how many processes there are",
    )
    several.add_argument(
        "--process-id",
        metavar="I",
        type=int,
        default=argparse.SUPPRESS,
        help="which of them this is",
    )
    fields = sub.add_argument_group(
        "fields of every run (the defaults are those of a run that says nothing else)"
    )
    fields.add_argument(
        "--modulus",
        metavar="N",
        type=int,
        default=argparse.SUPPRESS,
        help="short for --structure Z<N>",
    )
    for spec in dataclasses.fields(Run):
        fields.add_argument(
            "--" + spec.name.replace("_", "-"),
            dest=f"field_{spec.name}",
            help=spec.metadata["help"].replace("%", "%%")
            + ("" if spec.default is None else f" (default: {spec.default!r})"),
            default=argparse.SUPPRESS,
            **flag_type(spec),
        )


def add_skipgram(command) -> None:
    sub = command(
        learn_skipgram,
        "skipgram",
        "learn token vectors from co-occurrence in the equations alone (word2vec's skip-gram), a baseline for a network's",
    )
    sub.add_argument(
        "operation", metavar="OPERATION", help="such as x+y, or xy with --structure S5"
    )
    sub.add_argument(
        "--structure",
        default="Z97",
        help="Z<n>, S<n>, A<n>, D<n> or a product such as Z2xS3 (default: %(default)s)",
    )
    rows = sub.add_mutually_exclusive_group()
    rows.add_argument(
        "--train-fraction",
        metavar="X",
        type=float,
        default=0.5,
        help="read only the training rows of a network with this share of the table (default: %(default)s)",
    )
    rows.add_argument(
        "--full-table",
        dest="train_fraction",
        action="store_const",
        const=None,
        help="read every row of the table",
    )
    sub.add_argument(
        "--d-model",
        metavar="N",
        type=positive_int,
        default=128,
        help="width of the vectors (default: %(default)s)",
    )
    sub.add_argument(
        "--epochs",
        metavar="N",
        type=positive_int,
        default=200,
        help="passes over the equations (default: %(default)s)",
    )
    sub.add_argument(
        "--seed",
        metavar="N",
        type=int,
        default=0,
        help="seed of the initial vectors, the order and the negatives (default: %(default)s)",
    )
    sub.add_argument("--name", metavar="NAME", required=True, help="name of the results' folder")
    sub.add_argument(
        "--results",
        metavar="DIR",
        type=Path,
        default=Path("results"),
        help="folder in which it lies (default: %(default)s)",
    )


def flag_type(spec: dataclasses.Field) -> dict:
    """argparse's keywords for a field of `Run`."""
    if get_origin(spec.type) is Literal:
        return {"choices": get_args(spec.type)}
    kind = (get_args(spec.type) or (spec.type,))[0]
    if kind is bool:
        return {"action": argparse.BooleanOptionalAction}
    return {"type": kind, "metavar": {int: "N", float: "X", str: "TEXT"}[kind]}


def positive_int(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be above 0")
    return value


def positive_float(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError("must be above 0")
    return value


def not_negative_float(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError("must not be negative")
    return value


def list_operations(_options) -> None:
    import pandas as pd

    from grok.task.operations import NAMED, table

    rows = [
        {
            "operation": name,
            "domain": table(name, structure).domain,
            "rows": table(name, structure).rows,
            "from": origin,
        }
        for name, structure, origin in NAMED
    ]
    print(pd.DataFrame(rows).to_string(index=False))


def print_table(options) -> None:
    import numpy as np

    from grok.task.operations import table

    found = table(options.expression, options.structure)
    np.savetxt(
        sys.stdout,
        np.stack([found.x_N, found.y_N, found.z_N], 1),
        fmt="%d",
        delimiter=",",
        header="x,y,z",
        comments="",
    )


def train(options) -> int:
    given = vars(options)
    changes = {
        name.removeprefix("field_"): value
        for name, value in given.items()
        if name.startswith("field_")
    }
    if "modulus" in given:
        changes["structure"] = f"Z{options.modulus}"
    experiment = config.load(options.config, options.scale).experiment.override(
        given.get("name"), **changes
    )

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
    )
    try:
        folder = sweep.train_experiment(experiment, how)
    except sweep.Interrupted as stop:
        again = shlex.join(argument for argument in sys.argv[1:] if argument != "--anew")
        print(
            f"grok: stopped by {stop}; all is saved. To go on: python -m grok {again}",
            file=sys.stderr,
        )
        return stop.code
    show(folder, draw=not options.no_figures)
    return 0


def show(folder: Path, draw: bool) -> None:
    """Print the closing table of an experiment, draw its figures, and say where everything is."""
    from grok import figures
    from grok.store import results

    loaded = results.load(folder)
    if not loaded.complete:
        print(
            f"this process is done, others still train into {folder}; the last one draws the figures"
        )
        return
    print(results.closing_table(loaded.runs))
    paths = figures.draw(folder) if draw else []
    print(
        "\n".join(
            map(
                str, [folder / "runs.parquet", folder / "curves.parquet", folder / "arrays", *paths]
            )
        )
    )


def make_results(options) -> int:
    from grok import campaign

    if options.cores:
        campaign.use_cores(options.cores)
    return campaign.make_all(
        campaign.Options(
            scale=options.scale,
            root=options.results,
            arguments=tuple(options.arguments),
            configs=options.configs,
            only=tuple(options.only),
            time_limit=options.time_limit,
            train_only=options.train_only,
        )
    )


def draw_figures(options) -> int:
    from grok import figures

    return figures.draw_all(options.results, options.names)


def measure_flatness(options) -> None:
    from grok import figures
    from grok.measure import flatness

    print(flatness.measure(options.folder), *figures.draw(options.folder), sep="\n")


def export_embeddings(options) -> None:
    from grok.measure import export
    from grok.store import matrices

    matrices = tuple(matrices.MATRICES) if options.matrix == "both" else (options.matrix,)
    made, left_out = export.export(options.folder, options.out, options.run, options.step, matrices)
    print(*left_out, *made, sep="\n")


def measure_scores(options) -> None:
    from grok.measure import scores

    print(scores.summary(scores.measure(options.folder, options.run, options.step)))


def fit_classical(options) -> None:
    from grok.measure import classical

    table, left_out, path = classical.measure(options.folder, options.run)
    print(classical.summary(table), *left_out, path, sep="\n")


def learn_skipgram(options) -> None:
    from grok.measure import skipgram
    from grok.store import results

    folder = skipgram.learn(
        options.results,
        options.name,
        options.operation,
        options.structure,
        options.train_fraction,
        options.d_model,
        options.epochs,
        options.seed,
    )
    print(
        skipgram.closing_line(results.load(folder).runs.iloc[0]),
        folder / "runs.parquet",
        folder / "curves.parquet",
        folder / "arrays",
        sep="\n",
    )


def run_bench(options) -> None:
    from grok.training import bench, devices

    devices.start_devices()
    bench.main(options.json, options.precision)


if __name__ == "__main__":
    sys.exit(main())
