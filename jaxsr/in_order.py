"""Several items in work at once, each in a thread, and their results in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def map_in_order(
    function: Callable[[_Item], _Result],
    items: Iterable[_Item],
    at_once: int,
    *,
    alone: Callable[[_Item], bool] | None = None,
) -> Iterator[_Result]:
    """Yields what `function` returns for each item, or raises what it raises.

    Items are asked for as threads are free, with one that waits, so that neither they
    nor results pile up. Where the caller asks for no more, what is in work ends and
    what waits does not begin.

    Args:
        function: called from threads, unless `at_once` is 1.
        items: taken in the caller's thread.
        at_once: how many are in work.
        alone: whether an item is to have nothing beside it; it has the caller's thread.
    """
    if at_once == 1:
        yield from map(function, items)
        return
    begun: deque[Future[_Result]] = deque()
    pool = ThreadPoolExecutor(at_once)
    try:
        for item in items:
            if alone is not None and alone(item):
                while begun:
                    yield begun.popleft().result()
                yield function(item)
            else:
                begun.append(pool.submit(function, item))
            while len(begun) > at_once:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
