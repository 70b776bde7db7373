"""Speed of the U-Net beside diffusers' UNet2DModel and denoising-diffusion-pytorch's Unet.

All three have three resolutions (64, 32, 16), 32, 64 and 128 channels there, two 3 x 3 convolutions or more at each,
and within 5 % as many parameters. They differ in what stands between the convolutions; that is what is measured.
Networks of one size need not learn equally well: `unet_learning` trains each for the same time.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType

import torch
from torch import Tensor, nn

from benchmarks.timing import report, time_in_turn
from pushforward.networks import UNet
from pushforward.spaces import Field

BATCH, GRID, CALLS = 16, (64, 64), 3
OURS = "pushforward"
PEERS = ("diffusers", "denoising-diffusion-pytorch")

Network = Callable[[Tensor, Tensor], Tensor]


def networks() -> dict[str, tuple[nn.Module, Network]]:
    """The three networks, by name: the module, and how to call it as ``network(x, t)`` with t in [0, 1]."""
    return {OURS: ours(), PEERS[0]: diffusers(), PEERS[1]: denoising_diffusion_pytorch()}


def ours() -> tuple[nn.Module, Network]:
    network = UNet(Field(1, GRID, periodic=True), width=32, multipliers=(1, 2, 4), blocks=(1, 3, 5), attention=True)
    return network, network


def diffusers() -> tuple[nn.Module, Network]:
    from diffusers import UNet2DModel

    network = UNet2DModel(
        sample_size=GRID[0],
        in_channels=1,
        out_channels=1,
        layers_per_block=1,
        block_out_channels=(32, 64, 128),
        down_block_types=("DownBlock2D",) * 3,
        up_block_types=("UpBlock2D",) * 3,
        add_attention=False,
        norm_num_groups=8,
    )
    return network, lambda x, t: network(x, 1000 * t).sample


def denoising_diffusion_pytorch() -> tuple[nn.Module, Network]:
    with_stand_in_for_torchvision()
    from denoising_diffusion_pytorch.denoising_diffusion_pytorch import Unet

    network = Unet(dim=32, dim_mults=(1, 2, 4), channels=1)
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
    for name in PEERS:
        if abs(sizes[OURS] / sizes[name] - 1) > 0.05:
            raise RuntimeError(f"{OURS} has {sizes[OURS]} parameters, {name} has {sizes[name]}: not the same size")
    report(
        "unet",
        "U-Net beside its peers",
        [row for low in (False, True) for row in _speeds(made, sizes, low)],
        notes=[
            f"Batch of {BATCH} maps of {GRID[0]} x {GRID[1]}; median (fastest - slowest), timed in turn.",
            f"Training step: forward, backward, AdamW (fused). Sampling: {CALLS} calls in a row in inference mode, the "
            "time of one.",
            "bfloat16 is `torch.autocast`; ratios are to the peer in the same precision.",
            "All have 32, 64, 128 channels at 64, 32, 16 cells. Ours has 1, 3, 5 blocks of a 3 x 3 and a 1 x 1 "
            "convolution there, on the way down and up again; diffusers has 1 block down and 2 up of two 3 x 3 each, "
            "denoising-diffusion-pytorch 2 and 2.",
            "Ours wraps the map around, as periodic fields need; the peers pad with zeros, which costs less.",
            "Self-attention: ours once, at 16 cells; diffusers none; denoising-diffusion-pytorch at every resolution.",
        ],
        packages=PEERS,
    )


def _speeds(
    made: dict[str, tuple[nn.Module, Network]], sizes: dict[str, int], low: bool
) -> list[dict[str, str | float]]:
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

    steps = time_in_turn({name: step_of(*pair) for name, pair in made.items()}, repeats=7, warmup=1)
    calls = time_in_turn({name: calls_of(pair[1]) for name, pair in made.items()}, repeats=5, warmup=1)
    return [
        {
            "network": name,
            "parameters": sizes[name],
            "precision": "bfloat16" if low else "float32",
            "training step": str(steps[name]),
            "ours is faster, training": steps[name].median / steps[OURS].median,
            "sampling call (ms)": 1e3 * calls[name].median / CALLS,
            "ours is faster, sampling": calls[name].median / calls[OURS].median,
        }
        for name in made
    ]


def step(network: Network, optimiser: torch.optim.Optimizer, x: Tensor, t: Tensor, target: Tensor, low: bool) -> None:
    with torch.autocast("cpu", torch.bfloat16, enabled=low):
        output = network(x, t)
    (output.float() - target).square().mean().backward()
    optimiser.step()
    optimiser.zero_grad()


if __name__ == "__main__":
    main()
