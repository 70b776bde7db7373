"""Memory that is kept is not asked for again."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import resource, torch
from pushforward.tensors import keep_freed_memory

keep_freed_memory()

def use():
    tensors = [torch.ones(5 * 2**20) for _ in range(6)]

for _ in range(3):
    use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc is told to keep memory")
def test_second_use_of_kept_memory_faults_no_page():
    # Of 90,000 pages; without the call all or half of them, in most runs.
    faults = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True).stdout
    assert int(faults) < 1000
