"""Apply a function to many tasks, in this process or on all cores.

An executor is any object with a method `map(function, tasks)` that yields the outcomes in any order. The function has no side
effects, and its argument and outcome can be sent to another process, so an executor can also use a cluster. Only the process that
reads the outcomes writes to the store.
"""

import multiprocessing
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing.context import BaseContext
from typing import Protocol, TypeVar, runtime_checkable

Task = TypeVar("Task")
Outcome = TypeVar("Outcome")


@runtime_checkable
class Executor(Protocol):
    """The interface of all executors."""

    def map(self, function: Callable[[Task], Outcome], tasks: Sequence[Task]) -> Iterator[Outcome]:
        """Yield the outcome of the function for each task, in the order of completion."""
        ...


@dataclass(frozen=True)
class InProcess:
    """Execute one task after the other in this process."""

    def map(self, function: Callable[[Task], Outcome], tasks: Sequence[Task]) -> Iterator[Outcome]:
        """Yield the outcome of each task, in the order of the tasks."""
        return map(function, tasks)


@dataclass(frozen=True)
class Processes:
    """Execute tasks in parallel in `workers` processes (joblib's loky), one task per process at a time."""

    workers: int

    def map(self, function: Callable[[Task], Outcome], tasks: Sequence[Task]) -> Iterator[Outcome]:
        """Yield the outcome of each task, in the order of completion."""
        from joblib import Parallel, delayed

        # joblib replaces a worker if its memory has grown. No outcome is lost, so users can ignore the warning.
        warnings.filterwarnings("ignore", message="A worker stopped while some jobs")

        parallel = Parallel(
            n_jobs=self.workers, backend="loky", return_as="generator_unordered", batch_size=1, pre_dispatch="2*n_jobs"
        )
        return parallel(delayed(function)(task) for task in tasks)


@dataclass(frozen=True)
class FreshProcesses:
    """Execute one task after the other, each in a new process. A used process would distort measurements such as peak memory."""

    def map(self, function: Callable[[Task], Outcome], tasks: Sequence[Task]) -> Iterator[Outcome]:
        """Yield the outcome of each task, in the order of the tasks."""
        for task in tasks:
            with ProcessPoolExecutor(max_workers=1, mp_context=_clean_context()) as process:
                yield process.submit(function, task).result()


def _clean_context() -> BaseContext:
    """Return the context for new processes: forks of a server that has imported everything and computed nothing.

    On systems without such a server, processes are spawned.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["imagestudy.experiments.runner"])
    return context


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def executor_for(runs: int, *, workers: int | None = None) -> Executor:
    """Return the executor for a number of runs: this process for one or two runs, otherwise one process per core.

    `workers` replaces the number of cores.
    """
    workers = available_cores() if workers is None else workers
    return InProcess() if workers == 1 or runs <= 2 else Processes(min(workers, runs))
