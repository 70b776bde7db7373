"""Memory that is kept is not asked for again."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys, torch
from pushforward.tensors import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()

def use():
    tensors = [torch.ones(2**21) for _ in range(8)]

for _ in range(3):
    use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc is told to keep memory")
def test_second_use_of_kept_memory_faults_no_page():
    faults = {
        how: int(subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, check=True).stdout)
        for how in ("kept", "given back")
    }
    assert faults["given back"] > 1000
    assert faults["kept"] < 100
