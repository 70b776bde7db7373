"""Two processes against one, and processes that are killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pushforward.emulator import Emulator

WORKER = Path(__file__).parent / "worker.py"
MODELS = ["toy-gaussian", "toy-adversaries"]
OPTIONS = {"models": MODELS, "steps": 12, "precision": "32", "settings": {"log_every": 0}}


def run(*launcher, **options):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *launcher, str(WORKER), json.dumps({**OPTIONS, **options})]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def metrics(out, model):
    return [json.loads(line) for line in (out / model / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    out = tmp_path_factory.mktemp("alone")
    run(out=str(out))
    return out


@pytest.mark.parametrize(
    ("launcher", "options"),
    [
        (("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"), {}),
        ((), {"devices": 2}),
    ],
    ids=["torchrun", "devices=2"],
)
def test_two_processes_see_the_losses_of_one_with_the_joined_batch(alone, tmp_path, launcher, options):
    run(*launcher, out=str(tmp_path), **options)
    for model in MODELS:
        one, two = metrics(alone, model), metrics(tmp_path, model)
        assert [line["step"] for line in two] == [line["step"] for line in one]
        for a, b in zip(one, two, strict=True):
            for key in a:
                if key.endswith("/loss"):
                    assert b[key] == pytest.approx(a[key], rel=1e-4, abs=1e-5), f"{model}: {key} at step {a['step']}"
        assert Emulator.load(tmp_path / model).config["devices"] == 2
        for name, value in load_file(alone / model / "model.safetensors").items():
            assert torch.allclose(
                load_file(tmp_path / model / "model.safetensors")[name].float(), value.float(), atol=1e-4
            )


def test_a_killed_process_leaves_a_run_that_goes_on_to_the_same_weights(alone, tmp_path):
    model = MODELS[1]
    options = {
        **OPTIONS,
        "models": [model],
        "out": str(tmp_path),
        "steps": 200,
        "settings": {"log_every": 0, "checkpoint_every": 0},
    }
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    metrics_file = tmp_path / model / "metrics.jsonl"
    for wanted in (3, 9):
        process = subprocess.Popen(
            [sys.executable, str(WORKER), json.dumps({**options, "resume": wanted == 9})], env=environment
        )
        deadline = time.monotonic() + 60
        while not (metrics_file.exists() and len(metrics_file.read_text().splitlines()) >= wanted):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert Emulator.load(tmp_path / model).sample(2).shape == (2, 1, 8, 8)
    step = json.loads(_header(tmp_path / model / "checkpoint.safetensors")["about"])["step"]
    assert step >= 2
    run(**{**options, "resume": True, "settings": {"log_every": 100, "checkpoint_every": 100}})
    run(**{**options, "out": str(tmp_path / "whole"), "settings": {"log_every": 100, "checkpoint_every": 100}})
    resumed, whole = (load_file(folder / model / "model.safetensors") for folder in (tmp_path, tmp_path / "whole"))
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def _header(path):
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return file.metadata()


def test_processes_that_are_started_here_stop_with_one_sentence(tmp_path):
    command = [
        sys.executable,
        str(WORKER),
        json.dumps({**OPTIONS, "out": str(tmp_path), "devices": 2, "steps": 100000}),
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    file = tmp_path / MODELS[0] / "metrics.jsonl"
    deadline = time.monotonic() + 60
    while not (file.exists() and file.stat().st_size > 1000):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2, errors
    assert errors.strip().splitlines()[-1].startswith("Interrupted: stopped by SIGINT after step "), errors
    assert Emulator.load(tmp_path / MODELS[0]).sample(1).shape == (1, 1, 8, 8)
    assert np.isfinite(metrics(tmp_path, MODELS[0])[-1]["model/loss"])
