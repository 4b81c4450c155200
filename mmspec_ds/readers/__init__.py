"""Files as instruments and libraries write them, and the one frame that all readers share.

`registry.read_file(path)` finds the format of a file, by its suffix and its content, and gives its records one
by one. A reader is a function per format, in a module of its own:

    read_mgf(path: Path, modality: Modality | None = None, settings: FormatSettings = ...) -> Iterator[Item]

The contract of a reader
- An `Item` (see `part`) is a `Part`, what one record of the file says, or a `Rejected`, the record that could
  not be used and why. One bad record never ends the reading; a file that cannot be read at all raises
  `DataError`, which names the file. Nothing else is ever raised, whatever the bytes of the file.
- Records are counted from 0 in the order of the file, rejected ones included; a part's id is
  "<file name>:<number>", as in the benchmark's parquet. What the file itself calls a record is in its metadata.
- Files are streamed: memory holds one record. Text and gzip come through `source`, which bounds what a gzip
  file may unfold to, knows byte order marks, CRLF and Latin-1, and refuses folders, FIFOs and empty files.
- What was changed on the way (peaks merged, an energy mapped to the nearest one of the model, units guessed) is
  a remark of the part, in words that `mmspec inspect` prints. What a record cannot carry stays in the metadata.
- Nothing heavy is imported with the module: third-party parsers are imported by the function that needs them.

A new format is a reader and an entry in `registry.FORMATS`; a new kind of drawing is an entry in
`mmspec_ds.readers.spectrum_drawing`. `assembly.assemble` makes one `Record` of the parts of several files.
"""
