"""What importing a framework takes, in an interpreter that imports nothing else."""

import json
import os
import subprocess
import sys

from imagestudy.models.keras import SETTINGS

MODULES = {"neural": "torch", "keras": "tensorflow, keras"}
"""Kind of a model → the modules that it needs."""
PROBE = """
import json, resource, sys, time
started = time.perf_counter()
import {modules}
seconds = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1_024)
if sys.platform == "linux":
    # The counter above outlives the start of a program, and would be that of the process before.
    with open("/proc/self/status") as status:
        peak = next(int(line.split()[1]) * 1_024 for line in status if line.startswith("VmHWM"))
print(json.dumps({{"import_seconds": seconds, "import_mb": peak / 2**20}}))
"""


def measure_import(kind: str) -> dict[str, float]:
    """Seconds, and the most memory in MiB that the interpreter had by then.

    Args:
        kind: of a model, `neural` or `keras`.
    """
    command = [sys.executable, "-c", PROBE.format(modules=MODULES[kind])]
    done = subprocess.run(command, env=os.environ | SETTINGS, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])
