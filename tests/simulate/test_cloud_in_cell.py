"""Painting and reading: transposes of each other, periodic, with gradients."""

import numpy as np
import pytest
import torch

from pushforward.simulate.cloud_in_cell import CloudInCell
from pushforward.simulate.mesh import density

GRIDS = [(6,), (4, 5), (4, 5, 6)]


def positions(grid, batch=2, count=40, seed=0):
    generator = torch.Generator().manual_seed(seed)
    unit = torch.rand(batch, count, len(grid), generator=generator, dtype=torch.float64)
    return (unit * 3 - 1) * torch.tensor(grid)  # also outside of the box


@pytest.mark.parametrize("grid", GRIDS)
def test_reading_is_the_transpose_of_painting(grid):
    cloud = CloudInCell(positions(grid), grid)
    fields, weight = torch.randn(2, 3, *grid, dtype=torch.float64), torch.randn(2, 40, dtype=torch.float64)
    painted = (fields * cloud.paint(weight)[:, None]).flatten(2).sum(2)
    torch.testing.assert_close(painted, (cloud.read(fields) * weight[..., None]).sum(1))


@pytest.mark.parametrize("grid", GRIDS)
def test_no_matter_is_lost_and_a_constant_is_read_as_it_is(grid):
    cloud = CloudInCell(positions(grid), grid)
    torch.testing.assert_close(cloud.paint().flatten(1).sum(1), torch.full((2,), 40.0, dtype=torch.float64))
    constant = cloud.read(torch.full((2, 1, *grid), 2.5, dtype=torch.float64))
    torch.testing.assert_close(constant, torch.full_like(constant, 2.5))


@pytest.mark.parametrize("grid", GRIDS)
def test_positions_wrap_around(grid):
    x = positions(grid)
    shifted = x + torch.tensor(grid) * torch.tensor([-2, 0, 1][: len(grid)])
    torch.testing.assert_close(CloudInCell(shifted, grid).paint(), CloudInCell(x, grid).paint())


def test_painting_agrees_with_another_implementation():
    x = positions((8, 8, 8), batch=1)
    expected = density((x[0].T / 8).numpy().astype(np.float32), 8) * 40 / 8**3
    np.testing.assert_allclose(CloudInCell(x, (8, 8, 8)).paint()[0], expected, atol=1e-5)


@pytest.mark.parametrize("grid", GRIDS)
def test_gradients_are_those_of_finite_differences(grid):
    x = positions(grid, count=5).requires_grad_()
    fields = torch.randn(2, 2, *grid, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(lambda x: CloudInCell(x, grid).paint(), x)
    torch.autograd.gradcheck(lambda x, fields: CloudInCell(x, grid).read(fields), (x, fields))


def test_simulations_of_a_batch_do_not_mix():
    x = positions((4, 5, 6))
    both = CloudInCell(x, (4, 5, 6)).paint()
    for row in range(2):
        torch.testing.assert_close(CloudInCell(x[row : row + 1], (4, 5, 6)).paint()[0], both[row])
