"""Commands about tasks: operations, table."""

import sys

from grok.commands.parser import STRUCTURE, argument, command


@command(
    "operations",
    "list the operations of the paper and of its released code: name, domain, rows",
)
def operations(_options) -> None:
    import pandas as pd

    from grok.task.operations import NAMED, operation_table

    rows = []
    for name, structure, origin in NAMED:
        found = operation_table(name, structure)
        rows.append({"operation": name, "domain": found.domain, "rows": found.rows, "from": origin})
    print(pd.DataFrame(rows).to_string(index=False))


@command(
    "table",
    "print an operation's table as CSV: x,y,z, element indices",
    argument(
        "expression",
        metavar="EXPR",
        help="such as x/y, x^2+xy+y^2, or xyx^-1 with --structure S5",
    ),
    STRUCTURE,
)
def table(options) -> None:
    import numpy as np

    from grok.task import operations

    found = operations.operation_table(options.expression, options.structure)
    np.savetxt(
        sys.stdout,
        np.stack([found.x_N, found.y_N, found.z_N], 1),
        fmt="%d",
        delimiter=",",
        header="x,y,z",
        comments="",
    )
