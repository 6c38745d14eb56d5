"""Wherever a function is executed, the outcomes are the same; only their order may differ."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool

import pytest
from joblib.externals.loky import get_reusable_executor

from imagestudy.experiments.executors.local import Executor, FreshProcesses, InProcess, Processes, available_cores, executor_for

TASKS = (3, 1, 4, 1, 5)


def square_and_place(number: int) -> tuple[int, int]:
    return number * number, os.getpid()


def fail_at_four(number: int) -> int:
    if number == 4:
        raise ValueError("four")
    return number


def die(_number: int) -> int:
    os._exit(3)


@pytest.fixture(scope="module", autouse=True)
def _end_workers() -> Iterator[None]:
    """Workers that grew up on small tasks would pass for leaking memory once another test trains in them."""
    yield
    get_reusable_executor().shutdown(wait=True)


@pytest.fixture(params=[InProcess(), Processes(2), FreshProcesses()], ids=lambda e: type(e).__name__)
def executor(request: pytest.FixtureRequest) -> Executor:
    return request.param


def test_the_outcomes_are_the_same_everywhere(executor: Executor) -> None:
    tasks = TASKS if not isinstance(executor, FreshProcesses) else TASKS[:2]
    outcomes = Counter(square for square, _ in executor.map(square_and_place, tasks))
    assert outcomes == Counter(n * n for n in tasks)


def test_nothing_to_do_gives_nothing(executor: Executor) -> None:
    assert list(executor.map(square_and_place, ())) == []


def test_an_error_reaches_the_driver(executor: Executor) -> None:
    with pytest.raises(ValueError, match="four"):
        list(executor.map(fail_at_four, (4,)))


def test_each_executes_where_it_says() -> None:
    here = os.getpid()
    assert {place for _, place in InProcess().map(square_and_place, TASKS)} == {here}
    assert here not in {place for _, place in Processes(2).map(square_and_place, TASKS)}
    fresh = [place for _, place in FreshProcesses().map(square_and_place, (1, 2))]
    assert here not in fresh
    assert len(set(fresh)) == 2


def test_outcomes_come_one_by_one() -> None:
    started: list[int] = []

    def note(number: int) -> int:
        started.append(number)
        return number

    outcomes = InProcess().map(note, TASKS)
    assert next(iter(outcomes)) == 3
    assert started == [3]


def test_a_process_that_dies_is_an_error_and_not_silence() -> None:
    with pytest.raises(BrokenProcessPool):
        list(FreshProcesses().map(die, (1,)))


def test_a_run_or_two_stay_in_this_process() -> None:
    assert executor_for(2, workers=8) == InProcess()
    assert executor_for(100, workers=1) == InProcess()
    assert executor_for(3, workers=8) == Processes(3)
    assert executor_for(100, workers=8) == Processes(8)
    assert executor_for(100) == (InProcess() if available_cores() == 1 else Processes(min(available_cores(), 100)))


def test_another_executor_needs_two_lines() -> None:
    class Backwards:
        def map(self, function: object, tasks: Sequence) -> Iterator:
            return map(function, reversed(tasks))

    executor: Executor = Backwards()
    assert list(executor.map(fail_at_four, (1, 2))) == [2, 1]
