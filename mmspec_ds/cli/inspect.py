"""`mmspec inspect`."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mmspec_ds.cli.common import Command, Commands, add_command, check_writable, positive
from mmspec_ds.errors import DataError

if TYPE_CHECKING:
    from mmspec_ds.readers.spectrum_drawing import Panel
    from mmspec_ds.spectra.records import Modality


def add(commands: Commands) -> None:
    command = add_command(
        commands,
        _inspect,
        "show what was understood of files of spectra, and draw it",
        "mmspec inspect unknown.mgf carbon.jdx --plot unknown.png",
    )
    command.add_argument("files", type=Path, nargs="+", metavar="FILE", help="of any format that is read")
    command.add_argument(
        "--records", type=positive, default=5, metavar="N", help="records shown of each file (default: 5)"
    )
    command.add_argument("--plot", type=Path, metavar="PNG", help="draw the spectra of these records there")
    command.add_argument("--write", type=Path, metavar="MGF", help="write all MS/MS spectra of the files there")
    command.when_chosen = _add_modality


def _add_modality(command: Command) -> None:
    """The option that takes the name of any instrument of the registry."""
    from mmspec_ds.spectra.registry import REGISTRY

    names = [one.name for one in REGISTRY.values() if one.is_instrument]
    command.add_argument("--modality", choices=names, help="what files hold whose format leaves that open")


def _inspect(options: argparse.Namespace) -> int:
    from mmspec_ds.readers.format_registry import FLEX, find_format, read_file
    from mmspec_ds.readers.mgf import write_mgf
    from mmspec_ds.readers.part import Part
    from mmspec_ds.readers.spectrum_drawing import plot_panels
    from mmspec_ds.spectra.registry import modality_by_name

    check_writable(options.plot)
    check_writable(options.write)
    modality = modality_by_name(options.modality) if options.modality else None
    panels: list[Panel] = []
    faults, readable = [], []
    for path in options.files:
        try:
            of_samples = find_format(path, modality).name == FLEX
            show = _show_flex if of_samples else _show_file
            fault = show(path, modality, options.records, panels)
        except DataError as error:  # of several files, the others are worth a look
            faults.append(error)
            continue
        readable += [] if of_samples else [path]
        faults += [fault] if fault is not None else []
    for fault in faults:
        print(f"mmspec: {' '.join(str(fault).split())}", file=sys.stderr)
    if options.plot is not None:
        drawn = plot_panels(panels, options.plot)
        print(f"{drawn} spectra drawn in {options.plot}")
    if options.write is not None:
        items = (item for path in readable for item in read_file(path, modality))
        written = write_mgf(options.write, (item for item in items if isinstance(item, Part)))
        print(f"{written} spectra written to {options.write}")
    return 1 if faults else 0


def _show_file(
    path: Path, modality: "Modality | None", records: int, panels: "list[Panel]"
) -> DataError | None:
    """Print what a file of spectra of molecules holds, and add the drawings of its first ones."""
    from mmspec_ds.readers.inspection import inspect_file, panels_of, report_lines

    found = inspect_file(path, modality, records)
    print("\n".join(report_lines(found)), flush=True)
    panels += panels_of(found.first)
    return found.fault


def _show_flex(path: Path, modality: "Modality | None", records: int, panels: "list[Panel]") -> None:
    """The same of a folder of MALDI-TOF spectra."""
    from mmspec_ds.readers.flex_inspection import flex_lines, flex_panels, inspect_flex

    found = inspect_flex(path, records)
    print("\n".join(flex_lines(found)), flush=True)
    panels += flex_panels(found)
