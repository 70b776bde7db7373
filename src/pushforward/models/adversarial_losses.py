r"""Losses of a critic f and a generator g.

With f the critic's score of a sample (as a probability, the logit of "real"), d = sigmoid(f), and s(u) = log(1 + e^u),

    wasserstein       critic  E f(g(z)) - E f(x)                         generator  -E f(g(z))
    non-saturating    critic  -E log d(x) - E log(1 - d(g(z)))           generator  -E log d(g(z))
    minimax           critic  the same                                   generator  E log(1 - d(g(z)))
    relativistic      critic  E s(f(g(z)) - f(x))                        generator  E s(f(x) - f(g(z)))
    least-squares     critic  (E (f(x) - 1)^2 + E f(g(z))^2) / 2         generator  E (f(g(z)) - 1)^2 / 2

The gradient of the minimax generator vanishes where the critic rejects its samples with confidence, as early in
training. The relativistic critic compares each sample with a real one: a generator that has lost a mode still receives
a gradient from it, since the real samples of that mode score above its own.

Sources: Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661, equation 1 and section 3; Arjovsky, Chintala and
Bottou 2017, https://arxiv.org/abs/1701.07875, equations 2 and 3; Jolicoeur-Martineau 2018,
https://arxiv.org/abs/1807.00734; Mao et al. 2016, https://arxiv.org/abs/1611.04076.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

__all__ = ["LOSSES", "AdversarialLoss", "LossName"]

LossName = Literal["wasserstein", "non-saturating", "minimax", "relativistic", "least-squares"]

Scores = Float[Tensor, " batch"]


@dataclass(frozen=True)
class AdversarialLoss:
    """The losses of critic and generator.

    Attributes:
        critic: function of the scores of real and of generated samples.
        generator: function of the scores of real and of generated samples.
        logged: name of a diagnostic of the critic's scores, and its function.
        paired: whether the generator's loss depends on the scores of real samples.
    """

    critic: Callable[[Scores, Scores], Tensor]
    generator: Callable[[Scores, Scores], Tensor]
    logged: tuple[str, Callable[[Scores, Scores], Tensor]]
    paired: bool = False


def _cross_entropy(real: Scores, fake: Scores) -> Tensor:
    return (functional.softplus(-real) + functional.softplus(fake)).mean()


def _accuracy(threshold: float) -> tuple[str, Callable[[Scores, Scores], Tensor]]:
    return "accuracy", lambda real, fake: 0.5 * ((real > threshold).float() + (fake <= threshold).float()).mean()


LOSSES: dict[str, AdversarialLoss] = {
    "wasserstein": AdversarialLoss(
        lambda real, fake: fake.mean() - real.mean(),
        lambda real, fake: -fake.mean(),
        ("wasserstein", lambda real, fake: real.mean() - fake.mean()),
    ),
    "non-saturating": AdversarialLoss(
        _cross_entropy, lambda real, fake: functional.softplus(-fake).mean(), _accuracy(0.0)
    ),
    "minimax": AdversarialLoss(_cross_entropy, lambda real, fake: -functional.softplus(fake).mean(), _accuracy(0.0)),
    "relativistic": AdversarialLoss(
        lambda real, fake: functional.softplus(fake - real).mean(),
        lambda real, fake: functional.softplus(real - fake).mean(),
        ("accuracy", lambda real, fake: (real > fake).float().mean()),
        paired=True,
    ),
    "least-squares": AdversarialLoss(
        lambda real, fake: 0.5 * ((real - 1).square() + fake.square()).mean(),
        lambda real, fake: 0.5 * (fake - 1).square().mean(),
        _accuracy(0.5),
    ),
}
