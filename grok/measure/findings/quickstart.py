"""The quickstart: the same split and the same initial weights, with and without decay."""

import dataclasses
from collections.abc import Iterator

from grok.measure.findings import figure1_left
from grok.measure.findings.finding import Finding, Table


def find(results) -> Iterator[Finding | Table]:
    table = figure1_left.outcomes(results)
    plain, decayed = table[~table["decays"]], table[table["decays"]]
    yield Table("runs", table.to_dict("records"))
    claim = "in the quickstart, the network with decay groks far sooner"
    yield dataclasses.replace(figure1_left.sooner(plain, decayed), claim=claim)
