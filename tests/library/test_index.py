"""Vector search against float64 dot products; the number of lists by measured recall."""

from pathlib import Path

import numpy as np
import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.library import index, layout
from mmspec_ds.library.build import add_to_library, build_library
from mmspec_ds.library.entry import FloatMatrix
from mmspec_ds.library.index import VectorIndex, flat_search, in_order, lists_for, recall_of, write_index
from mmspec_ds.library.store import Library
from tests.library.made import Model, entry


def unit(rows: np.ndarray) -> FloatMatrix:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def clustered(count: int, width: int = 32, seed: int = 0) -> FloatMatrix:
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((count // 20 + 1, width))
    return unit(
        centres[random.integers(len(centres), size=count)] + 0.6 * random.standard_normal((count, width))
    )


def exact(vectors: FloatMatrix, queries: FloatMatrix, k: int) -> tuple[np.ndarray, np.ndarray]:
    scores = queries.astype(np.float64) @ vectors.T.astype(np.float64)
    rows = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, rows, 1), rows


@pytest.mark.parametrize("faiss", [False, True], ids=["numpy", "faiss"])
@pytest.mark.parametrize(("count", "k"), [(7, 7), (1000, 1), (1000, 10), (70_000, 5)])
def test_flat_search_is_exact(faiss: bool, count: int, k: int) -> None:
    if faiss:
        pytest.importorskip("faiss")
    vectors, queries = clustered(count), clustered(300, seed=1)[:20]
    scores, rows = flat_search(vectors, queries, k, faiss=faiss)
    expected, expected_rows = exact(vectors, queries, k)
    assert np.array_equal(rows, expected_rows)
    assert scores == pytest.approx(expected, abs=1e-6)
    assert (scores.dtype, rows.dtype) == (np.float32, np.int64)


@pytest.mark.parametrize("faiss", [False, True], ids=["numpy", "faiss"])
def test_equal_scores_are_in_the_order_of_rows(faiss: bool) -> None:
    if faiss:
        pytest.importorskip("faiss")
    one = clustered(4)
    vectors = np.concatenate([one, one, one])
    assert flat_search(vectors, one[2:3], 3, faiss=faiss)[1].tolist() == [[2, 6, 10]]


def test_order_by_hand() -> None:
    scores, rows = in_order(
        np.array([[0.5, 0.9, 0.9, 0.1]], np.float32), np.array([[3, 8, 2, -1]], dtype=np.int64)
    )
    assert rows.tolist() == [[2, 8, 3, -1]]
    assert scores.tolist() == [[np.float32(0.9), np.float32(0.9), 0.5, -np.inf]]


def test_recall_by_hand() -> None:
    vectors = np.array([[1, 0], [0.8, 0.6], [0.8, 0.6], [0.6, 0.8], [0, 1]], np.float32)
    queries = np.array([[1, 0], [0, 1]], np.float32)
    second = np.array([0.8, 0.8], np.float32)  # the second best score of each query
    for found, share in (([[0, 1], [4, 3]], 1), ([[0, 2], [4, 3]], 1), ([[0, 3], [4, -1]], 0.5)):
        assert recall_of(vectors, queries, np.array(found), second) == share


def test_no_query_and_wrong_width() -> None:
    searched = VectorIndex(clustered(10))
    scores, rows = searched.search(np.empty((0, 32), np.float32), 3)
    assert scores.shape == rows.shape == (0, 3)
    with pytest.raises(DataError, match=r"queries of shape \(1, 16\), expected vectors of width 32"):
        searched.search(np.zeros((1, 16), np.float32), 3)


def test_number_of_lists() -> None:
    assert [lists_for(count) for count in (4000, 100_000, 1_000_000)] == [128, 512, 2048]


def test_an_index_reaches_its_recall_on_other_queries(tmp_path: Path) -> None:
    faiss = pytest.importorskip("faiss")
    vectors = clustered(6000)
    about = write_index(tmp_path / "a.faiss", vectors)
    assert {**about, "nprobe": 0, "recall": 0} == {
        "kind": "IVF", "rows": 6000, "lists": 128, "nprobe": 0, "recall": 0
    }  # fmt: skip
    assert about["recall"] >= 0.99
    assert 1 <= about["nprobe"] < 64
    lists = faiss.read_index(str(tmp_path / "a.faiss"))
    queries = clustered(6000, seed=5)[:500]
    tenth = exact(vectors, queries, 10)[0][:, -1].astype(np.float32)
    recalls = []
    for nprobe in (about["nprobe"], 1):
        lists.nprobe = nprobe
        found = VectorIndex(vectors, 6000, lists).search(queries, 10)[1]
        recalls.append(recall_of(vectors, queries, found, tenth))
    assert recalls[0] >= 0.985 > recalls[1]


def test_an_index_is_deterministic(tmp_path: Path) -> None:
    pytest.importorskip("faiss")
    vectors = clustered(3000)
    assert write_index(tmp_path / "a", vectors) == write_index(tmp_path / "b", vectors)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_blank_and_equal_vectors_do_not_mislead_the_choice(tmp_path: Path) -> None:
    pytest.importorskip("faiss")
    vectors = clustered(3000)
    vectors[::3] = 0  # entries that the model cannot read
    vectors[1::3] = vectors[1]  # a thousand equal ones, of which any ten are the nearest
    about = write_index(tmp_path / "a.faiss", vectors)
    assert about["recall"] >= 0.99
    assert about["nprobe"] < 64


def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "FLAT_UP_TO", 250)
    monkeypatch.setattr(index, "TAIL_UP_TO", 20)


