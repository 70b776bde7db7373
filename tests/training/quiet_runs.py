"""Runs without output, and what tests compare of them."""

import json
import os
import signal

import torch

from pushforward.training import fit


class SignalAt:
    """A tracker that sends this process a signal at a step, as a user or a batch system would."""

    def __init__(self, step: int, number: signal.Signals = signal.SIGINT) -> None:
        self.step, self.number = step, number

    def log_parameters(self, parameters):
        pass

    def log_metrics(self, step, metrics):
        if step == self.step:
            os.kill(os.getpid(), self.number)

    def close(self):
        pass


def quiet(ensemble, model, out, **options):
    settings = {"log_every": 0, **options.pop("settings", {})}
    return fit(ensemble, model, out=out, progress=False, device="cpu", settings=settings, **options)


def metrics(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def weights(emulator):
    return emulator.model.state_dict()


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), f"{name} differs"
