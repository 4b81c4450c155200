"""Mirror plots of the first hits of a search."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmspec_ds.errors import DataError
from mmspec_ds.progress import ProgressLines

if TYPE_CHECKING:
    from mmspec_ds.library.answers import Answer
    from mmspec_ds.library.search import SearchSettings
    from mmspec_ds.library.store import Library
    from mmspec_ds.readers.requests import Request
    from mmspec_ds.reporting.mirror import Side


def make_folder(folder: Path | None) -> None:
    """Make the folder of the pictures, before the work starts.

    Raises:
        DataError: it cannot be made.
    """
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot be made: {error.strerror or error}", path=folder) from None


def draw_mirrors(
    folder: Path,
    requests: "Sequence[Request]",
    answers: "Sequence[Answer]",
    library: "Library",
    settings: "SearchSettings",
) -> int:
    """Draw the first hit of each query that is a mass spectrum and has one, a PNG each.

    Returns:
        The number of pictures.

    Raises:
        DataError: a picture cannot be written.
    """
    from mmspec_ds.reporting.mirror import draw_mirror, file_name

    drawn = 0
    with ProgressLines("drawing", unit="plots") as progress:
        for number, (request, answer) in enumerate(zip(requests, answers)):
            sides = _sides(request, answer, library, settings)
            if sides is None:
                continue
            hit = answer["hits"][0]
            path = folder / file_name(number, answer["id"])
            draw_mirror(path, sides[0], sides[1], hit["smiles"], _caption(hit))
            drawn += 1
            progress.at(drawn)
    return drawn


def _sides(
    request: "Request", answer: "Answer", library: "Library", settings: "SearchSettings"
) -> "tuple[Side, Side] | None":
    """The query and its first hit, or None where there is nothing to draw."""
    from mmspec_ds.library.peaks import peaks_of
    from mmspec_ds.library.references import conditions_of, mass_spectra
    from mmspec_ds.library.similarity import have_equals
    from mmspec_ds.reporting.mirror import Side

    hits = answer.get("hits", [])
    spectra = mass_spectra(request.record) if request.record is not None else []
    if not hits or not spectra:
        return None
    mine = spectra[hits[0]["asked"]]
    conditions, row = conditions_of(mine), int(library.first[hits[0]["row"]]) + hits[0]["place"]
    chosen = settings.peaks(conditions.kind)
    pair = peaks_of([(mine.mz, mine.intensity), library.all_peaks.spectrum(row)]).cleaned(chosen)
    (mz, intensity), (other, others) = pair.spectrum(0), pair.spectrum(1)
    name = hits[0]["name"] or hits[0]["accession"] or hits[0]["entry"]
    precursor = conditions.precursor_mz
    return (
        Side(answer["id"], mz, intensity, have_equals(mz, other, chosen), precursor if precursor > 0 else None),
        Side(name, other, others, have_equals(other, mz, chosen), hits[0]["precursor_mz"]),
    )


def _caption(hit: dict[str, Any]) -> list[str]:
    """The score, the similarities that it is made of, and what the entry is."""
    from mmspec_ds.library.prepared import CONDITION_PARTS

    share = "" if hit["q_value"] is None else f"   q {hit['q_value']:.3f}"
    similar = [name for name, part in hit["parts"].items() if part is not None and name not in CONDITION_PARTS]
    accession = hit["accession"] if hit["name"] else None  # else it stands for the name
    entry = [text for text in (hit["formula"], hit["adduct"], accession) if text]
    return [
        f"score {hit['score']:.3f}{share}",
        *(f"{name} {hit['parts'][name]:.3f}" for name in similar),
        *entry,
    ]
