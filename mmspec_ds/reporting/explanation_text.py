"""Why a structure fits a record, as lines for a terminal."""

from collections.abc import Iterator

from mmspec_ds.molecules.depiction import atom_labels
from mmspec_ds.reporting.explanation import (
    GRADES,
    NUCLEI,
    PEAKS,
    ExplainedCandidate,
    Explanation,
    error_ppm,
    fragments_title,
    grade,
    heading,
    label_of,
    labels_of,
    of_nucleus,
    shift,
    strongest,
    summary,
)


def answer_lines(explanation: Explanation) -> Iterator[str]:
    """What was read, and the candidates."""
    yield heading(explanation)
    if not explanation.candidates:
        yield "  no candidate"
    for number, one in enumerate(explanation.candidates, 1):
        yield f"  {number:>2}  {one.smiles}   {summary(one)}"
    yield from (f"remark: {one}" for one in explanation.remarks)


def explanation_lines(explanation: Explanation) -> Iterator[str]:
    """The candidates; the signals of the first one; what each spectrum adds; the experts."""
    yield from answer_lines(explanation)
    for one in explanation.candidates[:1]:
        yield from _candidate_lines(one)
    found, table = explanation.contributions, explanation.routing
    if found is not None:
        yield ""
        yield f"log p of candidate 1: {found.without:.2f} nats without spectra, {found.complete:.2f} with all"
        for name, value in found.parts.items():
            yield f"  {label_of(name):<10} {value:+8.2f}"
    if table is not None:
        yield ""
        yield f"{table.title.lower()}: {', '.join(' '.join(name.split()) for name in table.columns)}"
        for label, values in zip(table.rows, table.values_RC):
            yield f"  {label:<10} {' '.join(f'{value:6.2f}' for value in values)}"


def _candidate_lines(candidate: ExplainedCandidate) -> Iterator[str]:
    labels = atom_labels(candidate.smiles)
    for name, (label, _) in NUCLEI.items():
        found = of_nucleus(candidate.matches, name)
        if not found:
            continue
        yield ""
        yield f"{candidate.smiles}   {label}, ppm; atoms in the order of the SMILES"
        yield f"  {'observed':>9} {'predicted':>9} {'error':>7}   {'atoms':<16}"
        for one in found:
            at, error = grade(one), error_ppm(one)
            said = "" if error is None else f"{error:+.{NUCLEI[name][1]}f}"
            judged = "not explained" if at is None else GRADES[at]
            shifts = f"{shift(one.observed_ppm, name):>9} {shift(one.predicted_ppm, name):>9}"
            yield f"  {shifts} {said:>7}   {labels_of(one, labels):<16} {judged}"
    for label, peaks in candidate.fragments.items():
        yield ""
        yield f"{candidate.smiles}   {fragments_title(label, peaks)}"
        yield f"  {'m/z':>9} {'%':>5} {'ppm':>6}   {'ion':<14} bonds broken"
        for peak in strongest(peaks, PEAKS):
            row = f"  {peak.mz:9.4f} {peak.intensity:5.1f}"
            if peak.ion is None:
                yield f"{row} {'':>6}   not explained"
            else:
                yield f"{row} {peak.error_ppm:>+6.1f}   {peak.ion:<14} {peak.broken}"
