"""Untrusted configurations of runs, and reproducible bytes of weights."""

from __future__ import annotations

import shutil
import time

import pytest
import torch
import yaml

import pushforward as pf
from pushforward.errors import UsageError
from pushforward.runs.files import load_tensors, save_tensors


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "run"
    x = torch.randn(60, 2).exp()
    pf.fit(pf.read(x, condition=torch.rand(60, 1).numpy()), "realnvp", steps=2, out=out, progress=False)
    return out


def changed(run, tmp_path, change):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    config = yaml.safe_load((copy / "config.yaml").read_text())
    change(config)
    (copy / "config.yaml").write_text(yaml.safe_dump(config))
    return copy


CHANGES = {
    "transform": (lambda c: c["preprocessing"]["channels"][0].update(kind="sqrt"), "no transform 'sqrt'"),
    "encoding": (lambda c: c["preprocessing"]["conditions"][0].update(kind="sqrt"), "no transform 'sqrt'"),
    "support": (lambda c: c["preprocessing"].update(supports=[{"kind": "disc"}, None]), "no transform 'disc'"),
    "preprocessing": (lambda c: c["preprocessing"].update(kind="magic"), "kind 'magic' is unknown"),
    "a billion": (lambda c: c["space"].update(dim=10**9), "has 1000000000 channels, but the weights are for 2"),
    "a large grid": (
        lambda c: c.update(space={"kind": "field", "channels": 2, "grid": [10**6, 10**6]}), "would have 2e+12 numbers"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_configurations_that_do_not_fit_are_refused_at_once(run, tmp_path, name):
    change, sentence = CHANGES[name]
    copy = changed(run, tmp_path, change)
    start = time.perf_counter()
    with pytest.raises(UsageError) as refusal:
        pf.Emulator.load(copy)
    assert sentence in str(refusal.value)
    assert time.perf_counter() - start < 2


def test_the_same_tensors_are_the_same_bytes(tmp_path):
    tensors = {"b": torch.arange(4.0), "a": torch.arange(3), "c": torch.ones(2, 2)}
    contents = set()
    for number in range(8):
        path = tmp_path / f"{number}.safetensors"
        order = sorted(tensors, reverse=bool(number % 2))
        about = {"kind": "model", "step": 3} if number % 2 else {"step": 3, "kind": "model"}
        save_tensors(path, {name: tensors[name] for name in order}, about)
        contents.add(path.read_bytes())
    assert len(contents) == 1
    assert load_tensors(path, "model")[1] == {"kind": "model", "step": 3}
