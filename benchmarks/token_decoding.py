"""Sampling of sequences: cached keys and values compared with full passes, and tokens in blocks with one by one.

`autoregressive` and `tarflow` are trained on digits (8 x 8 cells, 150 steps each). With cached keys and values a step
of sampling evaluates one token, otherwise all of them. `tarflow` can solve a block of tokens at a time as a fixed
point, which gives the same samples. Times are processor time of one core, measured in alternation.

    python -m benchmarks token_decoding
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import pushforward as pf
from benchmarks.flow_peers import processor_in_turn
from benchmarks.timing import report
from pushforward.ensembles import builtin
from pushforward.models import Model
from pushforward.randomness import Draws

STEPS, BATCHES, BLOCKS, ROUNDS = 150, (1, 16), (1, 4, 8, 16, 64), 3
SETTINGS = {
    "autoregressive": {"width": 64, "depth": 3},
    "tarflow": {"patch": 1, "width": 64, "depth": 2, "transforms": 4},
}


def main() -> None:
    rows = []
    for batch in BATCHES:
        rows += cached(trained("autoregressive"), batch)
        rows += in_blocks(trained("tarflow"), batch)
    notes = [
        "64 tokens of one cell each; digits, trained for 150 steps",
        "difference: the largest of samples from those of the first row, network units, float32",
    ]
    report("token_decoding", "Samples of sequences", rows, notes=notes)


@cache
def trained(family: str) -> Model:
    """The model of a family, trained on digits."""
    with tempfile.TemporaryDirectory() as folder:
        emulator = pf.fit(
            builtin.simulate("digits", labels=False), family, steps=STEPS, settings=SETTINGS[family],
            out=Path(folder) / "run", device="cpu", progress=False,
        )  # fmt: skip
    return emulator.model


def timed(family: str, ways: Mapping[str, Callable[[], Tensor]], batch: int) -> list[dict[str, Any]]:
    """A row per way of sampling, compared with the first."""
    samples = {name: way() for name, way in ways.items()}
    times = processor_in_turn(ways, ROUNDS)
    first = next(iter(ways))
    return [
        {
            "family": family,
            "samples": batch,
            "tokens found": name,
            "a sampling": str(times[name]),
            "times faster": f"{times[first].median / times[name].median:.1f}",
            "difference": f"{float((samples[name] - samples[first]).abs().max()):.1e}",
        }
        for name in ways
    ]


@torch.no_grad()
def cached(model: Any, batch: int) -> list[dict[str, Any]]:
    """Rows of `autoregressive`: by full passes, and with cached keys and values."""

    def whole() -> Tensor:
        uniform = Draws(0, batch).uniform(model.space.size, 2)
        values = torch.zeros(batch, model.space.size)
        for place in range(model.space.size):
            raw = model.net(model._seen(values, model.channel), None)
            at = slice(place, place + 1)
            values[:, at] = model._draw(raw[:, at], uniform[:, at], model.channel[at])
        return model._sample_of(values)

    ways = {"by a whole pass each": whole, "with keys and values kept": lambda: model.sample(Draws(0, batch))}
    return timed("autoregressive", ways, batch)


@torch.no_grad()
def in_blocks(model: Any, batch: int) -> list[dict[str, Any]]:
    """Rows of `tarflow`: tokens one by one, and in blocks."""

    def drawn(block: int) -> Tensor:
        return model.sample(Draws(0, batch), sampling=model.Sampling(block=block))

    ways = {("one by one" if block == 1 else f"{block} at a time"): partial(drawn, block) for block in BLOCKS}
    return timed("tarflow", ways, batch)
