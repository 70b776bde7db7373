"""The example package, installed: its family, simulator, format and statistic are found by their names."""

from __future__ import annotations

import json
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


COMMANDS = """
import sys
from pushforward.cli import main

for line in sys.argv[1:]:
    sys.argv = ["pushforward", *line.split()]
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise
"""


def run(environment, folder: Path, *lines: str) -> str:
    """Standard output of a process that runs these commands of the program."""
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, *lines],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_package_brings_a_family_a_simulator_a_format_and_a_statistic(installed, tmp_path):
    (tmp_path / "points.ring").write_text("\n".join(f"1 {angle}" for angle in range(0, 360, 4)))
    said = run(
        installed,
        tmp_path,
        "models",
        "datasets",
        "fit noisy-ring --model ring-flow --steps 200 --out run",
        "sample run -n 500 -o samples.npy",
        "score run points.ring -o scores.csv",
        "validate run --statistics radius",
    )
    assert "ring-flow" in said
    assert "noisy-ring" in said
    r = np.linalg.norm(np.load(tmp_path / "samples.npy"), axis=1)
    assert (abs(r.mean() - 1), abs(r.std() - 0.1)) < (0.03, 0.03)
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == 91
    names = [each["statistic"] for each in json.loads((tmp_path / "run" / "report.json").read_text())["verdicts"]]
    assert "radius" in names


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
def test_a_statistic_of_ones_own_stands_in_the_report_of_a_class_of_ones_own(tmp_path):
    emulator = pf.fit("two-moons", model=CentreOnly, steps=20, out=tmp_path / "run", progress=False)
    radius = pf.Statistic("radius", "Radius", "mean distance from the origin", of=lambda x: x.norm(dim=1))
    found = pf.validate(emulator, samples=400, statistics=[radius], progress=False).verdict("radius")
    assert (found.label, found.value > 0, found.floor > 0) == ("Radius", True, True)
    with pytest.raises(UsageError, match="no statistic is called 'radios'"):
        pf.validate(emulator, samples=400, statistics=["radios"], progress=False)


@pytest.mark.usefixtures("_forgotten")
def test_a_registered_class_is_reached_by_its_name(tmp_path):
    pf.register_model("centre-only", CentreOnly, "a normal distribution")
    assert pf.fit("two-moons", model="centre-only", steps=2, out=tmp_path / "run", progress=False).name == "centre-only"


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


NETWORK = """
import torch

class Shrink(torch.nn.Module):
    def __init__(self, space, condition, width=8):
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(space.size + 1, width), torch.nn.SiLU(), torch.nn.Linear(width, space.size)
        )

    def forward(self, x, t, condition=None):
        return self.layers(torch.cat([x.flatten(1), t[:, None]], 1)).view_as(x)
"""


