"""Bounds on translations of `field-pairs`: what true pairs allow, for comparison with families that have none.

The correlation r(k) of any deterministic translation is bounded by that of the conditional mean, E[b | a]. Of gas given
matter it is known exactly: gas without its scatter. In both directions it is approximated by a network that learns from
true pairs of other simulations, by the squared error of whitened maps, in which every mode weighs the same.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.stored_results import measure_once
from pushforward.ensembles import Ensemble
from pushforward.ensembles.preprocessing import Preprocessing
from pushforward.models.wavelet_bands import WaveletBands
from pushforward.models.whitened import Whitening
from pushforward.networks.translators import translator
from pushforward.simulate.field_pairs import field_pairs, rendered_gas
from pushforward.spaces import Field
from pushforward.statistics import cross_power_spectrum

__all__ = ["BOX", "conditional_mean_of_gas", "correlation_within", "supervised", "supervised_setting"]

BOX, PAIRS, BATCH, RATE = 100.0, 1200, 16, 2e-3
SPACE = Field(1, (64, 64), periodic=True, box=BOX)


def conditional_mean_of_gas(matter: Tensor) -> Tensor:
    """Gas without scatter, which is E[gas | matter] but for its normalisation."""
    options = {"smoothing": 1.0, "displacement": 0.5, "bias": 0.6, "feedback": 0.5}
    return torch.from_numpy(rendered_gas(matter.numpy(), np.random.default_rng(0), box=BOX, scatter=0.0, **options))


def correlation_within(x: Tensor, y: Tensor) -> np.ndarray:
    """r(k) up to half the Nyquist frequency."""
    found = cross_power_spectrum(x, y, BOX)
    return found.correlation.mean((0, 1))[found.k <= found.k[-1] / 2].numpy()


def supervised(to: str, minutes: float, pairs: Tensor) -> dict[str, Any]:
    """r(k) of a network that was trained on true pairs, with the truth of the pairs given: mean, worst, steps."""
    setting = supervised_setting(minutes, len(pairs))
    return measure_once("translators", f"supervised to {to}", setting, partial(_measured, to, minutes, pairs))


def supervised_setting(minutes: float, judged: int) -> dict[str, Any]:
    return {"minutes": minutes, "pairs": PAIRS, "batch": BATCH, "rate": RATE, "judged": judged}


def _measured(to: str, minutes: float, judged: Tensor) -> dict[str, Any]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    # Simulations of seed 1 are neither those that translators learn from nor those that they are judged by.
    known = torch.from_numpy(field_pairs(PAIRS, 1).x)
    start, end = (0, 1) if to == "b" else (1, 0)
    given, wanted = known[:, start : start + 1], known[:, end : end + 1]
    scores = Preprocessing.fit(Ensemble.from_array(given.numpy(), space=SPACE), "gaussianise")
    before, after = Whitening(SPACE), Whitening(SPACE)
    x = _whitened(before, scores(given))
    y = _whitened(after, wanted - 1)
    bands = WaveletBands(SPACE, 1)
    network = nn.Sequential(_Split(bands), translator(bands.space, "unet", width=32, depth=1), _Merged(bands))
    steps = _trained(network, x, y, 60 * minutes)
    network.eval()
    with torch.no_grad():
        found = [after.inverse(network(before(scores(part)))) for part in judged[:, start : start + 1].split(12)]
    r = correlation_within(torch.cat(found), judged[:, end : end + 1])
    return {"mean": float(r.mean()), "worst": float(r.min()), "steps": steps, "r": [round(float(v), 4) for v in r]}


class _Split(nn.Module):
    """Wavelet coefficients of a map, on a grid half as fine."""

    def __init__(self, bands: WaveletBands) -> None:
        super().__init__()
        self.bands = bands

    def forward(self, x: Tensor) -> Tensor:
        coefficients: Tensor = self.bands(x)
        return coefficients


class _Merged(_Split):
    """The map of wavelet coefficients."""

    def forward(self, x: Tensor) -> Tensor:
        return self.bands.inverse(x.float())


def _whitened(whitening: Whitening, x: Tensor) -> Tensor:
    whitening.update(x)
    whitened: Tensor = whitening(x)
    whitening.eval()
    return whitened


def _trained(network: nn.Module, x: Tensor, y: Tensor, seconds: float) -> int:
    """Steps of the training on augmented pairs, with a rate that decays over so many processor seconds."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, betas=(0.9, 0.99))
    rng, began, step = np.random.default_rng(0), time.process_time(), 0
    while (progress := (time.process_time() - began) / seconds) < 1:
        rows = torch.from_numpy(rng.integers(len(x), size=BATCH))
        pair = torch.stack([x[rows], y[rows]])
        pair = pair.roll(tuple(rng.integers(64, size=2)), (-2, -1)).rot90(int(rng.integers(4)), (-2, -1))
        pair = pair.flip(-1) if rng.integers(2) else pair
        optimiser.param_groups[0]["lr"] = RATE * min(1.0, step / 20 + 0.05) * 0.5 * (1 + np.cos(np.pi * progress))
        with torch.autocast("cpu", torch.bfloat16):
            guess = network(pair[0].contiguous())
        loss = (guess.float() - pair[1]).square().mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        step += 1
    return step
