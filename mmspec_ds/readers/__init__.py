"""Readers of files from instruments and libraries.

`format_registry.read_file(path)` finds the format of a file, by its suffix and its content, and yields its
records one by one. A reader is one function per format, in a module of its own:

    read_mgf(path: Path, modality: Modality | None = None, settings: FormatSettings = ...) -> Iterator[Item]

Rules for a reader
- An `Item` (see `part`) is a `Part`, the content of one record, or a `Rejected`, a record that could not be
  used and why. One bad record never ends the reading; a file that cannot be read at all raises `DataError`,
  which names the file. Nothing else is ever raised, whatever the bytes of the file.
- Records are counted from 0 in the order of the file, rejected ones included; a part's id is "<file
  name>:<number>", as in the benchmark's parquet. The file's own name of a record is in its metadata.
- Files are streamed: memory holds one record. Text and gzip come through `source`, which bounds what a gzip
  file may unfold to, handles byte order marks, CRLF and Latin-1, and refuses folders, FIFOs and empty
  files.
- Whatever was changed or assumed (peaks merged, an energy mapped to the nearest one of the model, units
  guessed) is a remark of the part, which `mmspec inspect` and `mmspec predict` print.
- Third-party parsers are imported by the function that needs them, never with the module.

A new format is a reader and an entry in `format_registry.FORMATS`. `assembly.assemble` makes one `Record`
of the parts of several files.
"""
