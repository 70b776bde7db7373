r"""State of a latent ODE: oscillators by amplitude and phase, and slowly varying coordinates.

The state at time t is P pairs of coordinates :math:`h_k = \rho_k R(\theta_k)\, h_k(0)`, with R a rotation in the plane,
and m more coordinates s. They obey

.. math::
    \frac{d \log \rho_k}{dt} = -q\, \gamma_k, \qquad
    \frac{d \theta_k}{dt} = r\, \omega_k, \qquad
    \frac{ds}{dt} = q\, (n - s), \qquad
    (\gamma, \omega, n) = N(|h|, s, z, c)

with a network N of the amplitudes, of s, and of the series' code z and condition c; the dampings :math:`\gamma_k` and
frequencies :math:`\omega_k` are positive, and the latter bounded. This is the normal form of damped oscillators, whose
frequency and damping may depend on the amplitudes: amplitudes and phases change smoothly at any frequency, so that a
few equal steps of a solver cover dozens of periods. The rate r is that at which series change, and the slow rate q is a
tenth of it.

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
    """A linear map plus a network of one hidden layer that starts at zero.

    Arguments:
        inputs: length of the first input, which may be absent (0).
        context: length of the second input.
    """

    def __init__(self, inputs: int, context: int, outputs: int, width: int) -> None:
        super().__init__()
        self.told, self.straight = nn.Linear(context, width), nn.Linear(context, outputs)
        self.seen = nn.Linear(inputs, width, bias=False) if inputs else None
        self.direct = nn.Linear(inputs, outputs, bias=False) if inputs else None
        self.push = nn.Linear(width, outputs, bias=False)
        nn.init.zeros_(self.push.weight)

    def forward(self, context: Tensor, x: Tensor | None = None) -> Tensor:
        """The map of a context (..., context) and, if present, of the first input (..., T, inputs)."""
        told, straight = self.told(context), self.straight(context)
        if self.seen is None or self.direct is None or x is None:
            return straight + self.push(nn.functional.silu(told))
        hidden = nn.functional.silu(told[..., None, :] + self.seen(x))
        return straight[..., None, :] + self.direct(x) + self.push(hidden)

    def with_derivatives(self, context: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The value, and its derivatives by x and by the context: (..., T, outputs), then of one more dimension."""
        assert self.seen is not None
        assert self.direct is not None
        u = self.told(context)[..., None, :] + self.seen(x)
        gate = torch.sigmoid(u)
        hidden = u * gate
        value = self.straight(context)[..., None, :] + self.direct(x) + self.push(hidden)
        slope = torch.addcmul(gate, hidden, 1 - gate)
        both = torch.cat([self.seen.weight, self.told.weight], 1)
        inner = self.push.weight[:, :, None] * both
        derivatives = torch.einsum("...h,dhi->...di", slope, inner)
        by_x, by_context = derivatives.split([x.shape[-1], context.shape[-1]], -1)
        return value, by_x + self.direct.weight, by_context + self.straight.weight


class Motion(nn.Module):
    """States at any times from contexts, (count, batch, context) and (batch, T) to (count, batch, T, 2 pairs + slow).

    Arguments:
        context: length of the code and the condition together.
        pairs, slow: numbers of oscillators and of slow coordinates.
        width: hidden features of the networks.
        steps: equal Runge-Kutta steps over times from 0 to 1, continued beyond.
    """

    rate: Tensor

    # Initial angular frequencies, in units of the rate, and initial damping.
    slowest, fastest = 0.4, 1.6
    # Bound on the angular frequencies, in units of the rate.
    highest = 4.0
    first_damping = -0.5
    # Slow rate, in units of the rate.
    slowness = 0.1

    def __init__(self, context: int, pairs: int, slow: int, width: int, steps: int) -> None:
        super().__init__()
        self.sizes, self.steps = (pairs, pairs, slow), steps
        self.start = Bent(0, context, 2 * pairs + slow, width)
        self.told = nn.Linear(context, width)
        self.seen = nn.Linear(pairs + slow, width, bias=False)
        self.push = nn.Linear(width, 2 * pairs + slow, bias=False)
        self.straight = nn.Linear(context, 2 * pairs + slow)
        nn.init.zeros_(self.push.weight)
        with torch.no_grad():
            bias = self.straight.bias
            bias[:pairs] = self.first_damping
            bias[pairs : 2 * pairs] = torch.logit(
                torch.logspace(math.log10(self.slowest), math.log10(self.fastest), pairs) / self.highest
            )
        self.register_buffer("rate", torch.tensor(1.0))

    def forward(
        self, context: Float[Tensor, "count batch context"], times: Float[Tensor, "batch T"]
    ) -> Float[Tensor, "count batch T state"]:
        """States at non-negative times."""
        pairs, _, slow = self.sizes
        turning, still = self.start(context).split([2 * pairs, slow], -1)
        first, second = turning.chunk(2, -1)
        # The root of zero has no gradient.
        amplitude = (first.square() + second.square() + 1e-12).sqrt()
        told = tuple(each.flatten(0, 1) for each in (self.told(context), self.straight(context), amplitude))
        y = torch.cat([torch.zeros_like(turning), still], -1).flatten(0, 1)
        count = max(1, math.ceil(float(times.max()) * self.steps - 1e-6))
        nodes, slopes = self._solved(y, count, *told)
        basis = cubic_basis(times * self.steps, count)
        knots = torch.stack(nodes + slopes).unflatten(1, context.shape[:2])
        growth, angle, still = torch.einsum("btn,nkbs->kbts", basis, knots).split(self.sizes, -1)
        size, cosine, sine = growth.exp(), angle.cos(), angle.sin()
        first, second = size * first[:, :, None], size * second[:, :, None]
        return torch.cat([cosine * first - sine * second, sine * first + cosine * second, still], -1)

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
