"""The memory of a pass at any batch, from a few small passes of the run's own modules.

Two encoder and two decoder layers of the run's widths are run on small made-up batches; bytes are linear in
what a batch is (samples, places, tokens, targets and, should attention keep its matrix, their products), so
that a few batches fix all coefficients. Layers beyond the second cost what the second does.

Axes: B samples, S places, N tokens of a batch, L target tokens, W mean width of the experts.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from mmspec_ds.data.batch import PADDING, Batch, ModalityTokens, SpectraBatch
from mmspec_ds.moe.expert_settings import MoESettings
from mmspec_ds.profiling.ledger import PARTS, Part, layer_parts, pass_bytes
from mmspec_ds.profiling.sizes import stages
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.tokens import TokenSchema
from mmspec_ds.systems.elucidation.factory import build_elucidator
from mmspec_ds.systems.elucidation.model import Elucidator
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun

FloatArray = npt.NDArray[np.float64]

PROBE_PARAMETERS = 25_000_000
"""Most expert weights of a layer of a small model."""

NEGLIGIBLE = 1e-4
"""A term that makes less than this share of what is kept in any small pass is noise of the fit."""


@dataclass(frozen=True)
class Load:
    """One batch on one rank: B samples padded to S `places`, N real `tokens` in all, L `targets` that the
    decoder reads of each sample."""

    samples: int
    places: int
    tokens: int
    targets: int


PROBES = (
    Load(2, 64, 128, 16),
    Load(4, 64, 256, 16),
    Load(2, 128, 256, 16),
    Load(2, 64, 128, 48),
    Load(2, 96, 100, 16),
    Load(4, 112, 340, 32),
    Load(3, 48, 144, 64),
    Load(1, 192, 192, 32),
    Load(6, 32, 150, 24),
    Load(2, 160, 200, 64),
    Load(4, 96, 380, 40),
    Load(3, 128, 300, 20),
)
"""The small batches."""


@dataclass(frozen=True)
class StageBytes:
    """Bytes of one stage of a pass: what it keeps, and the most alive while it runs beyond what earlier ones
    keep."""

    name: str
    kept: float
    working: float


@dataclass(frozen=True)
class ActivationModel:
    """Bytes of each part as coefficients [terms, parts] of the terms of a load.

    Attributes:
        element: bytes of an element of the weights.
        d_model: D.
        k: experts of a token; 0 in a dense model.
    """

    kept: FloatArray
    working: FloatArray
    element: int
    d_model: int
    k: int

    def stages(
        self, load: Load, width: float, encoder_layers: int, decoder_layers: int, *, checkpointing: bool = False
    ) -> list[StageBytes]:
        """The stages of a pass, in the order of `sizes.stages`.

        Args:
            load: the batch.
            width: mean width of the experts of the rank.
            encoder_layers, decoder_layers: of the model.
            checkpointing: the encoder's layers keep their input only.
        """
        terms = _terms(load, width)
        kept = dict(zip(PARTS, np.maximum(terms @ self.kept, 0.0).tolist()))
        working = dict(zip(PARTS, np.maximum(terms @ self.working, 0.0).tolist()))
        if checkpointing:
            entered = float(load.samples * load.places * self.d_model * self.element)
            kept |= {"first encoder layer": entered, "encoder layer": entered}
        parts: list[Part] = [
            "embedding",
            *layer_parts("encoder", encoder_layers),
            "middle",
            *layer_parts("decoder", decoder_layers),
            "head",
        ]
        names = stages(encoder_layers, decoder_layers)
        return [
            StageBytes(name, kept[part], max(working[part], kept[part])) for name, part in zip(names, parts)
        ]


def measure_activations(
    run: ElucidationRun,
    schemas: Mapping[Modality, TokenSchema],
    vocabulary: int,
    shares: Mapping[Modality, float],
    dtype: torch.dtype,
) -> ActivationModel:
    """Run the small passes.

    Args:
        run: the settings.
        schemas: the fields of each modality's tokens.
        vocabulary: SMILES tokens, specials included.
        shares: of the modalities among the tokens of a batch.
        dtype: of the weights.
    """
    state = torch.random.get_rng_state()
    try:
        torch.manual_seed(0)
        widths = _probe_widths(run)
        models = [_small_model(run, schemas, vocabulary, width).to(dtype) for width in widths]
        terms, kept, working = [], [], []
        for number, load in enumerate(PROBES):
            place = number % len(widths)
            passed = pass_bytes(models[place], made_up_batch(load, schemas, vocabulary, shares))
            terms.append(_terms(load, widths[place]))
            kept.append([float(passed.kept[part]) for part in PARTS])
            working.append([float(passed.working[part]) for part in PARTS])
    finally:
        torch.random.set_rng_state(state)
    k = run.moe.k if run.moe else 0
    terms_XF, kept_XP = np.stack(terms), np.array(kept)
    every = np.ones(terms_XF.shape[1], dtype=bool)
    every[-1] = bool(run.moe)
    of_kept = _fit(terms_XF, kept_XP, every)
    # What is at work is the largest of several sums, of which small batches know little: it has the terms that
    # what is kept has, and no others.
    shares_F = (np.abs(of_kept[None] * terms_XF[:, :, None]) / kept_XP.sum(1)[:, None, None]).max((0, 2))
    of_working = _fit(
        terms_XF, np.array(working), every & ((shares_F > NEGLIGIBLE) | (np.arange(len(every)) == 0))
    )
    return ActivationModel(of_kept, of_working, dtype.itemsize, run.model.d_model, k)


def _terms(load: Load, width: float) -> FloatArray:
    """What bytes may be proportional to: 1, B, N, BS, BSS, BL, BLL, BLS, NW."""
    b, s, n, length = load.samples, load.places, load.tokens, load.targets
    return np.array(
        [1, b, n, b * s, b * s * s, b * length, b * length * length, b * length * s, n * width],
        dtype=np.float64,
    )


def _fit(terms_XF: FloatArray, bytes_XP: FloatArray, used_F: npt.NDArray[np.bool_]) -> FloatArray:
    """Least squares on the terms that are used; the others get 0."""
    scale_F = terms_XF.max(0)
    found = np.zeros((terms_XF.shape[1], bytes_XP.shape[1]))
    used = np.flatnonzero(used_F)
    solved, *_ = np.linalg.lstsq(terms_XF[:, used] / scale_F[used], bytes_XP, rcond=None)
    found[used] = solved / scale_F[used, None]
    return found


def _small_model(
    run: ElucidationRun, schemas: Mapping[Modality, TokenSchema], vocabulary: int, width: int
) -> Elucidator:
    settings = run.model.model_copy(update={"encoder_layers": 2, "decoder_layers": 2, "max_target_tokens": 128})
    margin = run.objective.margin if run.objective.structure else None
    moe = _alike(run.moe, width) if run.moe else None
    return build_elucidator(settings, moe, schemas, vocabulary, structure_margin=margin).train()


def _probe_widths(run: ElucidationRun) -> tuple[int, ...]:
    """Widths of the experts of the small models: the mean of the run's, or what is small enough, and half of
    that. All experts of a model are alike, so that routing does not matter."""
    if run.moe is None:
        return (0,)
    mean = sum(expert.width for expert in run.moe.experts) / len(run.moe.experts)
    most = PROBE_PARAMETERS / (2 * run.model.d_model * len(run.moe.experts))
    half = max(16, round(min(mean, most) / 32) * 16)
    return (half, 2 * half)


def _alike(moe: MoESettings, width: int) -> MoESettings:
    """Experts of one width, and none left out by capacity or by a small probability: memory must suffice for
    all."""
    experts = tuple(expert.model_copy(update={"width": width}) for expert in moe.experts)
    return moe.model_copy(update={"experts": experts, "capacity_factor": 1e9, "dynamic_share": 0.0})


def made_up_batch(
    load: Load, schemas: Mapping[Modality, TokenSchema], vocabulary: int, shares: Mapping[Modality, float]
) -> Batch:
    """A batch of this load with random contents: its samples are as long as each other, within one token."""
    per_sample = [load.tokens // load.samples + (i < load.tokens % load.samples) for i in range(load.samples)]
    modality_BS = torch.full((load.samples, load.places), PADDING)
    modalities = sorted(schemas)
    bounds = np.cumsum([shares.get(modality, 0.0) for modality in modalities])
    bounds = bounds / bounds[-1]
    for sample, count in enumerate(per_sample):
        at = np.searchsorted(bounds, (np.arange(count) + 0.5) / count)
        modality_BS[sample, :count] = torch.tensor(modalities, dtype=torch.int64)[torch.from_numpy(at)]
    tokens = {modality: _made_up_tokens(modality_BS, modality, schemas[modality]) for modality in modalities}
    target_BL = torch.randint(4, max(vocabulary, 5), (load.samples, load.targets + 1))
    return Batch(SpectraBatch(modality_BS, tokens), target_BL, torch.ones(load.samples))


def _made_up_tokens(modality_BS: torch.Tensor, modality: Modality, schema: TokenSchema) -> ModalityTokens:
    place_T = (modality_BS.flatten() == modality).nonzero().squeeze(1)
    count = len(place_T)
    discrete = [torch.randint(field.size, (count,)) for field in schema.discrete]
    none_TF = torch.empty(count, 0, dtype=torch.int64)
    return ModalityTokens(
        place_T,
        torch.arange(count),
        torch.stack(discrete, 1) if discrete else none_TF,
        torch.rand(count, len(schema.continuous)),
    )
