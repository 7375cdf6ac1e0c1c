"""Any experiment without a theme of its own: medians of the times of what differs between runs."""

from collections.abc import Iterator

from grok.measure.findings import runs, times
from grok.measure.findings.finding import Finding, Table


def find(results) -> Iterator[Finding | Table]:
    known = runs.runs_with(results, "operation", *runs.TIMES)
    named = known.assign(group=runs.legend_names(known))
    yield Table("times", times.medians(named, "group"))
