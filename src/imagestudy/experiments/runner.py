"""Load the records of runs, and train the runs that are missing. No other package uses test labels.

A *derived* run (a post-hoc remedy or an ensemble) is computed from the stored log-probabilities of its parents. A *tuned* run is
trained with the settings of its best trial on the validation images.
"""

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from tqdm import tqdm

from imagestudy import data
from imagestudy.core import paths, plugins
from imagestudy.core.errors import InputError, require_known
from imagestudy.core.specs import RunSpec
from imagestudy.experiments.dependencies import is_derived, parents, task
from imagestudy.experiments.durations import estimate_each as estimate_each
from imagestudy.experiments.durations import estimate_seconds, say_duration
from imagestudy.experiments.execute import derive, record, with_arrays
from imagestudy.experiments.executors.local import Executor, FreshProcesses, executor_for
from imagestudy.experiments.records import Failure, Record, Records, labels_key
from imagestudy.experiments.store import RunStore
from imagestudy.experiments.versions import stamp
from imagestudy.models.pretrained import starting_weights
from imagestudy.models.pretrained_weights import fetch_weights

TRAIN_VARIABLE = "IMAGESTUDY_TRAIN"
MEASURING = ("cost", "start")
"""Kinds of runs that are measured one after the other, in the given order, each in a new process."""


def obtain(specs: Iterable[RunSpec], *, study: str, workers: int | None = None, executor: Executor | None = None) -> Records:
    """Return the records of these runs. Runs that are missing in the study's store are trained and stored first.

    Runs that failed are left out of the result. The store keeps the reason.

    Args:
        specs: the runs. The runs that they depend on are added automatically.
        study: the name of the study that the store belongs to.
        workers: the number of processes. Default: one per core.
        executor: an executor that is used instead of `workers` processes.

    Raises:
        InputError: a name or option is not allowed; or a run is missing and the environment variable `IMAGESTUDY_TRAIN` is `never`,
            or the pretrained weights of its model are not available.
    """
    wanted = {spec.run_id: spec for spec in map(stamp, specs)}
    store = RunStore(paths.store_file(study))
    if todo := _missing(wanted.values(), store):
        _refuse_if_told(todo, store)
        _fetch_weights(todo)
        seconds = estimate_seconds(todo, store, workers=workers)
        print(f"Missing runs, including parents: {len(todo)}. Estimated time: {say_duration(seconds)}.", flush=True)
        _finish(todo, store, workers=workers, executor=executor)
    return _complete(store.read(wanted), store)


def _complete(records: Records, store: RunStore) -> Records:
    """Return the records, with the log-probabilities of derived runs computed from those of their parents."""
    behind = {record.spec.run_id: [p.run_id for p in parents(record.spec)] for record in records if is_derived(record.spec)}
    known = store.load({run_id for run_ids in behind.values() for run_id in run_ids})
    whole = {
        run_id: with_arrays(record, [known[one] for one in behind[run_id]])
        for record in records
        if (run_id := record.spec.run_id) in behind
    }
    return Records(tuple(whole.get(record.spec.run_id, record) for record in records), records.labels)


def failures(study: str) -> dict[str, Failure]:
    """Return run id → failure for all failed runs in the study's store."""
    return RunStore(paths.store_file(study)).failures()


def missing(specs: Iterable[RunSpec], *, study: str) -> list[RunSpec]:
    """Return the runs that are not in the study's store, including parents. Parents come before the runs that depend on them."""
    return _missing([stamp(spec) for spec in specs], RunStore(paths.store_file(study)))


def with_parents(specs: Iterable[RunSpec]) -> list[RunSpec]:
    """Return the runs and the runs that they depend on, each once."""
    stamped = [stamp(spec) for spec in specs]
    return list({one.run_id: one for spec in stamped for one in (*parents(spec), spec)}.values())


def _missing(wanted: Iterable[RunSpec], store: RunStore) -> list[RunSpec]:
    known = {run_id for run_id, status in store.status().items() if status != "claimed"}
    todo: dict[str, RunSpec] = {}
    for spec in wanted:
        if spec.run_id not in known:
            todo |= {p.run_id: p for p in parents(spec) if p.run_id not in known}
            todo[spec.run_id] = spec
    return list(todo.values())


def _refuse_if_told(todo: Sequence[RunSpec], store: RunStore) -> None:
    if require_known(os.environ.get(TRAIN_VARIABLE, "allowed"), ("allowed", "never"), what=f"value of {TRAIN_VARIABLE}") == "never":
        missing_runs = "1 run is" if len(todo) == 1 else f"{len(todo)} runs are"
        raise InputError(f"{TRAIN_VARIABLE} is 'never', but {missing_runs} missing in {store.file}; the first is {todo[0].key()}")


def _fetch_weights(todo: Sequence[RunSpec]) -> None:
    """Fetch the pretrained weights of the missing runs before training starts. Recorded runs do not need them."""
    for model in dict.fromkeys(spec.model.name for spec in todo):
        if name := starting_weights(model):
            fetch_weights(name)


def _finish(todo: Sequence[RunSpec], store: RunStore, *, workers: int | None, executor: Executor | None) -> None:
    """Execute the missing runs: first parents, then the runs that depend on them, and last, alone, the cost measurements."""
    _keep_labels(todo, store)
    costs = [spec for spec in todo if spec.kind in MEASURING]
    others = [spec for spec in todo if spec.kind not in MEASURING]
    stages = [[s for s in others if not parents(s)], [s for s in others if parents(s)], costs]
    with store.keeping_claims(), tqdm(total=len(todo), desc="runs", unit="run", mininterval=1, file=sys.stdout) as bar:
        for stage in stages:
            chosen = FreshProcesses() if stage is costs else executor or executor_for(len(stage), workers=workers)
            for _ in _finish_stage(stage, store, chosen):
                bar.update()


def _finish_stage(stage: Sequence[RunSpec], store: RunStore, executor: Executor) -> Iterator[None]:
    """Execute the runs of a stage until every run is done or failed, and yield after each.

    Runs that other processes have claimed are waited for.
    """
    while stage:
        mine = store.claim(stage)
        for outcome in _outcomes(mine, store, executor):
            store.write(outcome)
            yield
        status = store.status()
        stage = [spec for spec in stage if status.get(spec.run_id, "claimed") == "claimed"]
        if stage and not mine:
            time.sleep(1.0)


def _outcomes(mine: Sequence[RunSpec], store: RunStore, executor: Executor) -> Iterator[Record | Failure]:
    records = store.load(parent.run_id for spec in mine for parent in parents(spec))
    tasks = []
    for spec in mine:
        lost = [p for p in parents(spec) if p.run_id not in records]
        if lost and (is_derived(spec) or len(lost) == len(parents(spec))):
            yield Failure(spec, f"a run it depends on failed: {lost[0].key()}")
        elif is_derived(spec):
            yield derive(spec, [records[p.run_id] for p in parents(spec)], store.load_arrays(labels_key(spec.dataset, spec.split)))
        else:
            tasks.append(task(spec, records))
    function = partial(plugins.call, record, files) if (files := plugins.loaded()) else record
    yield from executor.map(function, tasks)


def _keep_labels(specs: Sequence[RunSpec], store: RunStore) -> None:
    for key, spec in {labels_key(spec.dataset, spec.split): spec for spec in specs}.items():
        if not store.load_arrays(key):
            store.write_arrays(key, data.held_out_labels(spec.dataset, spec.split))
