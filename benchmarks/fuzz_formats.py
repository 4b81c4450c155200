"""Damaged files for every reader: whatever the bytes, a reader gives parts, rejected records or a DataError.

    python benchmarks/fuzz_formats.py --minutes 10 --format mzml

Each round takes a sound file, damages it (bits, cuts, repeats, foreign bytes, numbers that are none), and reads
it. Anything else than the contract of `mmspec_ds.readers` is a finding: another exception, a part that
breaks the promises of its record, a reason of more than one line, a reading of more than ten seconds. Findings
are kept, file and all, in --out, and end the run with status 1. The same seed gives the same rounds.
"""

import argparse
import gzip
import random
import re
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mmspec_ds.errors import DataError
from mmspec_ds.readers.format_registry import FORMATS, Format, find_format
from mmspec_ds.readers.part import Item, Part, Rejected
from mmspec_ds.readers.read_settings import DEFAULT_SETTINGS
from mmspec_ds.spectra.records import (
    HSQC,
    CarbonNMR,
    ElectronIonisationMS,
    HydrogenNMR,
    Infrared,
    Spectrum,
    TandemMS,
)

SOUND_FILES = Path(__file__).parents[1] / "tests/readers/files"
SLOWEST_SECONDS = 10.0
MOST_ITEMS = 10_000

_NASTY = (
    *(
        b"nan",
        b"inf",
        b"-inf",
        b"1e999",
        b"-1",
        b"0",
        b"",
        b"1_0",
        b"1,5",
        b"0x10",
        b"9" * 400,
        b"1e-320",
        b"--5",
    ),
    *(
        b"\x00",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\r\n",
        b"\r",
        b"\n\n",
        b"\t",
        b" " * 50,
        b"\xe9\xa0\x80",
        b"\xc3",
    ),
    *(
        b"=",
        b":",
        b";",
        b"//",
        b"END IONS",
        b"BEGIN IONS",
        b"Num Peaks: 3",
        b"##END=",
        b"]]>",
        b"&lol;",
        b"<!--",
    ),
    *(
        b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
        b"</spectrum>",
        b"<scan>",
        b"\xf0\x9f\x92\xa5",
        b"2147483648",
        b"-0.0",
    ),
)
_PLAIN = tuple(word for word in _NASTY if word.isascii() and word.isalnum())
_WORD = re.compile(rb"[A-Za-z0-9+/=]{6,}")
_NUMBER = re.compile(rb"[-+]?\d+(?:\.\d+)?")


def damage(content: bytes, chance: random.Random) -> bytes:
    """The same with one to six things done to it; in every other round only such as leave its outer form, for a
    reader of XML or parquet stops at most of the others before it has read anything."""
    damaged = bytearray(content)
    kinds = chance.choice((_DAMAGES, _MILD_DAMAGES))
    for _ in range(chance.randint(1, 6)):
        chance.choice(kinds)(damaged, chance)
    return bytes(damaged)


def damage_folder(sound: Path, damaged: Path, chance: random.Random) -> None:
    """A copy of a folder with one of its files damaged, or gone."""
    shutil.rmtree(damaged, ignore_errors=True)
    shutil.copytree(sound, damaged)
    path = chance.choice(sorted(path for path in damaged.rglob("*") if path.is_file()))
    content = damage(path.read_bytes(), chance)
    path.unlink()
    if chance.random() < 0.95:
        path.write_bytes(content)


def _flip(content: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 1, 2, 8, 64))):
        if content:
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)


def _truncate(content: bytearray, chance: random.Random) -> None:
    del content[chance.randint(0, len(content)) :]


def _delete(content: bytearray, chance: random.Random) -> None:
    start, end = _span(content, chance)
    del content[start:end]


def _repeat(content: bytearray, chance: random.Random) -> None:
    start, end = _span(content, chance)
    place = chance.randint(0, len(content))
    content[place:place] = content[start:end] * chance.choice((1, 1, 2, 20))


def _insert(content: bytearray, chance: random.Random) -> None:
    place = chance.randint(0, len(content))
    foreign = bytes(chance.randrange(256) for _ in range(chance.choice((1, 2, 4, 30))))
    content[place:place] = chance.choice((*_NASTY, foreign))


def _spoil_number(content: bytearray, chance: random.Random) -> None:
    numbers = list(_NUMBER.finditer(content, chance.randint(0, max(len(content) - 1, 0))))[:200]
    if numbers:
        number = chance.choice(numbers)
        content[number.start() : number.end()] = chance.choice((*_PLAIN, b"-1", b"1e-320", b"-0.0", b""))


def _spoil_word(content: bytearray, chance: random.Random) -> None:
    words = list(_WORD.finditer(content, chance.randint(0, max(len(content) - 1, 0))))[:200]
    if words:
        word = chance.choice(words)
        content[chance.randrange(word.start(), word.end())] = chance.choice(b"AZaz09+/=_")


def _swap_lines(content: bytearray, chance: random.Random) -> None:
    lines = bytes(content).split(b"\n")
    first, second = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[first], lines[second] = lines[second], lines[first]
    content[:] = b"\n".join(lines)


def _span(content: bytearray, chance: random.Random) -> tuple[int, int]:
    start = chance.randint(0, len(content))
    return start, min(len(content), start + int(chance.expovariate(1 / 60)) + 1)


