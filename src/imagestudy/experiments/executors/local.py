"""A function over many tasks: in this process, or on all cores. Only the driver, which reads the outcomes, writes to the store.

An executor is anything with `map(function, tasks)` that yields outcomes as they come, in any order; the function is pure and its
argument and outcome can be sent to another process, so that a cluster can stand behind the same two lines.
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
    """Yields the outcome of a function for each task, in the order of completion."""

    def map(self, function: Callable[[Task], Outcome], tasks: Sequence[Task]) -> Iterator[Outcome]:
        """Start all, yield each outcome as soon as it is there."""
        ...


@dataclass(frozen=True)
class InProcess:
    """One after the other, in this process."""

    def map(self, function: Callable[[Task], Outcome], tasks: Sequence[Task]) -> Iterator[Outcome]:
        """Yield each outcome as it comes."""
        return map(function, tasks)


@dataclass(frozen=True)
class Processes:
    """As many processes as `workers`, one run a process at a time (joblib's loky)."""

    workers: int

    def map(self, function: Callable[[Task], Outcome], tasks: Sequence[Task]) -> Iterator[Outcome]:
        """Yield each outcome as it comes."""
        from joblib import Parallel, delayed

        # joblib replaces a worker whose memory has grown; nothing is lost, and no user can do anything about it.
        warnings.filterwarnings("ignore", message="A worker stopped while some jobs")

        parallel = Parallel(
            n_jobs=self.workers, backend="loky", return_as="generator_unordered", batch_size=1, pre_dispatch="2*n_jobs"
        )
        return parallel(delayed(function)(task) for task in tasks)


@dataclass(frozen=True)
class FreshProcesses:
    """One after the other, each in a new process of its own: for what a warm process would distort, such as peak memory."""

    def map(self, function: Callable[[Task], Outcome], tasks: Sequence[Task]) -> Iterator[Outcome]:
        """Yield each outcome as it comes."""
        for task in tasks:
            with ProcessPoolExecutor(max_workers=1, mp_context=_clean_context()) as process:
                yield process.submit(function, task).result()


def _clean_context() -> BaseContext:
    """Where there is one, a server that has imported everything and computed nothing: its forks start at once and are as new."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["imagestudy.experiments.runner"])
    return context


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def executor_for(runs: int, *, workers: int | None = None) -> Executor:
    """In this process for a run or two, on all cores for more; `workers` says how many instead."""
    workers = available_cores() if workers is None else workers
    return InProcess() if workers == 1 or runs <= 2 else Processes(min(workers, runs))
