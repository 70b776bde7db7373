"""Two processes against one, and processes that are killed."""

import json
import multiprocessing.forkserver
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import worker
from safetensors import safe_open
from safetensors.torch import load_file

from pushforward.emulator import Emulator
from pushforward.training import fit

MODELS = ["toy-gaussian", "toy-adversaries", "toy-remembering", "between"]
OPTIONS = {"models": MODELS, "steps": 12, "precision": "32", "settings": {"log_every": 0}}


@pytest.fixture(scope="module")
def context():
    """Starts a process within milliseconds, as a fork of one that has imported the package and nothing else."""
    found = multiprocessing.get_context("forkserver")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
        found.set_forkserver_preload(["worker"])
        multiprocessing.forkserver.ensure_running()
    return found


@pytest.fixture(scope="module")
def start(context):
    """A function that starts training beside the tests."""

    def begin(out, **options):
        process = context.Process(target=worker.forked, args=(f"{out}/errors", {**OPTIONS, "out": str(out), **options}))
        process.start()
        return process

    return begin


def end(process, out, timeout=300):
    """Exit status of a process, and what it wrote to standard error."""
    process.join(timeout)
    return process.exitcode, (out / "errors").read_text()


def metrics(out, model):
    return [json.loads(line) for line in (out / model / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def alone(tmp_path_factory, start):
    out = tmp_path_factory.mktemp("alone")
    assert end(start(out), out)[0] == 0
    return out


def under_torchrun(out, models, **_):
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", worker.__file__]
    command = [*launcher, json.dumps({**OPTIONS, "out": str(out), "models": models})]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stderr


def with_devices(out, models, start):
    return end(start(out, models=models, devices=2), out)


# Those of ``devices`` are started anew for each model, so one is enough.
@pytest.mark.parametrize(("launch", "models"), [(under_torchrun, MODELS), (with_devices, MODELS[1:2])])
def test_two_processes_see_the_losses_of_one_with_the_joined_batch(alone, start, tmp_path, launch, models):
    status, errors = launch(tmp_path, models=models, start=start)
    assert status == 0, errors[-3000:]
    for model in models:
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


def wait_for_lines(process, file, count):
    """Wait until a run has written so many lines of metrics."""
    deadline = time.monotonic() + 300
    while not (file.exists() and file.read_text().count("\n") >= count):
        assert process.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.mark.parametrize("model", ["toy-adversaries", "toy-remembering"])
def test_a_killed_process_leaves_a_run_that_goes_on_to_the_same_weights(maps, start, tmp_path, model):
    options = {"steps": 150, "precision": "32"}
    settings = {"log_every": 0, "checkpoint_every": 0}
    process = start(tmp_path, models=[model], settings=settings, **options)
    wait_for_lines(process, tmp_path / model / "metrics.jsonl", 5)
    process.kill()
    process.join()
    with safe_open(tmp_path / model / "checkpoint.safetensors", "pt") as file:
        assert 4 <= json.loads(file.metadata()["about"])["step"] < 150
    options |= {"device": "cpu", "progress": False, "settings": {"log_every": 0}}
    resumed = fit(maps, model, out=tmp_path / model, resume=True, **options)
    whole = fit(maps, model, out=tmp_path / "whole", **options)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value), f"{name} differs"
    assert [line["step"] for line in metrics(tmp_path, model)] == list(range(1, 151))


def test_processes_that_are_started_here_stop_with_one_sentence(start, tmp_path):
    process = start(tmp_path, models=MODELS[:1], devices=2, steps=100_000)
    wait_for_lines(process, tmp_path / MODELS[0] / "metrics.jsonl", 5)
    os.kill(process.pid, signal.SIGINT)
    status, errors = end(process, tmp_path)
    assert status == 2, errors
    assert errors.startswith("Interrupted: stopped by SIGINT after step "), "one sentence and nothing else"
    assert len(errors.splitlines()) == 1, errors
    assert Emulator.load(tmp_path / MODELS[0]).sample(1).shape == (1, 1, 8, 8)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs the list of processes of Linux")
def test_a_process_that_is_lost_ends_the_other_with_a_sentence(start, tmp_path):
    process = start(tmp_path, models=MODELS[:1], devices=2, steps=100_000)
    wait_for_lines(process, tmp_path / MODELS[0] / "metrics.jsonl", 5)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    workers = [child for child in children if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()]
    assert len(workers) == 2
    os.kill(int(workers[1]), signal.SIGKILL)
    status, errors = end(process, tmp_path)
    assert status == 2, errors
    assert "a training process was lost" in errors.splitlines()[-1]
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers), "no process is left behind"
