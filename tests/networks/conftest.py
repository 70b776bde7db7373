"""Networks at a state that could have been trained: what starts at zero is moved away from it."""

from __future__ import annotations

import pytest
import torch

from pushforward.spaces import Field, Vector

SPACES = {
    "vector": Vector(3),
    "digits": Field(1, (8, 8)),
    "map": Field(2, (16, 16), periodic=True),
    "odd map": Field(1, (13, 10), periodic=True),
    "odd bounded map": Field(1, (9, 14)),
    "cube": Field(1, (8, 8, 8), periodic=True),
    "bounded cube": Field(2, (6, 5, 7)),
}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture(params=SPACES, ids=lambda name: name.replace(" ", "-"))
def space(request):
    return SPACES[request.param]


@pytest.fixture
def awake():
    """A function that gives every parameter of a network a random part, and returns the network."""

    def wake(network):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        return network

    return wake
