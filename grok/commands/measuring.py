"""Commands that measure what training left, each into a table beside it."""

from pathlib import Path

from grok.commands.parser import (
    FOLDER,
    RESULTS,
    RUNS,
    STRUCTURE,
    argument,
    command,
    one_of,
    positive_int,
)


@command(
    "flatness",
    "measure sharpness and curvature of the networks of a results folder",
    argument(
        "folder",
        metavar="DIR",
        type=Path,
        help="such as results/figure7; its experiment keeps parameters",
    ),
)
def flatness(options) -> None:
    from grok import figures
    from grok.measure import flatness

    path = flatness.measure(options.folder)
    print(path, *figures.draw(options.folder), sep="\n")


@command(
    "cost",
    "time an update of each run of a results folder, with a run a device: on an idle machine",
    FOLDER,
)
def cost(options) -> None:
    from grok.measure import cost

    print(cost.measure(options.folder))


@command(
    "embeddings",
    "write learned embeddings as TSV for the TensorBoard Embedding Projector, and as NPZ",
    FOLDER,
    RUNS,
    argument(
        "--step",
        metavar="S",
        type=int,
        default=None,
        help="the snapshot after this many updates (default: the end)",
    ),
    argument(
        "--matrix",
        choices=("output", "input", "both"),
        default="output",
        help="output or input rows of the tokens",
    ),
    argument("--out", metavar="DIR", type=Path, required=True, help="folder to write to"),
)
def embeddings(options) -> None:
    from grok.measure import export
    from grok.store.matrices import MATRICES

    matrices = tuple(MATRICES) if options.matrix == "both" else (options.matrix,)
    made, left_out = export.export(options.folder, options.out, options.run, options.step, matrices)
    print(*left_out, *made, sep="\n")


@command(
    "scores",
    "score the structure of the embeddings of a results folder, beside null models",
    argument(
        "folder",
        metavar="RESULTS",
        type=Path,
        help="such as results/figure3; symmetry scores need kept parameters",
    ),
    RUNS,
    argument(
        "--step",
        metavar="S",
        type=int,
        default=None,
        help="the matrices after this many updates "
        "(default: where the validation accuracy was highest)",
    ),
)
def scores(options) -> None:
    from grok.measure import scores

    print(scores.summary(scores.measure(options.folder, options.run, options.step)))


@command(
    "mechanism",
    "measure what the networks of a results folder compute, over training, beside nulls",
    argument(
        "folder",
        metavar="RESULTS",
        type=Path,
        help="such as results/networks; its runs keep parameters",
    ),
    RUNS,
)
def mechanism(options) -> None:
    from grok import figures
    from grok.figures.mechanism import draw_page
    from grok.measure import mechanism

    print(mechanism.summary(mechanism.measure(options.folder, options.run)))
    pages = [draw_page(options.folder, run) for run in options.run or ()]
    print(*sum(pages, []), *figures.draw(options.folder), sep="\n")


@command(
    "classical",
    "fit classical models on learned vectors, beside random, one-hot and untrained ones",
    FOLDER,
    RUNS,
)
def classical(options) -> None:
    from grok.measure import classical

    table, left_out, path = classical.measure(options.folder, options.run)
    print(classical.summary(table), *left_out, path, sep="\n")


@command(
    "recipes",
    "make the table of recipes for `try` and configs/README.md from the runs of configs/recipes.py",
    argument("folder", metavar="RESULTS", type=Path, help="such as results/recipes"),
)
def recipes(options) -> None:
    from grok.measure import recipes
    from grok.training import devices

    recipes.check_is_of_recipes(options.folder)
    devices.start_devices()
    print(*recipes.publish(recipes.measure(options.folder)), sep="\n")


@command(
    "skipgram",
    "learn token vectors from co-occurrence in the equations alone (word2vec's skip-gram), "
    "a baseline for a network's",
    argument("operation", metavar="OPERATION", help="such as x+y, or xy with --structure S5"),
    STRUCTURE,
    one_of(
        argument(
            "--train-fraction",
            metavar="X",
            type=float,
            default=0.5,
            help="read only the training rows of a network with this share of the table",
        ),
        argument(
            "--full-table",
            dest="train_fraction",
            action="store_const",
            const=None,
            help="read every row of the table",
        ),
    ),
    argument("--d-model", metavar="N", type=positive_int, default=128, help="width of the vectors"),
    argument(
        "--epochs", metavar="N", type=positive_int, default=200, help="passes over the equations"
    ),
    argument(
        "--seed",
        metavar="N",
        type=int,
        default=0,
        help="seed of the initial vectors, the order and the negatives",
    ),
    argument("--name", metavar="NAME", required=True, help="name of the results' folder"),
    RESULTS,
)
def skipgram(options) -> None:
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


@command(
    "findings",
    "decide what results show, claim by claim, and renew the pages that tell it",
    argument(
        "folder",
        metavar="FOLDER",
        nargs="?",
        type=Path,
        default=None,
        help="such as results/figure7; without it every folder of --results",
    ),
    RESULTS,
)
def findings(options) -> None:
    from grok.measure.findings import report

    print(report.make(options.folder, options.results))
