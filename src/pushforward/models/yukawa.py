r"""Screened Poisson (Yukawa) process: flow matching with noise that is Cauchy near the data and normal far away.

A data point x is blurred to x + s g, with g standard normal and a random scale s whose mean square is sigma^2 (see
`pushforward.transport.screened`). In the coordinates of a straight line, tau = sigma / (1 + sigma),

    z = (1 - tau) x + tau eps,      eps = (s / sigma) g,      dz/dtau = -x + (2c - tau) / (1 - tau) eps,

and the mean of the last at a point z is the velocity that a network learns by regression. For a large mass c = 1/2 and
this is flow matching. At tau = 1 the noise is standard normal for any mass.

If sigma is small compared with the screening length 1/m, noise of a given mean square is rare and large: most points
hardly move, and a few by about 1/m, as far as the screening allows. In a Poisson flow, by contrast, the noise has no
finite variance.

References:
    Liu et al. 2023, GenPhys, https://arxiv.org/abs/2304.02637
"""

from __future__ import annotations

from collections.abc import Iterator

from jaxtyping import Float
from pydantic import BaseModel
from pydantic import Field as Setting
from torch import Tensor

from pushforward import transport
from pushforward.conditions import Condition, ConditionSpace
from pushforward.errors import UsageError
from pushforward.models.denoising import Denoising
from pushforward.models.denoising_settings import DenoisingSampling, DenoisingSettings
from pushforward.models.model import Batch, Turn
from pushforward.randomness import Draws
from pushforward.spaces import Space
from pushforward.transport import Straight
from pushforward.transport.screened import expansion, relative_variance

__all__ = ["Yukawa"]


class YukawaSettings(DenoisingSettings):
    """
    Attributes:
        mass: m, the inverse of the screening length, in network units, in which the data have unit variance.
    """

    mass: float = Setting(default=3.0, gt=0)


class Yukawa(Denoising):
    """Regression of the velocity of the normalised Yukawa process.

    Samples, codes and densities follow its flow. Samplers based on estimates of data and normal noise (``ddim``,
    ``ancestral``, ``dpm-solver``, ``sde``, ``edm``) do not apply.
    """

    Settings = YukawaSettings
    settings: YukawaSettings

    has_denoiser = False

    # At a sigma of 1e-4 or 1e4 of the data there is nothing to learn.
    margin = 1e-4

    def __init__(
        self, space: Space, condition: ConditionSpace = ConditionSpace(), settings: BaseModel | None = None
    ) -> None:
        super().__init__(space, condition, settings, path=Straight(), prediction="velocity")

    def turns(self, batches: Iterator[Batch]) -> Iterator[Turn]:
        batch = next(batches)
        tau = self.times(batch.draws).clamp(self.margin, 1 - self.margin).view(-1, *[1] * len(self.space.shape))
        noise, factor = self._noise(batch.draws, tau)
        moment = self.path.at(tau)
        value = self._output(moment.mix(batch.x, noise), moment, self.withheld(batch))
        yield Turn("model", (value - (factor * noise - batch.x)).square().mean(), {})

    def sample(self, draws: Draws, condition: Condition | None = None, sampling: BaseModel | None = None) -> Tensor:
        if isinstance(sampling, DenoisingSampling) and sampling.method not in transport.INTEGRATORS:
            raise UsageError(
                f"method={sampling.method} assumes normal noise, but the noise of yukawa is not normal; "
                f"choose one of {', '.join(transport.INTEGRATORS)}"
            )
        return super().sample(draws, condition, sampling)

    def _noise(
        self, draws: Draws, tau: Float[Tensor, "batch *ones"]
    ) -> tuple[Float[Tensor, "batch *shape"], Float[Tensor, "batch *ones"]]:
        """eps, and its coefficient in dz/dtau."""
        ones = [1] * len(self.space.shape)
        # Near tau = 1 the factor is a small difference of large numbers.
        tau = tau.double()
        sigma, mass = tau / (1 - tau), self.settings.mass
        t = mass * sigma**2
        ratio = relative_variance(draws.normal(*ones).double(), draws.uniform(*ones).double(), mass * t).sqrt()
        factor = (2 * expansion(ratio * sigma, t, mass) - tau) / (1 - tau)
        normal = draws.normal(*self.space.shape)
        return ratio.to(normal) * normal, factor.to(normal)
