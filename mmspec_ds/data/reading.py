"""From files to datasets, in one pass that keeps no record."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from mmspec_ds.data.cache import through_cache
from mmspec_ds.data.data_settings import DataSettings
from mmspec_ds.data.dataset import Samples, SpectraDataset, shared_blocks
from mmspec_ds.data.encoding import Encoder, InputEncoding, TextLearner
from mmspec_ds.data.formats import ALL_REQUIRED, ReadOptions, rows_of_file
from mmspec_ds.data.shards.dataset import ShardedDataset, split_of
from mmspec_ds.data.shards.folder import is_prepared, open_folder
from mmspec_ds.data.vocabularies import Vocabularies
from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.molecules.smiles import tokenize_smiles, tokens_of_spellings
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.spectra.packed import PackedTokens
from mmspec_ds.spectra.parquet import ReadReport
from mmspec_ds.spectra.records import Modality, Record
from mmspec_ds.spectra.rows import Rows
from mmspec_ds.spectra.tokens import TokenSchema

Progress = Callable[[int], None]


@dataclass(frozen=True)
class TrainingData:
    """What a run learns from and is measured on. `shared_molecules` counts molecules that are in both,
    which is 0 unless the settings allow them."""

    train: Samples
    validation: Samples
    encoding: InputEncoding
    vocabularies: Vocabularies
    shared_molecules: int


def read_dataset(
    paths: Sequence[Path],
    encoder: Encoder,
    options: ReadOptions = ALL_REQUIRED,
    progress: Progress | None = None,
    report: ReadReport | None = None,
) -> SpectraDataset:
    """Read and encode files; what is kept of a record is its id, its SMILES and its packed tokens.

    Args:
        paths: files of the benchmark's schema, or of any other format of `readers`.
        encoder: makes tokens of a record.
        options: what is asked of a record.
        progress: called now and then, and at the end, with the number of records read so far.
        report: is told why the first few records were skipped.

    Returns:
        A dataset without targets (see `SpectraDataset.with_targets`); its `remarks` count what was skipped.

    Raises:
        DataError: a file or record cannot be used, or none is left; names file and row.
    """
    report = ReadReport() if report is None else report
    skipped_before = report.rows_skipped
    parts: list[SpectraDataset] = []
    for part in _parts(paths, encoder, options, report):
        left = None if options.max_records is None else options.max_records - sum(map(len, parts))
        parts.append(part if left is None or len(part) <= left else part.subset(np.arange(left)))
        if progress is not None:
            progress(sum(map(len, parts)))
        if left is not None and left <= len(part):
            break
    skipped = report.rows_skipped - skipped_before
    if not any(map(len, parts)):
        why = f", the first because {report.reasons[0]}" if report.reasons else ""
        raise DataError(f"no usable record in {', '.join(map(str, paths))}: {skipped} skipped{why}")
    dataset = SpectraDataset.joined(parts, encoder.schemas)
    return replace(dataset, remarks={"records skipped": skipped} if skipped else {})


def pack(
    records: Iterable[tuple[Record, Mapping[Modality, PackedTokens]]], schemas: Mapping[Modality, TokenSchema]
) -> SpectraDataset:
    """A dataset of records with their tokens."""
    empty = {modality: PackedTokens.empty(schema, rows=1) for modality, schema in schemas.items()}
    parts = [
        SpectraDataset((record.id,), (record.smiles,), {**empty, **tokens}, schemas)
        for record, tokens in records
    ]
    return SpectraDataset.joined(parts, schemas)


def read_training(
    settings: DataSettings,
    progress: Progress | None = None,
    vocabularies: Vocabularies | None = None,
    *,
    part: tuple[int, int] = (0, 1),
    any_spelling: bool = False,
) -> TrainingData:
    """Everything that a run reads: training and validation data with targets, the vocabularies (those that are
    given, or learnt from the training files alone), and the encoding.

    Args:
        settings: the `data` block. Its files are parquet files, which are read, or one prepared folder, which
            is opened.
        progress: told how many records are read.
        vocabularies: those of the weights that a run begins with.
        part: rank and number of ranks, which share the verification of a prepared folder's checksums.
        any_spelling: the vocabulary that is learnt can write random SMILES of the molecules too.

    Raises:
        ConfigError: no training file is named, or a prepared folder holds other tokens than the run wants.
        DataError: a file or record cannot be used, or a molecule is in both parts.
    """
    if not settings.train:
        raise ConfigError("data.train names no file to learn from")
    if any(map(is_prepared, (*settings.train, *settings.validation))):
        return _open_prepared(settings, progress, vocabularies, part, any_spelling)
    options = ReadOptions.from_settings(settings)
    if vocabularies is None:
        learn = partial(_read_and_learn, settings, options, progress)
        train, encoding = through_cache(settings, settings.train, options, None, learn)
    else:
        encoding = InputEncoding.from_settings(settings, vocabularies.source)
        train = _read(settings, settings.train, encoding, options, progress)
    if settings.validation:
        validation = _read(settings, settings.validation, encoding, options, progress)
        shared = shared_blocks(train, validation, allow=settings.allow_shared_molecules)
    else:
        remarks = train.remarks
        train, validation = train.split_by_block(settings.validation_fraction, settings.split_seed)
        train, shared = replace(train, remarks=remarks), 0
    if vocabularies is None:
        words = {token for one in train.smiles if one is not None for token in tokenize_smiles(one)}
        vocabularies = Vocabularies(_vocabulary(words, any_spelling), encoding.source)
    target = vocabularies.target
    return TrainingData(
        train=_with_unknown_counted(train.with_targets(target)),
        validation=_with_unknown_counted(validation.with_targets(target)),
        encoding=encoding,
        vocabularies=vocabularies,
        shared_molecules=shared,
    )


def _read(
    settings: DataSettings,
    paths: Sequence[Path],
    encoding: InputEncoding,
    options: ReadOptions,
    progress: Progress | None,
) -> SpectraDataset:
    """Files in a given encoding, through the cache."""

    def encode() -> tuple[SpectraDataset, InputEncoding]:
        return read_dataset(paths, encoding, options, progress), encoding

    dataset, _ = through_cache(settings, paths, options, encoding.source, encode)
    return dataset


def _open_prepared(
    settings: DataSettings,
    progress: Progress | None,
    vocabularies: Vocabularies | None,
    part: tuple[int, int],
    any_spelling: bool,
) -> TrainingData:
    """The train split of a prepared folder, and its validation split or other data to validate on."""
    for key, paths in (("train", settings.train), ("validation", settings.validation)):
        if any(map(is_prepared, paths)) and len(paths) > 1:
            raise ConfigError(f"data.{key} names a prepared folder and more: expected the folder alone")
    if not is_prepared(settings.train[0]):
        raise ConfigError("data.validation is a prepared folder, so data.train must be one: prepare its files")
    folder = open_folder(settings.train[0], settings, part)
    train, encoding = split_of(folder, "train", settings), InputEncoding.from_settings(settings)
    target = _vocabulary(train.words(), any_spelling) if vocabularies is None else vocabularies.target
    train, shared = train.with_targets(target), 0
    validation: Samples
    if settings.validation and not is_prepared(settings.validation[0]):
        read = _read(settings, settings.validation, encoding, ReadOptions.from_settings(settings), progress)
        shared = _shared(train, filter(None, read.smiles), settings)
        validation = _with_unknown_counted(read.with_targets(target))
    else:
        if settings.validation:
            folder = open_folder(settings.validation[0], settings, part)
        found = split_of(folder, "validation", settings)
        if folder.path.resolve() != settings.train[0].resolve():
            shared = _shared(train, found.smiles(), settings)
        validation = found.with_targets(target)
    return TrainingData(train, validation, encoding, Vocabularies(target), shared)


def _vocabulary(words: set[str], any_spelling: bool) -> Vocabulary:
    return Vocabulary(sorted(tokens_of_spellings(words) if any_spelling else words))


def _shared(train: ShardedDataset, smiles: Iterable[str], settings: DataSettings) -> int:
    """How many molecules of validation data are trained on."""
    found = train.holds(smiles)
    if found and not settings.allow_shared_molecules:
        raise DataError(
            f"{len(found)} molecules of the held-back data are also trained on, such as {found[0]}; leave"
            " data.validation empty to validate on the folder's own split"
        )
    return len(found)


def _with_unknown_counted(dataset: SpectraDataset) -> SpectraDataset:
    """The same, with a remark on structures that the vocabulary cannot write: no model will get them right."""
    assert dataset.targets is not None
    rows = np.repeat(np.arange(len(dataset)), dataset.targets.counts)
    count = len(np.unique(rows[dataset.targets.values == Vocabulary.UNK]))
    if not count:
        return dataset
    return replace(dataset, remarks={**dataset.remarks, "records with a SMILES token never trained on": count})


def _read_and_learn(
    settings: DataSettings, options: ReadOptions, progress: Progress | None
) -> tuple[SpectraDataset, InputEncoding]:
    """The training files, and the encoding; text is packed by provisional ids, then by those of its
    vocabulary."""
    if settings.representation == "compressed":
        encoding = InputEncoding.from_settings(settings)
        return read_dataset(settings.train, encoding, options, progress), encoding
    learner = TextLearner(settings)
    provisional = read_dataset(settings.train, learner, options, progress)
    encoding, tables = learner.finish()
    tokens = {m: replace(one, discrete=tables[m][one.discrete]) for m, one in provisional.tokens.items()}
    return replace(provisional, tokens=tokens, schemas=encoding.schemas), encoding


def _parts(
    paths: Sequence[Path], encoder: Encoder, options: ReadOptions, report: ReadReport
) -> Iterator[SpectraDataset]:
    """The usable records of each batch with their tokens; others are counted in `report` or end the reading."""
    for path in paths:
        for rows in rows_of_file(path, tuple(encoder.schemas), options):
            usable = dict(_usable(rows, options, report))
            encoded = encoder.encode_rows(rows, list(usable))
            ids, smiles = [rows.id(place) for place in usable], list(usable.values())
            lengths = np.sum([packed.counts for packed in encoded.tokens.values()], axis=0)
            kept = np.flatnonzero(lengths)
            for at in np.flatnonzero(lengths == 0).tolist():
                empty = DataError(f"record {ids[at]} has no token in any of the modalities that are read")
                _skip(report, ids[at], encoded.faults.get(at, empty), options.skip_invalid)
            part = SpectraDataset(tuple(ids), tuple(smiles), encoded.tokens, encoder.schemas)
            yield part if len(kept) == len(part) else part.subset(kept)


def _usable(rows: Rows, options: ReadOptions, report: ReadReport) -> Iterator[tuple[int, str | None]]:
    """The places of the records that can be used, and their SMILES."""
    for place in range(len(rows)):
        smiles = rows.smiles_at(place)
        fault = smiles if isinstance(smiles, DataError) else rows.fault(place)
        if isinstance(smiles, DataError) or fault is not None:
            assert fault is not None
            _skip(report, rows.id(place), fault, options.skip_invalid)
            continue
        report.rows_read += 1
        limit = options.max_target_tokens
        tokens = 0 if smiles is None or limit is None else len(tokenize_smiles(smiles))
        if limit is not None and tokens > limit:
            why = (
                f"record {rows.id(place)} has a SMILES of {tokens} tokens, more than data.max_target_tokens ="
                f" {limit}; raise that limit, or skip such records with data.skip_long_targets"
            )
            _skip(report, rows.id(place), DataError(why), options.skip_long_targets)
            continue
        yield place, smiles


def _skip(report: ReadReport, record: str, fault: DataError, skip: bool) -> None:
    """Count a record that is left out, or refuse it."""
    if not skip:
        raise fault
    report.count_skipped(record, str(fault))