_DAMAGES: Sequence[Callable[[bytearray, random.Random], None]] = (
    *(_flip, _truncate, _delete, _repeat, _insert),
    *(_spoil_number, _spoil_word, _swap_lines),
)
_MILD_DAMAGES = (_spoil_number, _spoil_word)


def findings(reader: Format, path: Path) -> tuple[str | None, str]:
    """Read a damaged file: what broke the contract, or None, and what became of the file."""
    started, items = time.perf_counter(), 0
    outcome = "read"
    try:
        for item in reader.read(path, None, DEFAULT_SETTINGS):
            items += 1
            fault = fault_of(item)
            if fault is not None:
                return fault, outcome
            if isinstance(item, Rejected):
                outcome = "some rejected"
            if items > MOST_ITEMS:
                break
    except DataError as error:
        outcome = "refused"
        if "\n" in str(error) or path.name not in str(error):
            return f"the error is no line that names the file: {error}", outcome
    except Exception:
        return traceback.format_exc(limit=-4), outcome
    seconds = time.perf_counter() - started
    return (f"{seconds:.1f} seconds" if seconds > SLOWEST_SECONDS else None), outcome


def fault_of(item: Item) -> str | None:
    """What breaks the promises of an item, if anything does."""
    if isinstance(item, Rejected):
        return "a reason of more than one line" if len(str(item).splitlines()) != 1 else None
    if not isinstance(item, Part):
        return f"neither part nor rejected: {item!r}"
    if not item.spectra:
        return "a part without a spectrum"
    return next((fault for fault in map(_fault_of_spectrum, item.spectra) if fault is not None), None)


def _fault_of_spectrum(spectrum: Spectrum) -> str | None:
    match spectrum:
        case TandemMS(mz=mz, intensity=intensity) | ElectronIonisationMS(mz=mz, intensity=intensity):
            sound = len(mz) == len(intensity) > 0 and bool(np.isfinite([mz, intensity]).all())
            sound = sound and bool(mz[0] > 0 and (np.diff(mz) > 0).all() and (intensity > 0).all())
        case HydrogenNMR(multiplets=multiplets):
            sound = len(multiplets) > 0 and all(
                np.isfinite([one.centroid_ppm, one.max_ppm, one.min_ppm, *one.j_hz]).all()
                and one.hydrogens >= 0
                for one in multiplets
            )
        case CarbonNMR(shifts_ppm=shifts, attached_hydrogens=attached):
            sound = len(shifts) > 0 and bool(np.isfinite(shifts).all())
            sound = sound and len(attached) in (0, len(shifts)) and set(attached) <= {None, 0, 1, 2, 3}
        case HSQC(peaks=peaks):
            numbers = [(one.carbon_ppm, one.hydrogen_ppm, one.intensity or 0.0) for one in peaks]
            sound = len(peaks) > 0 and bool(np.isfinite(numbers).all())
        case Infrared(absorbance=absorbance):
            sound = len(absorbance) > 1 and bool(np.isfinite(absorbance).all())
    return None if sound else f"a {type(spectrum).__name__} that is empty, unsorted or not finite"


def fuzz(
    reader: Format, sound: Sequence[Path], minutes: float, seed: int, out: Path
) -> tuple[Counter[str], int]:
    """Rounds for so many minutes; how often what became of a file, and how many findings."""
    chance = random.Random(f"{seed} {reader.name}")
    outcomes: Counter[str] = Counter()
    found = 0
    end = time.monotonic() + 60 * minutes
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < end:
            original = chance.choice(sound)
            path = Path(folder) / f"damaged{original.suffix}"
            if original.is_dir():
                damage_folder(original, path, chance)
            else:
                content = damage(original.read_bytes(), chance)
                if chance.random() < 0.05:
                    content = damage(gzip.compress(content, mtime=0), chance)
                path.write_bytes(content)
            fault, outcome = findings(reader, path)
            outcomes[outcome] += 1
            if fault is not None:
                found += 1
                out.mkdir(parents=True, exist_ok=True)
                kept = out / f"{reader.name}_{sum(outcomes.values())}{original.suffix}"
                (shutil.copytree if path.is_dir() else shutil.copy)(path, kept)
                print(f"FOUND {kept}\n{fault}", flush=True)
    return outcomes, found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=1.0, help="for each format (default: 1)")
    parser.add_argument("--format", choices=[one.name for one in FORMATS], action="append", help="default: all")
    parser.add_argument("--files", type=Path, default=SOUND_FILES, help="folder of sound files")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("fuzz_findings"), help="where findings are kept")
    options = parser.parse_args()
    total = 0
    for reader in FORMATS:
        if options.format and reader.name not in options.format:
            continue
        files = [path for path in sorted(options.files.iterdir()) if _is_of(reader, path)]
        if not files:
            print(f"{reader.name}: no sound file of this format in {options.files}")
            continue
        outcomes, found = fuzz(reader, files, options.minutes, options.seed, options.out)
        total += found
        told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
        print(f"{reader.name}: {sum(outcomes.values())} rounds, {told}; {found} findings", flush=True)
    return 1 if total else 0


def _is_of(reader: Format, path: Path) -> bool:
    try:
        return find_format(path) is reader
    except DataError:
        return False


if __name__ == "__main__":
    sys.exit(main())