@pytest.fixture
def shrink(tmp_path, monkeypatch):
    """A folder with a module ``shrink``, which is forgotten afterwards."""
    (tmp_path / "shrink.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each])
    yield tmp_path
    sys.modules.pop("shrink", None)


@pytest.mark.parametrize("model", ["flow-matching", "ddpm", "pfgm++", "consistency"])
def test_a_network_of_ones_own_is_named_by_its_module(shrink, model):
    settings = {"network": "shrink", "width": 16}
    emulator = pf.fit("two-moons", model=model, steps=3, out=shrink / "run", settings=settings, progress=False)
    assert any(type(module).__name__ == "Shrink" for module in emulator.model.modules())
    assert emulator.config["settings"]["model"]["network"] == "shrink"
    assert torch.equal(pf.Emulator.load(shrink / "run").sample(3, seed=1), emulator.sample(3, seed=1))
    emulator = pf.fit(
        "two-moons", model=model, steps=5, out=shrink / "run", settings=settings, resume=True, progress=False
    )
    assert emulator.config["settings"]["model"]["network"] == "shrink"


@pytest.mark.parametrize("model", ["cnf", "between"])
def test_flows_and_translators_take_a_network_of_ones_own(shrink, model):
    a, b = (pf.Ensemble.from_array(np.random.default_rng(seed).normal(size=(60, 2)) + seed) for seed in (0, 1))
    data = a if model == "cnf" else pf.EnsemblePair(a, b)
    settings = {"network": "shrink", "width": 16, "batch_size": 16}
    emulator = pf.fit(data, model=model, steps=3, out=shrink / "run", settings=settings, progress=False)
    assert any(type(module).__name__ == "Shrink" for module in emulator.model.modules())
    loaded = pf.Emulator.load(shrink / "run")
    if model == "cnf":
        x = emulator.sample(5, seed=1)
        assert torch.equal(loaded.sample(5, seed=1), x)
        torch.testing.assert_close(loaded.decode(loaded.encode(x)), x, atol=1e-3, rtol=0)
        assert torch.isfinite(loaded.log_prob(x)).all()
    else:
        x = torch.zeros(3, 2)
        assert torch.equal(loaded.translate(x, "b"), emulator.translate(x, "b"))
    with pytest.raises(UsageError, match="network=unet is for fields, not for vector data"):
        pf.fit(data, model=model, steps=1, out=shrink / "other", settings={"network": "unet"}, progress=False)
    assert not (shrink / "other").exists()


def test_a_network_of_ones_own_is_given_as_a_class(shrink):
    sys.path.append(str(shrink))
    from shrink import Shrink

    emulator = pf.fit("two-moons", steps=2, out=shrink / "run", settings={"network": Shrink}, progress=False)
    assert emulator.config["settings"]["model"]["network"] == "shrink:Shrink"
    assert torch.equal(pf.Emulator.load(shrink / "run").sample(3, seed=1), emulator.sample(3, seed=1))


def test_a_run_imports_nothing_from_the_folder_that_it_lies_in(shrink):
    pf.fit("two-moons", steps=1, out=shrink / "run", settings={"network": "shrink"}, progress=False)
    sys.modules.pop("shrink")
    sys.path.remove(str(shrink))
    with pytest.raises(UsageError, match=r"no module of that name; put the folder of shrink.py on PYTHONPATH"):
        pf.Emulator.load(shrink / "run")


@pytest.mark.parametrize(
    ("network", "code", "sentence"),
    [
        ("untet", "", "there is no network called 'untet' and no module of that name; put the folder of untet.py"),
        ("shrink:Other", "", "shrink has no class Other that is a torch.nn.Module"),
        ("shrink:torch", "", "shrink has no class torch that is a torch.nn.Module"),
        ("shrink", "import missing_module", "the module of network=shrink cannot be imported: No module named"),
        ("shrink", "1 +", "the module of network=shrink cannot be imported: SyntaxError"),
        ("shrink", "class Two(torch.nn.Module): pass", "defines Shrink, Two; name one as network=shrink:CLASS"),
        ("shrink", "Shrink.forward = lambda self, x, t: x", "does not work as CLASS"),
        (
            "shrink",
            "Shrink.forward = lambda self, x, t, c: x[0]",
            r"answers in shape \(2,\) where samples are \(2, 2\)",
        ),
    ],
)
def test_a_network_that_cannot_be_used_is_refused_in_one_sentence(shrink, network, code, sentence):
    (shrink / "shrink.py").write_text(NETWORK + "\n" + code)
    with pytest.raises(UsageError, match=sentence):
        pf.fit("two-moons", steps=1, out=shrink / "run", settings={"network": network}, progress=False)
    assert not (shrink / "run").exists()


def test_an_option_that_ones_own_network_does_not_take_is_refused(shrink):
    with pytest.raises(UsageError, match="network=shrink takes no depth; leave it out"):
        pf.fit("two-moons", steps=1, out=shrink / "run", settings={"network": "shrink", "depth": 3}, progress=False)
