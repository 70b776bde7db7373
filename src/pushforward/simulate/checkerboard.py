"""Uniform distribution on the black squares of a board."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pushforward.errors import UsageError
from pushforward.simulate.densities import labelled
from pushforward.simulate.simulated import Simulated, simulator

__all__ = ["Board", "checkerboard"]

_HALF = 4.0


@dataclass(frozen=True)
class Board:
    """Uniform density on the black squares of a ``squares`` x ``squares`` board, from -4 to 4 on each axis."""

    squares: int

    def log_prob(self, x: ArrayLike) -> NDArray[np.float64]:
        """Log-density of points ``(N, 2)``, shape ``(N,)``, in nats: -inf off the black squares."""
        place = np.floor((np.asarray(x, dtype=np.float64) + _HALF) / self.side)
        inside = ((place >= 0) & (place < self.squares)).all(axis=-1)
        return np.where(inside & (place.sum(axis=-1) % 2 == 0), -self.entropy, -np.inf)

    @property
    def side(self) -> float:
        """Side length of a square."""
        return 2 * _HALF / self.squares

    @property
    def black(self) -> NDArray[np.int64]:
        """Row and column of each black square, shape ``(count, 2)``."""
        places = np.stack(np.meshgrid(*[np.arange(self.squares)] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
        return places[places.sum(axis=1) % 2 == 0]

    @property
    def entropy(self) -> float:
        """Log of the black area, in nats."""
        return float(np.log(len(self.black) * self.side**2))


@simulator
def checkerboard(count: int, seed: int = 0, *, squares: int = 4) -> Simulated:
    """Uniform on the black squares of a board from -4 to 4 on each axis, shape ``(count, 2)``.

    With four squares per side the entropy is log 32 = 3.466 nats.

    Arguments:
        squares: along each side.

    Raises:
        UsageError: if there are fewer than two squares per side.
    """
    if squares < 2:
        raise UsageError(f"a checkerboard needs at least 2 squares per side; got {squares}")
    rng = np.random.default_rng(seed)
    board = Board(squares)
    corners = board.black[rng.integers(len(board.black), size=count)]
    return labelled(board.side * (corners + rng.random((count, 2))) - _HALF, board)
