"""Speed of the U-Net beside diffusers' UNet2DModel and denoising-diffusion-pytorch's Unet.

All have four resolutions (64, 32, 16 and 8 cells) with 32, 64, 128 and 128 channels, and each peer stands beside one of
ours that has within 5 % as many parameters. They differ in how many convolutions there are at each resolution and in
what stands between them; that is what is measured. Networks of one size need not learn equally well: `unet_learning`
trains each for the same time.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from importlib.machinery import ModuleSpec
from types import ModuleType

import torch
from torch import Tensor, nn

from benchmarks.timing import Timing, report, time_in_turn
from pushforward.networks import UNet
from pushforward.spaces import Field

BATCH, GRID, CALLS = 16, (64, 64), 3
PEERS = ("diffusers", "denoising-diffusion-pytorch")
BLOCKS = {"diffusers": (1, 2, 3, 6), "denoising-diffusion-pytorch": (1, 2, 4, 7)}
WITHIN = 0.05

Network = Callable[[Tensor, Tensor], Tensor]


def networks() -> dict[str, tuple[nn.Module, Network]]:
    """The networks, by name: the module, and how to call it as ``network(x, t)`` with t in [0, 1]."""
    makers = {"diffusers": diffusers, "denoising-diffusion-pytorch": denoising_diffusion_pytorch}
    return {
        name: make()
        for peer in PEERS
        for name, make in ((peer, makers[peer]), (name_of_ours(peer), partial(ours, peer)))
    }


def name_of_ours(peer: str) -> str:
    """The name of our network that is as large as a peer's."""
    return f"pushforward, blocks {BLOCKS[peer]}"


def ours(peer: str) -> tuple[nn.Module, Network]:
    network = UNet(Field(1, GRID, periodic=True), width=32, multipliers=(1, 2, 4, 4), blocks=BLOCKS[peer])
    return network, network


def diffusers() -> tuple[nn.Module, Network]:
    from diffusers import UNet2DModel

    network = UNet2DModel(
        sample_size=GRID[0],
        in_channels=1,
        out_channels=1,
        layers_per_block=1,
        block_out_channels=(32, 64, 128, 128),
        down_block_types=("DownBlock2D",) * 4,
        up_block_types=("UpBlock2D",) * 4,
        add_attention=False,
        norm_num_groups=8,
    )
    return network, lambda x, t: network(x, 1000 * t).sample


def denoising_diffusion_pytorch() -> tuple[nn.Module, Network]:
    with_stand_in_for_torchvision()
    from denoising_diffusion_pytorch.denoising_diffusion_pytorch import Unet

    network = Unet(dim=32, dim_mults=(1, 2, 4, 4), channels=1)
    return network, lambda x, t: network(x, 1000 * t)


def with_stand_in_for_torchvision() -> None:
    """denoising-diffusion-pytorch imports torchvision to read and write pictures, which is not what is measured."""
    if "torchvision" in sys.modules:
        return
    for name in ("torchvision", "torchvision.transforms", "torchvision.utils"):
        module = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        sys.modules[name] = module
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)


def main() -> None:
    torch.manual_seed(0)
    made = networks()
    sizes = {name: sum(parameter.numel() for parameter in module.parameters()) for name, (module, _) in made.items()}
    for peer in PEERS:
        if abs(sizes[name_of_ours(peer)] / sizes[peer] - 1) > WITHIN:
            raise RuntimeError(f"{peer} has {sizes[peer]} parameters, ours {sizes[name_of_ours(peer)]}")
    report(
        "unet",
        "U-Net beside its peers",
        _rows(made, sizes),
        notes=[
            f"Batch of {BATCH} maps of {GRID[0]} x {GRID[1]}; median (fastest - slowest), timed in turn.",
            f"Training step: forward, backward, AdamW (fused). Sampling: {CALLS} calls in a row in inference mode, the "
            "time of one.",
            "bfloat16 is `torch.autocast`. Ratios are to ours of the same size: times in the same precision, and the "
            "peer's float32 to our bfloat16.",
            "All have 32, 64, 128, 128 channels at 64, 32, 16, 8 cells. Ours has as many blocks as its name says, "
            "each of a 3 x 3 and a 1 x 1 convolution, on the way down and up again; of two 3 x 3 each, diffusers has 1 "
            "block down and 2 up, denoising-diffusion-pytorch 2 and 2, both on twice the channels on the way up.",
            "Ours wraps the map around, as periodic fields need; the peers pad with zeros, which costs less.",
            "Self-attention is off in ours and in diffusers; denoising-diffusion-pytorch has it at every resolution.",
        ],
        packages=PEERS,
    )


def _rows(made: dict[str, tuple[nn.Module, Network]], sizes: dict[str, int]) -> list[dict[str, str | int | float]]:
    full, low = _times(made, low=False), _times(made, low=True)
    rows: list[dict[str, str | int | float]] = []
    for peer in PEERS:
        mine = name_of_ours(peer)
        for name in (mine, peer):
            row: dict[str, str | int | float] = {"network": name, "parameters": sizes[name]}
            for work in ("training step", "sampling call"):
                row[f"{work}, float32"] = str(full[work][name])
                row[f"{work}, bfloat16"] = str(low[work][name])
                ratios = [
                    theirs[work][name].median / ours[work][mine].median
                    for theirs, ours in ((full, full), (low, low), (full, low))
                ]
                row[f"{work}: ours is faster by (float32, bfloat16, across)"] = ", ".join(f"{r:.2f}" for r in ratios)
            rows.append(row)
    return rows


def _times(made: dict[str, tuple[nn.Module, Network]], *, low: bool) -> dict[str, dict[str, Timing]]:
    x, t, target = torch.randn(BATCH, 1, *GRID), torch.rand(BATCH), torch.randn(BATCH, 1, *GRID)

    def step_of(module: nn.Module, network: Network) -> Callable[[], None]:
        optimiser = torch.optim.AdamW(module.parameters(), lr=1e-4, fused=True)
        return lambda: step(network, optimiser, x, t, target, low)

    def calls_of(network: Network) -> Callable[[], None]:
        def calls() -> None:
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=low):
                for _ in range(CALLS):
                    network(x, t)

        return calls

    calls = time_in_turn({name: calls_of(pair[1]) for name, pair in made.items()}, repeats=7, warmup=1)
    return {
        "training step": time_in_turn({name: step_of(*pair) for name, pair in made.items()}, repeats=7, warmup=1),
        "sampling call": {
            name: Timing(*(seconds / CALLS for seconds in (timing.median, timing.minimum, timing.maximum)))
            for name, timing in calls.items()
        },
    }


def step(network: Network, optimiser: torch.optim.Optimizer, x: Tensor, t: Tensor, target: Tensor, low: bool) -> None:
    with torch.autocast("cpu", torch.bfloat16, enabled=low):
        output = network(x, t)
    (output.float() - target).square().mean().backward()
    optimiser.step()
    optimiser.zero_grad()


if __name__ == "__main__":
    main()
