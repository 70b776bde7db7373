"""Changes of the defaults of flow matching whose effect `benchmarks.learning` measures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.conditions import Condition
from pushforward.models import Turn
from pushforward.models.denoising_networks import samples_per_time
from pushforward.models.flow_matching import FlowMatching
from pushforward.models.model import Batch
from pushforward.networks import time_network
from pushforward.spaces import Field
from pushforward.transforms import Haar
from pushforward.transport import target

__all__ = ["Change", "of_fields", "of_vectors"]

Change = tuple[str | type[FlowMatching], dict[str, Any], float]
"""Family, settings, and steps in units of those of the defaults."""


class Undamped(FlowMatching):
    """The network's output is added as it is."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.gaussian.undecided = lambda found, moment, condition: found


class Plain(Undamped):
    """The network sees the noisy field alone, and its output is added as it is."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.gaussian.whiten = lambda z, moment, condition: torch.zeros_like(z)


class MeasuredInData(FlowMatching):
    """The squared error of a velocity counts t^2 times: as that of the data."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.measured_in = "data"


class MeasuredInNoise(FlowMatching):
    """The squared error of a velocity counts (1 - t)^2 times: as that of the noise."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.measured_in = "noise"


class Balanced(FlowMatching):
    """The squared error is divided by its running mean in one of 16 intervals of time, as in Karras et al. 2024."""

    mean: Tensor

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.register_buffer("mean", torch.ones(16))

    def turns(self, batches: Iterator[Batch]) -> Iterator[Turn]:
        batch = next(batches)
        alike = samples_per_time(self.network, batch) if self.tells_time else 1
        t, noise = self.times(batch.draws.shared(alike)).repeat_interleave(alike), self.noise(batch)
        moment = self.path.at(t.reshape(-1, *[1] * len(self.space.shape)))
        value = self._output(moment.mix(batch.x, noise), moment, self.withheld(batch), alike)
        error = (value - target(self.prediction, batch.x, noise, moment)).square().flatten(1).mean(1)
        if self.training:
            interval = (t * len(self.mean)).long()
            usual = self.mean[interval]
            self.mean.index_add_(0, interval, (error.detach() - usual) / 100)
            error = error / usual
        yield Turn("model", error.mean(), {})


class OwnTimes(FlowMatching):
    """Each sample of a batch has a time of its own."""

    tells_time = False


class Halved(nn.Module):
    """A U-Net on the Haar wavelet coefficients of a field, without the finest of its grids."""

    def __init__(self, space: Field, condition: Any, width: int, multipliers: tuple[int, ...]) -> None:
        super().__init__()
        cells, axes = tuple(cells // 2 for cells in space.grid), len(space.grid)
        coarse = Field(space.channels * 2**axes, cells, periodic=space.periodic)
        self.haar = Haar()
        self.unet = time_network(
            coarse, condition, width=width, multipliers=multipliers, in_channels=2 * coarse.channels
        )

    def forward(self, x: Tensor, t: Tensor, condition: Condition | None = None) -> Tensor:
        return self.haar.inverse(self.unet(self.haar(x)[0], t, condition).float())[0]


class Bands(FlowMatching):
    """Fields are halved to wavelet bands below the U-Net; all else as in the default network."""

    width, multipliers = 32, (1, 2, 2)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        assert isinstance(self.space, Field)
        self.network = Halved(self.space, self.condition, self.width, self.multipliers)


class WideBands(Bands):
    width = 48


def of_fields() -> dict[str, Change]:
    plain: str | type[FlowMatching] = "flow-matching"
    return {
        "defaults": (plain, {}, 1),
        "output not damped": (Undamped, {}, 1),
        "nor the whitened field shown": (Plain, {}, 1),
        "Adam": (plain, {"optimiser": "adam", "learning_rate": 2e-3}, 1),
        "Adam, neither damped nor whitened": (Plain, {"optimiser": "adam", "learning_rate": 2e-3}, 1),
        "SOAP": (plain, {"optimiser": "soap"}, 1),
        "SOAP, half the learning rate": (plain, {"optimiser": "soap", "learning_rate": 2e-3}, 1),
        "half the learning rate": (plain, {"learning_rate": 2e-3}, 1),
        "twice the learning rate": (plain, {"learning_rate": 8e-3}, 1),
        "linear decay": (plain, {"rate_schedule": "linear"}, 1),
        "constant rate": (plain, {"rate_schedule": "constant"}, 1),
        "average of half the width": (plain, {"average": 0.05}, 1),
        "average of 1.5 times the width": (plain, {"average": 0.15}, 1),
        "logit-normal times": (plain, {"time_sampling": "logit-normal"}, 1),
        "error as of the data": (MeasuredInData, {}, 1),
        "error as of the noise": (MeasuredInNoise, {}, 1),
        "error balanced over time": (Balanced, {}, 1),
        "half the batch, twice the steps": (plain, {"batch_size": 4}, 2),
        "twice the batch, half the steps": (plain, {"batch_size": 16}, 0.5),
        "twice the batch": (plain, {"batch_size": 16}, 1),
        "no symmetries": (plain, {"augment": False}, 1),
        "width 12": (plain, {"width": 12}, 1),
        "width 24": (plain, {"width": 24}, 1),
        "two blocks a resolution": (plain, {"depth": 2}, 1),
        "width 12, two blocks": (plain, {"width": 12, "depth": 2}, 1),
        "twice the channels at the coarsest": (plain, {"multipliers": (1, 2, 4, 8)}, 1),
        "half the channels at the coarsest": (plain, {"multipliers": (1, 2, 2, 2)}, 1),
        "wavelet bands": (Bands, {}, 1),
        "wavelet bands, 1.5 times the width": (WideBands, {}, 1),
        "transformer of patches": (plain, {"network": "transformer"}, 1),
    }


def of_vectors(rate: float, width: int) -> dict[str, Change]:
    """Changes for vectors.

    Arguments:
        rate, width: learning rate and width that are changed.
    """
    plain: str | type[FlowMatching] = "flow-matching"
    changes: dict[str, Change] = {
        "defaults": (plain, {}, 1),
        "Muon": (plain, {"optimiser": "muon"}, 1),
        "Muon, half the learning rate": (plain, {"optimiser": "muon", "learning_rate": rate / 2}, 1),
        "Muon, twice the learning rate": (plain, {"optimiser": "muon", "learning_rate": 2 * rate}, 1),
        "Muon, 4 times the learning rate": (plain, {"optimiser": "muon", "learning_rate": 4 * rate}, 1),
        "SOAP, twice the learning rate": (plain, {"optimiser": "soap", "learning_rate": 2 * rate}, 1),
        "half the learning rate": (plain, {"learning_rate": rate / 2}, 1),
        "twice the learning rate": (plain, {"learning_rate": 2 * rate}, 1),
        "4 times the learning rate": (plain, {"learning_rate": 4 * rate}, 1),
        "second moments over 1000 steps": (plain, {"betas": (0.9, 0.999)}, 1),
        "linear decay": (plain, {"rate_schedule": "linear"}, 1),
        "constant rate": (plain, {"rate_schedule": "constant"}, 1),
        "average of half the width": (plain, {"average": 0.05}, 1),
        "average of 1.5 times the width": (plain, {"average": 0.15}, 1),
        "a time for each sample": (OwnTimes, {}, 1),
        "logit-normal times": (plain, {"time_sampling": "logit-normal"}, 1),
        "error as of the data": (MeasuredInData, {}, 1),
        "error as of the noise": (MeasuredInNoise, {}, 1),
        "error balanced over time": (Balanced, {}, 1),
        "half the batch, twice the steps": (plain, {"batch_size": 512}, 2),
        "a quarter of the batch, 4 times the steps": (plain, {"batch_size": 256}, 4),
        "an eighth of the batch, 8 times the steps": (plain, {"batch_size": 128}, 8),
        "half the width": (plain, {"width": width // 2}, 1),
        "twice the width": (plain, {"width": 2 * width}, 1),
        "two blocks": (plain, {"depth": 2}, 1),
        "four blocks": (plain, {"depth": 4}, 1),
    }
    return {name: (family, {"learning_rate": rate, **own}, steps) for name, (family, own, steps) in changes.items()}
