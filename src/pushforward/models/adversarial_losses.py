r"""What a critic f and a generator g minimise.

With f the critic's score of a sample, the logit of "real" where it is read as a probability, d = sigmoid(f),

    wasserstein       critic  E f(g(z)) - E f(x)                         generator  -E f(g(z))
    non-saturating    critic  -E log d(x) - E log(1 - d(g(z)))           generator  -E log d(g(z))
    minimax           critic  the same                                   generator  E log(1 - d(g(z)))

The gradient of the minimax generator vanishes where the critic is sure of its samples, which is early in training.

Sources: Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661, equation 1 and section 3; Arjovsky, Chintala and
Bottou 2017, https://arxiv.org/abs/1701.07875, equations 2 and 3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

__all__ = ["LOSSES", "AdversarialLoss"]

Scores = Float[Tensor, " batch"]


@dataclass(frozen=True)
class AdversarialLoss:
    """The two losses of a game.

    Attributes:
        critic: of the scores of real samples and of generated ones.
        generator: of the scores of generated samples.
        logged: a figure of the critic's scores that tells how the game goes, and its name.
    """

    critic: Callable[[Scores, Scores], Tensor]
    generator: Callable[[Scores], Tensor]
    logged: tuple[str, Callable[[Scores, Scores], Tensor]]


def _cross_entropy(real: Scores, fake: Scores) -> Tensor:
    return (functional.softplus(-real) + functional.softplus(fake)).mean()


def _accuracy(real: Scores, fake: Scores) -> Tensor:
    return 0.5 * ((real > 0).float() + (fake <= 0).float()).mean()


def _distance(real: Scores, fake: Scores) -> Tensor:
    return real.mean() - fake.mean()


LOSSES: dict[str, AdversarialLoss] = {
    "wasserstein": AdversarialLoss(
        lambda real, fake: fake.mean() - real.mean(), lambda fake: -fake.mean(), ("wasserstein", _distance)
    ),
    "non-saturating": AdversarialLoss(
        _cross_entropy, lambda fake: functional.softplus(-fake).mean(), ("accuracy", _accuracy)
    ),
    "minimax": AdversarialLoss(_cross_entropy, lambda fake: -functional.softplus(fake).mean(), ("accuracy", _accuracy)),
}
