"""The learned flow of a process: exact where there is nothing to learn, and in the right place where there is."""

from __future__ import annotations

import pytest
import torch
from examples.genphys.process_flow import ProcessFlow
from examples.genphys.processes import PROCESSES, Diffusion, Poisson, process

SPANS = {
    "diffusion": (1e-4, 800.0),
    "poisson": (0.01, 40.0),
    "yukawa": (0.01, 1600.0),
    "helmholtz": (0.01, 40.0),
    "dissipative-wave": (0.01, 1600.0),
}


def test_far_from_the_data_a_poisson_flow_needs_no_network():
    flow = ProcessFlow(Poisson(2), 0.01, 40.0)
    torch.nn.init.zeros_(flow.network[-1].weight)
    torch.nn.init.zeros_(flow.network[-1].bias)
    x = 1e4 * torch.randn(5, 2)
    torch.testing.assert_close(flow(x, torch.full((5, 1), 0.5)), x, rtol=1e-3, atol=0)


@pytest.mark.parametrize("name", list(PROCESSES))
def test_each_process_learns_where_the_data_are(name):
    """Two points at a distance of 2: after some hundred steps samples gather about them."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    flow = ProcessFlow(process(name, 2), *SPANS[name], width=64)
    optimiser = torch.optim.Adam(flow.parameters(), lr=5e-3, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 400)
    for _ in range(400):
        data = torch.tensor([1.0, 0.0]) * (torch.randint(2, (192, 1), generator=generator) * 2 - 1)
        optimiser.zero_grad()
        flow.loss(data, generator).backward()
        optimiser.step()
        schedule.step()
    samples = flow.sample(400, generator, steps=40)
    right = samples[:, 0] > 0
    assert 0.3 < float(right.float().mean()) < 0.7
    distance = (samples - torch.tensor([1.0, 0.0]) * torch.where(right, 1.0, -1.0)[:, None]).norm(dim=1)
    assert float(distance.median()) < 0.65


def test_the_path_ends_in_the_samples():
    flow = ProcessFlow(Diffusion(2), 1e-4, 800.0)
    path = flow.path(3, torch.Generator().manual_seed(0), steps=4)
    assert len(path) == 6
    assert torch.equal(path[-1], flow.sample(3, torch.Generator().manual_seed(0), steps=4))
