"""Shared by all tests: one thread where tests run side by side, and a run directory that several tests look at."""

from __future__ import annotations

import os
import sys

import pytest
import torch

from pushforward import cli


@pytest.fixture(autouse=True, scope="session")
def _threads():
    if "PYTEST_XDIST_WORKER" in os.environ:
        torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture
def command(monkeypatch):
    """The program itself, called with words; it has to succeed."""

    def call(*words: object) -> None:
        monkeypatch.setattr(sys, "argv", ["pushforward", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert stop.value.code == 0

    return call
