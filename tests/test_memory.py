"""The memory that a training step frees is reused by the next step, without a request to the system."""

import platform
import subprocess
import sys

import pytest

from imagestudy.training.memory import keep_freed_memory

FAULTS = """
import resource, sys
import numpy as np
from imagestudy.training.memory import keep_freed_memory

def step():
    return sum(block[0] for block in [np.ones(1_000_000) for _ in range(10)])  # 80 MB, all freed at the end

if sys.argv[1] == "kept":
    keep_freed_memory()
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting exists in glibc only")
def test_pages_are_requested_once_and_not_at_every_step():
    assert faults("kept") < 1_000
    assert faults("as it is") > 10 * faults("kept") + 10_000


def test_a_second_call_changes_nothing():
    assert keep_freed_memory() == keep_freed_memory()
    assert keep_freed_memory() == (platform.libc_ver()[0] == "glibc")
