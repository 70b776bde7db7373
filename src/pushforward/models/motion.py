r"""State of a latent ODE: oscillators by amplitude and phase, and slowly varying coordinates.

The state is the growth :math:`\rho_k` and the phase :math:`\theta_k` of P oscillators since time zero, and m more
coordinates s. They obey

.. math::
    \frac{d \log \rho_k}{dt} = -q\, \gamma_k, \qquad
    \frac{d \theta_k}{dt} = r\, \omega_k, \qquad
    \frac{ds}{dt} = q\, (n - s), \qquad
    (\gamma, \omega, n) = N(A \rho, s, z, c), \qquad \rho_k(0) = 1, \quad \theta_k(0) = 0

with a network N of the amplitudes, of s, and of the series' code z and condition c, on which the amplitudes A(z, c) at
time zero depend as well; the dampings :math:`\gamma_k` and frequencies :math:`\omega_k` are positive, and the latter
bounded. This is the normal form of damped oscillators, whose frequency and damping may depend on the amplitudes:
amplitudes and phases change smoothly at any frequency, so that a few equal steps of a solver cover dozens of periods.
The rate r is that at which series change, and the slow rate q is a tenth of it. A nonlinear oscillation has harmonics
of its frequency, whose amplitudes go with the powers of its own; hence the waves :math:`\rho^h \cos h \theta` and
:math:`\rho^h \sin h \theta`.

Source: Guckenheimer and Holmes 1983, Nonlinear Oscillations, Dynamical Systems, and Bifurcations of Vector Fields,
section 3.3, for normal forms.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.dynamics import shared_step
from pushforward.dynamics.tableau import RK4

__all__ = ["Bent", "Motion", "cubic_basis"]


class Bent(nn.Module):
    """A linear map plus a network of one hidden layer that starts at zero."""

    def __init__(self, inputs: int, outputs: int, width: int) -> None:
        super().__init__()
        self.told, self.straight = nn.Linear(inputs, width), nn.Linear(inputs, outputs)
        self.push = nn.Linear(width, outputs, bias=False)
        nn.init.zeros_(self.push.weight)

    def forward(self, context: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        return self.straight(context) + self.push(nn.functional.silu(self.told(context)))


class Motion(nn.Module):
    r"""Features of the state at any times, per context: (count, batch, context) and (batch, T) to (count, batch, T, f).

    The f = 2 pairs harmonics + slow + 1 features are the harmonics h = 1, 2, ... of all oscillators,
    :math:`\rho^h \cos h \theta` and then :math:`\rho^h \sin h \theta`, the slow coordinates, and one.

    Arguments:
        context: length of the code and the condition together.
        pairs, slow: numbers of oscillators and of slow coordinates.
        width: hidden features of the networks.
        steps: equal Runge-Kutta steps over times from 0 to 1, continued beyond.
        harmonics: number of waves per oscillator.
    """

    rate: Tensor

    # Initial angular frequencies, in units of the rate, and initial damping.
    slowest, fastest = 0.4, 1.6
    # Bound on the angular frequencies, in units of the rate.
    highest = 4.0
    first_damping = -3.0
    # Bound on the log of an amplitude: codes far out in the prior must not overflow.
    log_amplitude_limit = 8.0
    # Slow rate, in units of the rate.
    slowness = 0.1

    def __init__(self, context: int, pairs: int, slow: int, width: int, steps: int, harmonics: int = 1) -> None:
        super().__init__()
        self.sizes, self.steps, self.harmonics = (pairs, pairs, slow), steps, harmonics
        self.features = 2 * pairs * harmonics + slow + 1
        self.start = Bent(context, pairs + slow, width)
        self.told = nn.Linear(context, width)
        self.seen = nn.Linear(pairs + slow, width, bias=False)
        self.push = nn.Linear(width, 2 * pairs + slow, bias=False)
        self.straight = nn.Linear(context, 2 * pairs + slow)
        nn.init.zeros_(self.push.weight)
        with torch.no_grad():
            bias = self.straight.bias
            bias[:pairs] = self.first_damping
            ratio = torch.logspace(math.log10(self.slowest), math.log10(self.fastest), pairs + 2)[1:-1]
            bias[pairs : 2 * pairs] = torch.logit(ratio / self.highest)
        self.register_buffer("rate", torch.tensor(1.0))

    def forward(
        self, context: Float[Tensor, "count batch context"], times: Float[Tensor, "batch T"]
    ) -> Float[Tensor, "count batch T features"]:
        """Features at non-negative times."""
        pairs, _, slow = self.sizes
        log_amplitude, still = self.start(context).split([pairs, slow], -1)
        amplitude = log_amplitude.clamp(-self.log_amplitude_limit, self.log_amplitude_limit).exp()
        told = tuple(each.flatten(0, 1) for each in (self.told(context), self.straight(context), amplitude))
        y = torch.cat([context.new_zeros(*context.shape[:2], 2 * pairs), still], -1).flatten(0, 1)
        count = max(1, math.ceil(float(times.max()) * self.steps - 1e-6))
        nodes, slopes = self._solved(y, count, *told)
        basis = cubic_basis(times * self.steps, count)
        knots = torch.stack(nodes + slopes).unflatten(1, context.shape[:2])
        growth, angle, still = torch.einsum("btn,nkbs->kbts", basis, knots).split(self.sizes, -1)
        waves = [
            size * turn
            for h in range(1, 1 + self.harmonics)
            for size in [(h * growth).exp()]
            for turn in ((h * angle).cos(), (h * angle).sin())
        ]
        return torch.cat([*waves, still, growth.new_ones(*growth.shape[:-1], 1)], -1)

    def _solved(self, y: Tensor, count: int, *told: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """The solution after 0 to ``count`` classical Runge-Kutta steps, and slopes times the step."""
        dt = 1 / self.steps
        nodes, slopes = [y], []
        for _ in range(count):
            y, (first, *_) = shared_step(RK4, lambda y, _: self.slope(y, *told), y, dt)
            slopes.append(dt * first)
            nodes.append(y)
        slopes.append(dt * self.slope(y, *told))
        return nodes, slopes

    def slope(
        self,
        y: Float[Tensor, "batch numbers"],
        told: Float[Tensor, "batch width"],
        straight: Float[Tensor, "batch numbers"],
        amplitude: Float[Tensor, "batch pairs"],
    ) -> Float[Tensor, "batch numbers"]:
        """Time derivative of (log of growth, angle, slow coordinates)."""
        growth, _, still = y.split(self.sizes, -1)
        known = torch.cat([amplitude * growth.exp(), still], -1)
        hidden = torch.sigmoid(torch.addmm(told, known, self.seen.weight.t()))
        damping, tempo, drift = torch.addmm(straight, hidden, self.push.weight.t()).split(self.sizes, -1)
        # Relaxation must stay slow compared with a step of the solver, at any rate.
        q = min(self.slowness * float(self.rate), float(self.steps))
        turning = (self.highest * float(self.rate)) * torch.sigmoid(tempo)
        return torch.cat([-q * nn.functional.softplus(damping), turning, q * (drift - still)], -1)


def cubic_basis(times: Float[Tensor, "batch T"], intervals: int) -> Float[Tensor, "batch T 2*nodes"]:
    """Hermite cubic basis: coefficients of the values at 0, 1, ..., ``intervals`` and then of the slopes, per time."""
    before = times.long().clamp(0, intervals - 1)[..., None]
    u = times[..., None] - before
    v = 1 - u
    weights = torch.cat([(1 + 2 * u) * v**2, u**2 * (3 - 2 * u), u * v**2, -(u**2) * v], -1)
    columns = torch.cat([before, before + 1, before + intervals + 1, before + intervals + 2], -1)
    return times.new_zeros(*times.shape, 2 * intervals + 2).scatter(2, columns, weights)
