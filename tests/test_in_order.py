"""Several in work at once, results in order, nothing piled up, nothing left behind."""

import threading

import pytest

from jaxsr.in_order import map_in_order


@pytest.mark.parametrize("at_once", [1, 3])
def test_results_are_in_order_and_items_are_asked_for_as_needed(at_once):
    asked = []

    def items():
        for item in range(20):
            asked.append(item)
            yield item

    results = map_in_order(lambda item: item**2, items(), at_once)
    for item in range(20):
        assert next(results) == item**2
        assert len(asked) <= item + 1 + at_once
    assert list(results) == []


def test_as_many_are_in_work():
    together = threading.Barrier(3, timeout=60)
    assert len(list(map_in_order(lambda _: together.wait(), range(9), 3))) == 9


def test_one_that_is_alone_has_the_callers_thread_and_nothing_beside_it():
    caller, in_work = threading.current_thread(), []

    def work(item):
        in_work.append(item)
        if item == 4:
            assert in_work == [4]
            assert threading.current_thread() is caller
        in_work.remove(item)
        return item

    done = map_in_order(work, range(8), 2, alone=lambda item: item == 4)
    assert list(done) == list(range(8))


def test_the_first_error_in_order_is_raised_and_what_waits_does_not_begin():
    begun, second_failed = [], threading.Event()

    def work(item):
        begun.append(item)
        if item == 0:
            second_failed.wait(60)
        else:
            second_failed.set()
        raise RuntimeError(str(item))

    with pytest.raises(RuntimeError, match="^0$"):
        list(map_in_order(work, range(100), 2))
    assert len(begun) <= 4


def test_a_caller_that_stops_ends_it():
    # Others' pools may live on in the process, and end meanwhile.
    before = set(threading.enumerate())
    results = map_in_order(lambda item: item, range(100), 2)
    assert next(results) == 0
    assert {t for t in threading.enumerate() if "ThreadPool" in t.name} - before
    results.close()
    left = set(threading.enumerate()) - before
    assert not {t for t in left if "ThreadPool" in t.name}
