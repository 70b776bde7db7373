"""Two processes against one, and processes that are killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from pushforward.emulator import Emulator
from pushforward.training import fit

WORKER = Path(__file__).parent / "worker.py"
MODELS = ["toy-gaussian", "toy-adversaries", "toy-remembering", "between"]
OPTIONS = {"models": MODELS, "steps": 12, "precision": "32", "settings": {"log_every": 0}}


def run(*launcher, **options):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *launcher, str(WORKER), json.dumps({**OPTIONS, **options})]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
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


def started(**options):
    command = [sys.executable, str(WORKER), json.dumps({**OPTIONS, **options})]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


def wait_for_lines(process, file, count):
    """Wait until a run has written so many lines of metrics."""
    deadline = time.monotonic() + 100
    while not (file.exists() and file.read_text().count("\n") >= count):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.mark.parametrize("model", ["toy-adversaries", "toy-remembering"])
def test_a_killed_process_leaves_a_run_that_goes_on_to_the_same_weights(maps, tmp_path, model):
    options = {"steps": 150, "precision": "32"}
    settings = {"log_every": 0, "checkpoint_every": 0}
    process = started(models=[model], out=str(tmp_path), settings=settings, **options)
    wait_for_lines(process, tmp_path / model / "metrics.jsonl", 5)
    process.kill()
    process.communicate()
    with safe_open(tmp_path / model / "checkpoint.safetensors", "pt") as file:
        assert 4 <= json.loads(file.metadata()["about"])["step"] < 150
    options |= {"device": "cpu", "progress": False, "settings": {"log_every": 0}}
    resumed = fit(maps, model, out=tmp_path / model, resume=True, **options)
    whole = fit(maps, model, out=tmp_path / "whole", **options)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value), f"{name} differs"
    assert [line["step"] for line in metrics(tmp_path, model)] == list(range(1, 151))


def test_processes_that_are_started_here_stop_with_one_sentence(tmp_path):
    process = started(models=MODELS[:1], out=str(tmp_path), devices=2, steps=100_000)
    wait_for_lines(process, tmp_path / MODELS[0] / "metrics.jsonl", 5)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2, errors
    assert errors.startswith("Interrupted: stopped by SIGINT after step "), "one sentence and nothing else"
    assert len(errors.splitlines()) == 1, errors
    assert Emulator.load(tmp_path / MODELS[0]).sample(1).shape == (1, 1, 8, 8)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs the list of processes of Linux")
def test_a_process_that_is_lost_ends_the_other_with_a_sentence(tmp_path):
    process = started(models=MODELS[:1], out=str(tmp_path), devices=2, steps=100_000)
    wait_for_lines(process, tmp_path / MODELS[0] / "metrics.jsonl", 5)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    workers = [child for child in children if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()]
    assert len(workers) == 2
    os.kill(int(workers[1]), signal.SIGKILL)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 2, errors
    assert "a training process was lost" in errors.splitlines()[-1]
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers), "no process is left behind"
