"""Nearest neighbours among vectors: exact where they are few, by inverted lists (faiss) where they are many.

An index serves the rows that it was made of. Rows that were added since are compared one by one, and when
they are many the next addition makes a new index. It holds vectors rounded to 16 bits (their dot products
then differ by less than 0.001), sorted into lists around centroids; a search looks at the `nprobe` nearest
lists. That number is chosen when the index is made, so that entries of the library find at least TARGET_RECALL
of their ten nearest others.

Axes: N rows of the library, Q queries, W width of a vector, K neighbours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mmspec_ds.errors import DataError
from mmspec_ds.files import entry_of, replacing
from mmspec_ds.library.entry import FloatMatrix
from mmspec_ds.library.layout import check_used, open_array
from mmspec_ds.spectra.packed import IntArray

FLAT_UP_TO = 50_000
"""Vectors that are compared one by one: 50,000 of width 256 take 0.3 ms of a core a query."""
TAIL_UP_TO = 5_000
"""Rows outside of an index, or a fiftieth of those in it, that are compared one by one."""
TARGET_RECALL = 0.99
NEIGHBOURS = 10
_MARGIN = 0.002  # the standard error of a recall that is measured with SAMPLE queries
SAMPLE = 1_000
_VECTORS_A_LIST = 40  # for training: more of them change no recall
_ITERATIONS = 10
_ROUNDING = 1e-6  # of dot products of float32 that are summed in another order
_BLOCK = 1 << 16

INSTALL = "pip install 'mmspec-ds[search]'"


def has_faiss() -> bool:
    """Whether faiss is installed."""
    return find_spec("faiss") is not None


@dataclass(frozen=True)
class VectorIndex:
    """Searches the vectors of one model.

    Attributes:
        vectors_NW: all of them.
        rows: those of the index, the first ones; 0 without one.
        lists: the index of faiss, or None.
        notice: one line for the user where a search is slower than it could be; "" else.
    """

    vectors_NW: FloatMatrix
    rows: int = 0
    lists: Any = None
    notice: str = ""

    def search(self, queries_QW: FloatMatrix, k: int) -> tuple[FloatMatrix, IntArray]:
        """The best rows of each query [Q, W], as `Library.search_vectors` gives them: scores float32 and rows
        int64, [Q, k'] each, best first, k' the smaller of `k` and N.

        Raises:
            DataError: the queries have another width than the vectors.
        """
        width = self.vectors_NW.shape[1]
        if queries_QW.ndim != 2 or queries_QW.shape[1] != width:
            raise DataError(f"queries of shape {queries_QW.shape}, expected vectors of width {width}")
        k = min(k, len(self.vectors_NW))
        if self.lists is None:
            return flat_search(self.vectors_NW, queries_QW, k)
        scores_QK, rows_QK = in_order(*self._search_lists(queries_QW, k))
        if self.rows < len(self.vectors_NW):
            tail = self.vectors_NW[self.rows :]
            more_QK, places_QK = flat_search(tail, queries_QW, min(k, len(tail)))
            scores = np.concatenate([scores_QK, more_QK], axis=1)
            rows = np.concatenate([rows_QK, places_QK + self.rows], axis=1)
            scores_QK, rows_QK = in_order(scores, rows)
        return scores_QK[:, :k], rows_QK[:, :k]

    def _search_lists(self, queries_QW: FloatMatrix, k: int) -> tuple[FloatMatrix, IntArray]:
        """What the index finds. Queries of the same list follow each other, so that it is read from memory once
        for all of them: in batches of 4,096 among a million vectors that is 2.3 times as fast."""
        nearest_Q, lists_Q = self.lists.quantizer.search(queries_QW, self.lists.nprobe)
        order = np.argsort(lists_Q[:, 0], kind="stable")
        sorted_ones = (queries_QW[order], k, lists_Q[order], nearest_Q[order])
        back = np.argsort(order)
        scores_QK, rows_QK = self.lists.search_preassigned(*sorted_ones)
        return scores_QK[back], rows_QK[back]


def in_order(scores_QK: FloatMatrix, rows_QK: IntArray) -> tuple[FloatMatrix, IntArray]:
    """Scores float32 and rows int64, [Q, K] each, of each query best first, equal scores by rising row; row -1
    (nothing found) has the score -inf and stands last."""
    scores_QK = np.where(rows_QK < 0, -np.inf, scores_QK).astype(np.float32)
    order = np.lexsort((rows_QK, -scores_QK), axis=-1)
    return np.take_along_axis(scores_QK, order, 1), np.take_along_axis(rows_QK, order, 1).astype(np.int64)


def flat_search(
    vectors_NW: FloatMatrix, queries_QW: FloatMatrix, k: int, *, faiss: bool | None = None
) -> tuple[FloatMatrix, IntArray]:
    """The k best rows of each query by comparison with all, scores and rows [Q, k], best first.

    Args:
        faiss: whether to compare with it, or with numpy; whichever is there unless given.
    """
    if k == 0 or not len(queries_QW):
        return np.empty((len(queries_QW), k), np.float32), np.empty((len(queries_QW), k), np.int64)
    if has_faiss() if faiss is None else faiss:
        import faiss as library

        return in_order(*library.knn(queries_QW, vectors_NW, k, metric=library.METRIC_INNER_PRODUCT))
    found = [_flat_block(vectors_NW, queries_QW[at : at + 256], k) for at in range(0, len(queries_QW), 256)]
    return np.concatenate([one for one, _ in found]), np.concatenate([one for _, one in found])


def _flat_block(vectors_NW: FloatMatrix, queries_QW: FloatMatrix, k: int) -> tuple[FloatMatrix, IntArray]:
    scores = np.empty((len(queries_QW), 0), np.float32)
    rows = np.empty((len(queries_QW), 0), np.int64)
    for start in range(0, len(vectors_NW), _BLOCK):
        block = queries_QW @ vectors_NW[start : start + _BLOCK].T
        best = np.argpartition(-block, min(k, block.shape[1]) - 1, axis=1)[:, :k]
        scores = np.concatenate([scores, np.take_along_axis(block, best, 1)], axis=1)
        rows = np.concatenate([rows, best + start], axis=1)
        scores, rows = in_order(scores, rows)
        scores, rows = scores[:, :k], rows[:, :k]
    return scores, rows


def open_index(folder: Path, manifest: Mapping[str, Any], name: str, vectors_NW: FloatMatrix) -> VectorIndex:
    """The index of a model's vectors, memory-mapped; without one, or without faiss, all are compared.

    Raises:
        DataError: the file of the index cannot be read, or was altered.
    """
    about = manifest["indexes"].get(name)
    if not has_faiss() and len(vectors_NW) > FLAT_UP_TO:
        notice = f"{len(vectors_NW):,} entries are compared one by one, which is slow: for an index, {INSTALL}"
        return VectorIndex(vectors_NW, notice=notice)
    if about is None:
        return VectorIndex(vectors_NW)
    import faiss

    path = folder / about["file"]
    if not path.exists():
        raise DataError("was replaced by an addition meanwhile: expected to open the library again", path=path)
    check_used(folder, manifest, about["file"])
    try:
        lists: Any = faiss.read_index(str(path), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY)
    except RuntimeError:
        raise DataError("damaged, see `mmspec library info --check`", path=path) from None
    lists.nprobe = about["nprobe"]
    return VectorIndex(vectors_NW, about["rows"], lists)


def update_indexes(folder: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest with an index for the vectors of each model that are too many to be compared one by one;
    those that still serve are kept. New ones are on disk."""
    entries = manifest["entries"]
    for number, about in enumerate(manifest["embedders"]):
        old = manifest["indexes"].get(about["name"])
        outside = entries - (old["rows"] if old else 0)
        limit = max(TAIL_UP_TO, old["rows"] // 50) if old else FLAT_UP_TO
        if outside <= limit or not has_faiss():
            continue
        vectors = open_array(folder, manifest, about["file"], about["width"])
        path = folder / f"index-{number}-{len(manifest['parts']) - 1:04d}.faiss"
        made = write_index(path, vectors)
        files = {name: one for name, one in manifest["files"].items() if not old or name != old["file"]}
        manifest = {
            **manifest,
            "files": files | {path.name: entry_of(path)},
            "indexes": manifest["indexes"] | {about["name"]: {"file": path.name, **made}},
        }
    return manifest


def write_index(path: Path, vectors_NW: FloatMatrix) -> dict[str, Any]:
    """Write an index of all vectors. Deterministic.

    Returns:
        What the manifest says of it: `kind`, `rows`, `lists`, `nprobe` and the measured `recall` at ten.
    """
    import faiss

    count, width = vectors_NW.shape
    lists = lists_for(count)
    index: Any = faiss.index_factory(width, f"IVF{lists},SQfp16", faiss.METRIC_INNER_PRODUCT)
    index.cp.niter, index.cp.max_points_per_centroid, index.cp.seed = _ITERATIONS, _VECTORS_A_LIST, 0
    random = np.random.default_rng(0)
    index.train(vectors_NW[np.sort(random.permutation(count)[: lists * _VECTORS_A_LIST])])
    for start in range(0, count, _BLOCK):
        index.add(np.ascontiguousarray(vectors_NW[start : start + _BLOCK]))
    legible = np.flatnonzero(vectors_NW.any(axis=1))
    sample = np.sort(random.permutation(legible)[:SAMPLE])
    nprobe, recall = _chosen_nprobe(index, vectors_NW, sample) if len(sample) else (1, 1.0)
    with replacing(path) as partial:
        faiss.write_index(index, str(partial))
    return {"kind": "IVF", "rows": count, "lists": lists, "nprobe": nprobe, "recall": round(recall, 4)}


def lists_for(count: int) -> int:
    """The number of inverted lists: the power of two next to twice the square root of the number of vectors."""
    return int(2 ** round(float(np.log2(2 * np.sqrt(count)))))


def _chosen_nprobe(index: Any, vectors_NW: FloatMatrix, sample: IntArray) -> tuple[int, float]:
    """The smallest number of lists whose search finds enough of the ten nearest others of some rows, and the
    share that it finds."""
    queries = np.ascontiguousarray(vectors_NW[sample])
    scores, rows = flat_search(vectors_NW, queries, NEIGHBOURS + 1)
    tenth = _without(sample, rows, scores)[:, -1]

    @cache
    def recall(nprobe: int) -> float:
        index.nprobe = nprobe
        found = index.search(queries, NEIGHBOURS + 1)[1]
        return recall_of(vectors_NW, queries, _without(sample, found, found), tenth)

    low, high = 0, 1
    while high < index.nlist and recall(high) < TARGET_RECALL + _MARGIN:
        low, high = high, 2 * high
    high = min(high, index.nlist)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if recall(middle) < TARGET_RECALL + _MARGIN else (low, middle)
    return high, recall(high)


def _without(own_Q: IntArray, rows_QK: IntArray, values_QK: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Values of neighbours other than the query itself, [Q, K - 1]; without the last one where many are equal
    and it is not among them."""
    order = np.argsort(rows_QK == own_Q[:, None], axis=1, kind="stable")
    return np.take_along_axis(values_QK, order, 1)[:, :-1]


def recall_of(
    vectors_NW: FloatMatrix, queries_QW: FloatMatrix, found_QK: IntArray, worst_Q: npt.NDArray[np.float32]
) -> float:
    """The share of the K nearest that was found: rows whose dot product, computed exactly, is no worse than
    that of the K-th nearest, `worst_Q`. Where several are equal, either counts."""
    products = np.einsum("qw,qkw->qk", queries_QW, vectors_NW[found_QK])
    good = (products >= worst_Q[:, None] - _ROUNDING) & (found_QK >= 0)
    return float(good.mean())
