"""The figures of a search by several methods: means with their errors, differences, tables, JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

from rich.console import Console

from mmspec_ds.evaluation.bootstrap import Bootstrap, Estimate, FloatArray
from mmspec_ds.evaluation.score_table import print_rows
from mmspec_ds.files import write_json

Values = Mapping[str, FloatArray]
"""By measure its value of every query, [n]."""


@dataclass(frozen=True)
class SettingResult:
    """All methods in one setting, on the same queries.

    Attributes:
        name: of the setting, such as "open".
        n: queries that count: those with an answer among the rows that are searched.
        molecules: of these queries.
        unanswerable: queries that were left out, because no row that is searched has their molecule.
        methods: by method and measure the mean with its error.
        differences: "A - B" by measure, of every two methods.
    """

    name: str
    n: int
    molecules: int
    unanswerable: int
    methods: Mapping[str, Mapping[str, Estimate]]
    differences: Mapping[str, Mapping[str, Estimate]]

    def to_json(self) -> dict[str, Any]:
        """The attributes, without the name."""
        return {
            "n": self.n,
            "molecules": self.molecules,
            "unanswerable": self.unanswerable,
            "methods": _nested(self.methods),
            "differences": _nested(self.differences),
        }


@dataclass(frozen=True)
class SearchReport:
    """The result of an evaluation.

    Attributes:
        queries: entries that were sought.
        rows: of the library.
        row_molecules: molecules of these rows.
        settings: the results, a setting each.
        seconds: by method, of scoring all queries against all rows.
        single: the methods that are no combination of others.
        remarks: what was left out and why, and what was equal, a sentence each.
    """

    queries: int
    rows: int
    row_molecules: int
    settings: Sequence[SettingResult]
    seconds: Mapping[str, float] = field(default_factory=dict)
    single: Sequence[str] = ()
    remarks: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """A dictionary: counts, remarks, seconds, and `settings` by name."""
        return {
            "queries": self.queries,
            "rows": self.rows,
            "row_molecules": self.row_molecules,
            "remarks": list(self.remarks),
            "seconds": dict(self.seconds),
            "settings": {one.name: one.to_json() for one in self.settings},
        }


def summarise(
    name: str, values: Mapping[str, Values], groups: Sequence[str] | Any, unanswerable: int = 0, seed: int = 0
) -> SettingResult:
    """The means, errors and differences of one setting.

    Args:
        name: of the setting.
        values: by method and measure, [n] each, of the same queries in the same order.
        groups: [n], the molecule of each query.
        unanswerable: queries that are not among them.
        seed: of the bootstrap.

    Raises:
        ValueError: no query, or lengths that differ.
    """
    bootstrap = Bootstrap(groups, seed)
    methods = {
        method: {measure: bootstrap.estimate(one) for measure, one in measures.items()}
        for method, measures in values.items()
    }
    differences = {
        f"{first} - {second}": {
            measure: bootstrap.difference(values[first][measure], values[second][measure])
            for measure in values[first]
        }
        for first, second in combinations(values, 2)
    }
    molecules = len(set(groups.tolist() if hasattr(groups, "tolist") else groups))
    return SettingResult(name, len(groups), molecules, unanswerable, methods, differences)


def print_report(report: SearchReport, console: Console | None = None) -> None:
    """Print a table for each setting, and how sure the lead of the best method is."""
    console = console or Console()
    rows = f"{report.rows:,} rows of {report.row_molecules:,} molecules"
    _say(console, f"{_queries(report.queries)} against a library of {rows}")
    for remark in report.remarks:
        _say(console, remark)
    for one in report.settings:
        title = f"{one.name}: {_queries(one.n)} of {one.molecules:,} molecules"
        if one.unanswerable:
            title += f" ({one.unanswerable:,} more have no row of their molecule there)"
        measures = list(next(iter(one.methods.values())))
        table = [
            [method, *(f"{found[measure].mean:.3f} ± {found[measure].error:.3f}" for measure in measures)]
            for method, found in one.methods.items()
        ]
        _say(console, title)  # as the title of a table it would be cut at its width
        print_rows(["method", *measures], table, None, console)
        for line in leads(one, report.single):
            _say(console, line)
    if report.seconds:
        spent = ", ".join(f"{name} {seconds:.1f}" for name, seconds in report.seconds.items())
        _say(console, f"seconds: {spent}")


def leads(result: SettingResult, single: Sequence[str] = ()) -> list[str]:
    """By how much the best method is ahead of the second, and each combination of the best single method, by
    the first measure: a sentence each."""
    measure = next(iter(next(iter(result.methods.values()))))
    order = sorted(result.methods, key=lambda method: -result.methods[method][measure].mean)
    alone = [method for method in order if method in single]
    pairs = [(method, alone[0]) for method in order if method not in single and alone]
    if len(order) > 1 and (order[1], order[0]) not in pairs:
        pairs.insert(0, (order[0], order[1]))
    lines = []
    for first, second in dict.fromkeys(pairs):
        found = difference_of(result, first, second)[measure]
        lines.append(
            f"{measure} of {first} less that of {second}: {found.mean:+.3f} ± {found.error:.3f}"
            f" (95 %: {found.low:+.3f} to {found.high:+.3f})"
        )
    return lines


def difference_of(result: SettingResult, first: str, second: str) -> Mapping[str, Estimate]:
    """By measure how much larger the mean of the first method is than that of the second.

    Raises:
        KeyError: a method that is not there.
    """
    found = result.differences.get(f"{first} - {second}")
    if found is not None:
        return found
    turned = result.differences[f"{second} - {first}"]
    return {
        measure: Estimate(0.0 - one.mean, one.error, 0.0 - one.high, 0.0 - one.low, one.n, one.groups)
        for measure, one in turned.items()
    }


def write_report(path: Path, report: SearchReport) -> None:
    """Write the figures as JSON; the file appears whole or not at all."""
    write_json(path, report.to_json())


def _nested(found: Mapping[str, Mapping[str, Estimate]]) -> dict[str, Any]:
    return {outer: {measure: one.to_json() for measure, one in inner.items()} for outer, inner in found.items()}


def _queries(count: int) -> str:
    return f"{count:,} {'query' if count == 1 else 'queries'}"


def _say(console: Console, line: str) -> None:
    console.print(line, soft_wrap=True, markup=False, highlight=False)
