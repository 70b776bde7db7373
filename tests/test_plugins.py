"""The example package, installed: its family, simulator and format are found by their names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import pushforward as pf
from pushforward.errors import UsageError
from pushforward.models import REGISTRY, Turn

PACKAGE = Path(__file__).parents[1] / "examples" / "plugin"


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> dict[str, str]:
    """The environment of a process that has the example package."""
    folder = tmp_path_factory.mktemp("site")
    build = tmp_path_factory.mktemp("build") / "plugin"
    subprocess.run(["cp", "-r", str(PACKAGE), str(build)], check=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target"]
    subprocess.run([*command, str(folder), str(build)], check=True, capture_output=True)
    paths = [str(folder), *(path for path in sys.path if path)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def run(environment, folder: Path, *words: str) -> str:
    code = "import sys; from pushforward.cli import main; sys.argv[0] = 'pushforward'; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *words], env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_package_brings_a_family_a_simulator_and_a_format(installed, tmp_path):
    assert "ring-flow" in run(installed, tmp_path, "models")
    assert "noisy-ring" in run(installed, tmp_path, "datasets")
    run(installed, tmp_path, "fit", "noisy-ring", "--model", "ring-flow", "--steps", "200", "--out", "run")
    run(installed, tmp_path, "sample", "run", "-n", "500", "-o", "samples.npy")
    r = np.linalg.norm(np.load(tmp_path / "samples.npy"), axis=1)
    assert (abs(r.mean() - 1), abs(r.std() - 0.1)) < (0.03, 0.03)
    (tmp_path / "points.ring").write_text("\n".join(f"1 {angle}" for angle in range(0, 360, 4)))
    run(installed, tmp_path, "score", "run", "points.ring", "-o", "scores.csv")
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == 91


class CentreOnly(pf.Model):
    """A normal distribution of unit width."""

    spaces = ("vector",)

    def __init__(self, space, condition=0, settings=None):
        super().__init__(space, condition, settings)
        self.centre = nn.Parameter(torch.zeros(space.shape))

    def turns(self, batches):
        yield Turn("model", (next(batches).x - self.centre).square().mean(), {})

    def sample(self, draws, condition=None, sampling=None):
        return self.centre + draws.normal(*self.space.shape)


@pytest.fixture
def _forgotten():
    yield
    REGISTRY.pop("centre-only", None)


@pytest.mark.usefixtures("_forgotten")
def test_a_class_is_trained_without_a_registry(tmp_path):
    emulator = pf.fit("two-moons", model=CentreOnly, steps=20, out=tmp_path / "run", progress=False)
    assert emulator.name == "centre-only"
    assert torch.equal(pf.Emulator.load(tmp_path / "run").sample(3, seed=1), emulator.sample(3, seed=1))
    with pytest.raises(UsageError, match="centre-only learns vector data, not field data"):
        pf.fit("digits", model=CentreOnly, steps=1, out=tmp_path / "other", progress=False)
    REGISTRY.pop("centre-only")
    with pytest.raises(UsageError, match="register_model"):
        pf.Emulator.load(tmp_path / "run")


def test_a_name_that_is_taken_is_refused():
    with pytest.raises(UsageError, match="already"):
        pf.register_model("realnvp", CentreOnly)
