"""A typo in the name of a file, a set or a run is told at once, before anything heavy is imported."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SCRIPT = """
import sys, time
from pushforward import cli
sys.argv = ["pushforward", *sys.argv[1:]]
try:
    cli.main()
finally:
    print("torch" in sys.modules, time.process_time() < 1.0)
"""


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("fit", "no_such.npy"), "there is no file 'no_such.npy'"),
        (("fit", "mapz.npy"), "did you mean 'maps.npy'?"),
        (("fit", "tow-moons"), "did you mean the built-in ensemble 'two-moons'?"),
        (("fit", "maps_*.npy"), "no file matches 'maps_*.npy'"),
        (("fit", "two-moons", "--and", "nothing.npy"), "there is no file 'nothing.npy'"),
        (("fit", "two-moons", "--condition", "nothing.csv"), "there is no file 'nothing.csv'"),
        (("fit", "maps.npy", "--mask", "nothing.npy"), "there is no file 'nothing.npy'"),
        (("fit", "two-moons", "--model", "relnvp"), "realnvp"),
        (("models", "relnvp"), "realnvp"),
        (("compare", "nowhere/maps.npy", "--models", "ddpm", "--out", "c"), "and no folder 'nowhere'"),
        (("validate", "runs/a"), "there is no run at runs/a"),
        (("sample", "runs/a", "-n", "3", "-o", "x.npy"), "there is no run at runs/a"),
        (("score", "maps.npy", "maps.npy", "-o", "x.npy"), "maps.npy is a file; give the run directory"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, tuple) else None,
)
def test_a_typo_loads_nothing(tmp_path, words, sentence):
    (tmp_path / "maps.npy").write_bytes(b"")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ,
        check=False,
    )
    assert sentence in done.stderr
    assert done.returncode == 2
    assert done.stdout.strip() == "False True", "PyTorch is not loaded, and all takes less than a second"
