"""Items made ahead: the same ones, in order, errors in their place, no thread left."""

import threading
import time
from collections.abc import Iterator

import pytest

from mmspec_ds.trainer.prefetch import prefetch


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "prefetch"]


@pytest.mark.parametrize("depth", [1, 2, 7])
@pytest.mark.parametrize("count", [0, 1, 25])
def test_the_same_items_in_the_same_order(count: int, depth: int) -> None:
    assert list(prefetch(iter(range(count)), depth)) == list(range(count))
    assert threads() == []


def test_an_error_comes_where_its_item_would_have_come() -> None:
    def faulty() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("the third")

    items = prefetch(faulty())
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(ValueError, match="the third"):
        next(items)
    assert threads() == []


def test_no_more_than_depth_wait_and_closing_ends_the_thread() -> None:
    made = []

    def endless() -> Iterator[int]:
        number = 0
        while True:
            made.append(number)
            yield number
            number += 1

    items = prefetch(endless(), 3)
    assert next(items) == 0
    deadline = time.monotonic() + 10
    while len(made) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)
    assert made == [0, 1, 2, 3, 4], "one taken, three ready, one in the maker's hand"
    items.close()  # type: ignore[attr-defined]
    assert threads() == []


def test_a_depth_of_nothing() -> None:
    with pytest.raises(ValueError, match="depth is 0"):
        next(prefetch(iter([1]), 0))