def test_a_library_grows_into_an_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("faiss")
    small(monkeypatch)
    folder, model = tmp_path / "lib", Model()
    made = [entry(number) for number in range(400)]
    vectors = model.embed([one.record for one in made])
    steps = ((200, None), (300, 300), (315, 300), (400, 400))
    begin = 0
    for end, indexed in steps:
        if begin:
            add_to_library(folder, made[begin:end], [model])
        else:
            build_library(folder, made[:end], [model])
        library = Library.open(folder)
        about = library.manifest["indexes"].get(model.name)
        assert (about and about["rows"]) == indexed
        assert library.faults() == []
        scores, rows = library.search_vectors(model.name, vectors[:end], 10)
        assert rows[:, 0].tolist() == list(range(end))
        expected = exact(vectors[:end], vectors[:end], 10)[0].astype(np.float32)
        assert recall_of(vectors, vectors[:end], rows, expected[:, -1]) >= 0.98
        assert scores[:, 0] == pytest.approx(expected[:, 0], abs=1e-3)
        begin = end
    assert len(list(folder.glob("*.faiss"))) == 2  # the last one is kept for who has it open, until the next
    add_to_library(folder, [], [model])
    assert len(list(folder.glob("*.faiss"))) == 1


def test_a_damaged_index_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("faiss")
    small(monkeypatch)
    folder, model = tmp_path / "lib", Model()
    build_library(folder, [entry(number) for number in range(300)], [model])
    path = folder / "index-0-0000.faiss"
    content = bytearray(path.read_bytes())
    content[0] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"index-0-0000.faiss: altered since it was written"):
        Library.open(folder).index(model.name)
    monkeypatch.setattr(layout, "CHECKED_WHEN_USED", 0)  # as if it were a large one
    with pytest.raises(DataError, match=r"index-0-0000.faiss: damaged, see `mmspec library info --check`"):
        Library.open(folder).index(model.name)


def test_without_faiss_all_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small(monkeypatch)
    monkeypatch.setattr(index, "has_faiss", lambda: False)
    folder, model = tmp_path / "lib", Model()
    made = [entry(number) for number in range(300)]
    build_library(folder, made, [model])
    library = Library.open(folder)
    assert library.manifest["indexes"] == {}
    found = library.index(model.name)
    assert found.notice == (
        "300 entries are compared one by one, which is slow: for an index, pip install 'mmspec-ds[search]'"
    )
    vectors = model.embed([one.record for one in made])
    assert library.search_vectors(model.name, vectors[:9], 1)[1][:, 0].tolist() == list(range(9))
