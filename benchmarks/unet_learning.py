"""Loss of the U-Nets of `benchmarks.unet` after equal training time.

Each learns the velocity of a straight path from noise to maps of `cosmic-web`; their training steps are taken in turn,
by whoever has used the least time so far.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import Tensor

from benchmarks.timing import report
from benchmarks.unet import BATCH, PEERS, networks, step
from pushforward.ensembles import Preprocessing, read

SECONDS = 40.0


def main() -> None:
    ensemble = read("cosmic-web")
    preprocessing = Preprocessing.fit(ensemble.train)
    maps = preprocessing(torch.as_tensor(ensemble.train.take(np.arange(2048)))).float()
    unseen = preprocessing(torch.as_tensor(ensemble.test.take(np.arange(256)))).float()
    torch.manual_seed(0)
    made = networks()
    optimisers = {
        name: torch.optim.AdamW(module.parameters(), lr=1e-3, betas=(0.9, 0.99), fused=True)
        for name, (module, _) in made.items()
    }
    generators = {name: torch.Generator().manual_seed(0) for name in made}
    spent, steps = dict.fromkeys(made, 0.0), dict.fromkeys(made, 0)
    while min(spent.values()) < SECONDS:
        name = min(spent, key=lambda name: spent[name])
        optimiser = optimisers[name]
        start = time.perf_counter()
        for group in optimiser.param_groups:
            group["lr"] = 1e-3 * min(1.0, (steps[name] + 1) / 20) * max(0.02, 1 - spent[name] / SECONDS)
        index = torch.randint(len(maps), (BATCH,), generator=generators[name])
        z, t, velocity = _path(maps[index], generators[name])
        step(made[name][1], optimiser, z, t, velocity, low=True)
        spent[name] += time.perf_counter() - start
        steps[name] += 1

    rows = []
    for name, (module, network) in made.items():
        module.eval()
        generator = torch.Generator().manual_seed(1)
        errors = []
        for part in unseen.split(BATCH):
            z, t, velocity = _path(part, generator)
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
                errors.append((network(z, t).float() - velocity).square().mean())
        rows.append({"network": name, "steps": steps[name], "error of the velocity": torch.stack(errors).mean().item()})
    report(
        "unet_learning",
        "What U-Nets of one size learn in the same time",
        rows,
        notes=[
            f"{SECONDS:.0f} s of training steps each, taken in turn, bfloat16, batches of {BATCH}, the same maps of "
            "`cosmic-web` without conditions.",
            "Mean squared error of the flow-matching velocity on maps not trained on, network units; lower is better. "
            "The least possible is not known and not zero.",
        ],
        packages=PEERS,
    )


def _path(maps: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    noise = torch.randn(maps.shape, generator=generator)
    t = (torch.arange(len(maps)) + torch.rand(len(maps), generator=generator)) / len(maps)
    fraction = t[:, None, None, None]
    return (1 - fraction) * noise + fraction * maps, t, maps - noise


if __name__ == "__main__":
    main()
