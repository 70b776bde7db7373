import pytest
import torch

from pushforward.models.linear_series import Basis, Roughness, Rows


def test_coefficients_and_rough_component_have_the_posterior_of_their_joint_gaussian():
    generator = torch.Generator().manual_seed(0)
    times, values = torch.rand(1, 9, generator=generator).sort(1).values, torch.randn(1, 9, 2, generator=generator)
    seen = torch.rand(1, 9, 2, generator=generator) < 0.7
    basis = Basis(*(torch.randn(1, 1, *shape, generator=generator) for shape in ((9, 3), (2, 3), (2, 3, 4))))
    rough = Roughness(*(torch.tensor(each) for each in ([0.7, 1.2], [0.3, 0.1], [0.2, 0.4])))
    log_prob, mean, factor = Rows(times, values, seen, rough).posterior(basis)
    loads = torch.einsum("tf,dfm->dtm", basis.features[0, 0], basis.loadings[0, 0])[seen[0].mT]
    centre = torch.einsum("tf,df->dt", basis.features[0, 0], basis.mean[0, 0])[seen[0].mT]
    within = torch.block_diag(
        *(rough.covariance(times, times)[0] + torch.diag_embed(rough.noise.square()[:, None].expand(2, 9)))
    )
    chosen = seen[0].mT.flatten()
    within = within[chosen][:, chosen]
    observed = values[0].mT[seen[0].mT]
    expected = torch.distributions.MultivariateNormal(centre, within + loads @ loads.T).log_prob(observed)
    torch.testing.assert_close(log_prob[0, 0], expected, atol=1e-3, rtol=1e-4)
    precision = torch.eye(4) + loads.T @ torch.linalg.solve(within, loads)
    torch.testing.assert_close(factor[0, 0] @ factor[0, 0].mT, precision, atol=1e-3, rtol=1e-4)
    pull = loads.T @ torch.linalg.solve(within, observed - centre)
    torch.testing.assert_close(mean[0, 0], torch.linalg.solve(precision, pull), atol=1e-3, rtol=1e-3)


def test_the_rough_component_passes_through_observations_without_noise():
    times = torch.linspace(0, 1, 6)[None]
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(1, 6, 1, generator=generator)
    rough = Roughness(torch.tensor([1.0]), torch.tensor([0.2]), torch.tensor([1e-2]))
    rows = Rows(times, values, torch.ones(1, 6, 1, dtype=torch.bool), rough)
    drawn = rows.rough_posterior(times, torch.zeros(1, 1, 6, 1), torch.zeros(1, 1, 1, 6))
    torch.testing.assert_close(drawn[0], values, atol=0.02, rtol=0)
    far = rows.rough_posterior(times + 50, torch.zeros(1, 1, 6, 1), torch.randn(500, 1, 1, 6, generator=generator))
    assert far.std() == pytest.approx(1.0, abs=0.1)
