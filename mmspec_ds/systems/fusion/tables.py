"""Tables of a cohort as tokens: values scaled by what the samples that are learnt from tell, at the m/z or the
ppm of their features.

Axes: N samples, F features of a table.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.readers.part import counted
from mmspec_ds.spectra.axes import Axis
from mmspec_ds.spectra.packed import IntArray
from mmspec_ds.systems.fusion.cohort.cohort import Block, Cohort
from mmspec_ds.systems.fusion.cohort.comparisons import without_codes
from mmspec_ds.systems.fusion.data import FusionData, FusionSets
from mmspec_ds.systems.fusion.run_settings import FusionRun
from mmspec_ds.systems.fusion.schema import Schema, TableScaling
from mmspec_ds.systems.fusion.tokens import Points, TokenSettings, patches, peaks

Matrix = npt.NDArray[np.float64]
LARGEST_H_PPM = 30.0
"""A table of chemical shifts that reach further is of 13C."""
MOST_DEVIATIONS = 8.0
"""Scaled values beyond count as that."""


def fit_scaling(block: Block, rows: IntArray, *, log: bool, total: bool) -> TableScaling:
    """The scaling of a table, from some of its samples alone.

    Args:
        block: the table.
        rows: the samples that are learnt from.
        log, total: see `TableScaling`.

    Raises:
        DataError: none of these samples was measured.
    """
    values_NF = block.values_NF[rows][block.present_N[rows]]
    if not len(values_NF):
        raise DataError(f"no sample to learn from has values of {block.name}: expected some")
    values_NF = _share(values_NF) if total else values_NF
    floor_F = np.where(values_NF > 0, values_NF, np.inf).min(axis=0) / 2
    floor_F = np.where(np.isfinite(floor_F), floor_F, 1.0)
    logged_NF = _logged(values_NF, floor_F) if log else values_NF
    known_NF = np.isfinite(logged_NF)
    count_F = known_NF.sum(axis=0).clip(1)
    filled_NF = np.where(known_NF, logged_NF, 0.0)
    centre_F = filled_NF.sum(axis=0) / count_F
    deviation_NF = np.where(known_NF, filled_NF - centre_F, 0.0)
    scale_F = np.sqrt(np.square(deviation_NF).sum(axis=0) / count_F)
    varies_F = scale_F > 1e-9 * np.maximum(1e-12, np.abs(centre_F))  # not by rounding alone
    axis, position_F = _positions(block)
    return TableScaling(
        features=block.features,
        positions=tuple(position_F.tolist()),
        axis=axis.name,
        log=log,
        total=total,
        floor=tuple(floor_F.tolist()),
        centre=tuple(centre_F.tolist()),
        scale=tuple(np.where(varies_F, scale_F, 1.0).tolist()),
    )


def scaled(block: Block, scaling: TableScaling) -> Matrix:
    """The scaled values of a table's samples, float64 [N, F]: about 0 with a deviation of 1, NaN where nothing
    is known. Features are found by their names; those that the scaling does not know are left out, those that
    the table lacks are unknown.

    Raises:
        DataError: the table lacks more than half of the features of the scaling.
    """
    place = {name: at for at, name in enumerate(block.features)}
    lacking = [name for name in scaling.features if name not in place]
    if 2 * len(lacking) > len(scaling.features):
        raise DataError(
            f"table {block.name} lacks {len(lacking)} of the {len(scaling.features)} features that the model"
            f" knows, such as {lacking[0]}: expected at least half of them"
        )
    given_NF = _share(block.values_NF) if scaling.total else block.values_NF
    values_NF = np.full((len(given_NF), len(scaling.features)), np.nan)
    for at, name in enumerate(scaling.features):
        if name in place:
            values_NF[:, at] = given_NF[:, place[name]]
    if scaling.log:
        values_NF = _logged(values_NF, np.array(scaling.floor))
    found_NF = (values_NF - np.array(scaling.centre)) / np.array(scaling.scale)
    return found_NF.clip(-MOST_DEVIATIONS, MOST_DEVIATIONS)


def table_points(block: Block, scaling: TableScaling, settings: TokenSettings) -> Points:
    """A piece for each sample [N]: a token for each known value of a small table, or patches of a large one
    whose features have positions, where an unknown value counts as the mean.

    Raises:
        DataError: as `scaled`.
    """
    values_NF, axis = scaled(block, scaling), Axis[scaling.axis]
    position_F = np.array(scaling.positions)
    as_curve = len(position_F) > settings.table_points and axis is not Axis.FEATURE
    order_F = np.argsort(position_F, kind="stable")
    found = []
    for values_F, present in zip(values_NF, block.present_N):
        known_F = np.isfinite(values_F)
        if not present or not known_F.any():
            found.append(Points.nothing(settings.patch))
        elif as_curve:
            curve_F = np.where(known_F, values_F, 0.0)[order_F]
            found.append(patches(position_F[order_F], curve_F, axis, settings.patch))
        else:
            number_T = np.flatnonzero(known_F).astype(np.float64)  # features may share an m/z
            found.append(peaks(position_F[known_F], values_F[known_F], axis, settings.patch, second_T=number_T))
    return Points.joined(found)


def sets_of_cohort(cohort: Cohort, run: FusionRun, schema: Schema | None = None) -> FusionSets:
    """A cohort as what a run learns from and is measured on: a part of its patients is held back, of each class
    about the same share.

    Features that are a code of the class are left out, as `mmspec cohort` leaves them out.

    Args:
        cohort: the samples.
        run: the settings.
        schema: of the weights that the run begins with; without, it is fitted on the samples that are learnt
            from.

    Raises:
        DataError: a side is empty, or the tables are not those of the schema.
    """
    cohort, told = without_codes(cohort)
    cohort = replace(cohort, remarks=(*cohort.remarks, *told))
    train, held_back = split_patients(cohort, run.data.validation_fraction, run.data.split_seed)
    if schema is None:
        tables = {
            one.name: fit_scaling(one, train, log=run.data.logarithm, total=run.data.total)
            for one in cohort.blocks
        }
        masked = run.objective.kind == "masked"  # pretraining tells no classes
        schema = Schema(
            tuple(tables), "none" if masked else "classes", () if masked else cohort.classes, tables
        )
    whole = data_of_cohort(cohort, schema, run.tokens)
    return FusionSets(whole.subset(train), whole.subset(held_back), schema)


def of_classes(cohort: Cohort, classes: tuple[str, ...]) -> Cohort:
    """The samples of some classes of a cohort; all samples without any.

    Raises:
        ConfigError: a class that the cohort does not have.
    """
    try:
        return cohort.choose(classes) if classes else cohort
    except ValueError as error:
        raise ConfigError(f"data.classes: {error}") from None


def data_of_cohort(cohort: Cohort, schema: Schema, settings: TokenSettings) -> FusionData:
    """The samples of a cohort as a model reads them.

    Raises:
        DataError: the cohort lacks a table of the model, or has other features or classes.
    """
    blocks = {one.name: one for one in cohort.blocks}
    for name in schema.modalities:
        if name not in blocks:
            raise DataError(
                f"the cohort has no table {name}, which the model reads: it has {', '.join(blocks)}"
            )
    unknown = [name for name in cohort.classes if name not in schema.names]
    if unknown and schema.kind != "none":
        raise DataError(f"class {unknown[0]} is not known to the model: expected {' or '.join(schema.names)}")
    remarks = list(cohort.remarks)
    for name in schema.modalities:
        lacking = len(set(schema.tables[name].features) - set(blocks[name].features))
        if lacking:
            remarks.append(f"table {name} lacks {lacking} features that the model knows")
        below = int((blocks[name].values_NF < 0).sum())
        if schema.tables[name].log and below:
            share = 100 * below / np.isfinite(blocks[name].values_NF).sum()
            remarks.append(
                f"table {name}: {counted(below, 'value')} below zero ({share:.1f} %) count as the smallest"
                " above it, for logarithms are taken: data.logarithm=false takes none"
            )
    pieces = tuple(table_points(blocks[name], schema.tables[name], settings) for name in schema.modalities)
    target_NC = np.zeros((len(cohort.samples), len(schema.names)), dtype=np.float32)
    if schema.kind != "none":
        number_C = np.array([schema.names.index(name) for name in cohort.classes])
        target_NC[np.arange(len(target_NC)), number_C[cohort.label_N]] = 1.0
    groups = tuple(str(one) for one in cohort.group_N.tolist())
    return FusionData(cohort.samples, pieces, target_NC, groups, tuple(remarks))


def split_patients(cohort: Cohort, fraction: float, seed: int) -> tuple[IntArray, IntArray]:
    """Places of the samples to learn from and of those held back: no patient on both sides, and of each class
    about the same share, drawn from the seed.

    Raises:
        DataError: a class has too few patients for both sides.
    """
    rng = np.random.default_rng(seed)
    held = np.zeros(len(cohort.samples), dtype=np.bool_)
    for label, name in enumerate(cohort.classes):
        of_class = cohort.group_N[(cohort.label_N == label) & ~np.isin(cohort.group_N, cohort.group_N[held])]
        patients = rng.permutation(np.unique(of_class))
        count = max(1, round(fraction * len(patients)))
        if count >= len(patients):
            raise DataError(
                f"class {name} has {len(patients)} patients: expected some on both sides of a split"
            )
        held |= np.isin(cohort.group_N, patients[:count])
    return np.flatnonzero(~held), np.flatnonzero(held)


def _share(values_NF: Matrix) -> Matrix:
    total_N1 = np.nansum(values_NF, axis=1, keepdims=True)
    shares: Matrix = values_NF / np.where(total_N1 > 0, total_N1, 1.0)
    return shares


def _logged(values_NF: Matrix, floor_F: Matrix) -> Matrix:
    logged: Matrix = np.log(np.fmax(values_NF, floor_F))
    return np.where(np.isfinite(values_NF), logged, np.nan)


def _positions(block: Block) -> tuple[Axis, Matrix]:
    """The axis of a table, and the position of each feature; their numbers where not all of them have one."""
    position_F = block.position_F
    if position_F is None or not np.isfinite(position_F).all():
        return Axis.FEATURE, np.arange(len(block.features), dtype=np.float64)
    if block.unit == "ppm":
        return (Axis.H_PPM if np.abs(position_F).max() <= LARGEST_H_PPM else Axis.C_PPM), position_F
    if block.unit == "m/z":
        return Axis.MZ, position_F
    return Axis.FEATURE, np.arange(len(block.features), dtype=np.float64)
