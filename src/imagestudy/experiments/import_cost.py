"""Measure the time and memory of importing a framework, in a new interpreter that imports nothing else."""

import json
import os
import subprocess
import sys

from imagestudy.models.keras import SETTINGS

MODULES = {"neural": "torch", "keras": "tensorflow, keras"}
"""Kind of model → the modules it needs."""
PROBE = """
import json, resource, sys, time
started = time.perf_counter()
import {modules}
seconds = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1_024)
if sys.platform == "linux":
    # On Linux, a started program inherits the counter above, so it can hold the peak of the parent process.
    with open("/proc/self/status") as status:
        peak = next(int(line.split()[1]) * 1_024 for line in status if line.startswith("VmHWM"))
print(json.dumps({{"import_seconds": seconds, "import_mb": peak / 2**20}}))
"""


def measure_import(kind: str) -> dict[str, float]:
    """Return the seconds of the import and the peak memory of the interpreter in MiB.

    Args:
        kind: the kind of model, `neural` or `keras`.
    """
    command = [sys.executable, "-c", PROBE.format(modules=MODULES[kind])]
    done = subprocess.run(command, env=os.environ | SETTINGS, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])
