r"""Explicit Runge-Kutta methods as data.

One step from :math:`(t, y)` to :math:`t + h` takes

.. math:: k_i = f(t + c_i h,\ y + h \sum_{j<i} a_{ij} k_j), \qquad y' = y + h \sum_i b_i k_i,

and, where the method has one, the error estimate :math:`h \sum_i e_i k_i`. Between the ends,
:math:`y(t + \theta h) = y + h \sum_i k_i \sum_p d_{ip} \theta^{p+1}`; a method without its own interpolant uses the
cubic Hermite polynomial through the ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

__all__ = ["BOGACKI_SHAMPINE", "DORMAND_PRINCE", "EULER", "HEUN", "MIDPOINT", "RK4", "TSITOURAS", "Tableau"]

Rows = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Tableau:
    """Coefficients of a method.

    Attributes:
        order: of the propagated solution.
        a, b, c: Butcher's coefficients; row i of ``a`` has i entries.
        error: weights of the error estimate; empty for a fixed-step method. One entry more than ``b`` includes the
            derivative at the end of the step.
        error_order: order of the embedded solution: the error estimate falls as ``h ** (error_order + 1)``.
        error_low: a second estimate of lower order, for Dormand and Prince's eighth-order method, which combines two.
        dense: rows of the interpolating polynomial, one per stage (the derivative at the end included).
        dense_extra: stages that only the interpolant needs: ``(c, a-row)`` each.
        reference: source of the coefficients.
    """

    name: str
    order: int
    a: Rows
    b: tuple[float, ...]
    c: tuple[float, ...]
    reference: str
    error: tuple[float, ...] = ()
    error_order: int = 0
    error_low: tuple[float, ...] = ()
    dense: Rows = ()
    dense_extra: tuple[tuple[float, tuple[float, ...]], ...] = ()

    @property
    def adaptive(self) -> bool:
        return bool(self.error)

    @cached_property
    def terms(self) -> tuple[tuple[tuple[int, float], ...], ...]:
        """Non-zero weights with their stages, for each stage after the first and then for the whole step."""
        return tuple(tuple((j, w) for j, w in enumerate(row) if w) for row in (*self.a[1:], self.b))

    @property
    def first_same_as_last(self) -> bool:
        """Whether the last stage is the derivative at the end of the step, and so the first of the next."""
        return self.c[-1] == 1.0 and self.a[-1] == self.b[:-1] and self.b[-1] == 0.0

    @property
    def calls(self) -> int:
        """Evaluations of the vector field per step; a derivative at the end counts for the next step."""
        return len(self.b) - 1 if self.first_same_as_last else len(self.b)


EULER = Tableau(
    name="euler", order=1, a=((),), b=(1.0,), c=(0.0,),
    reference="Euler, Institutionum calculi integralis (1768)",
)  # fmt: skip

MIDPOINT = Tableau(
    name="midpoint", order=2, a=((), (1 / 2,)), b=(0.0, 1.0), c=(0.0, 1 / 2),
    reference="Runge, Math. Ann. 46, 167 (1895)",
)  # fmt: skip

HEUN = Tableau(
    name="heun", order=2, a=((), (1.0,)), b=(1 / 2, 1 / 2), c=(0.0, 1.0),
    reference="Heun, Z. Math. Phys. 45, 23 (1900)",
)  # fmt: skip

RK4 = Tableau(
    name="rk4", order=4,
    a=((), (1 / 2,), (0.0, 1 / 2), (0.0, 0.0, 1.0)),
    b=(1 / 6, 1 / 3, 1 / 3, 1 / 6), c=(0.0, 1 / 2, 1 / 2, 1.0),
    reference="Kutta, Z. Math. Phys. 46, 435 (1901)",
)  # fmt: skip

BOGACKI_SHAMPINE = Tableau(
    name="bosh3", order=3,
    a=((), (1 / 2,), (0.0, 3 / 4), (2 / 9, 1 / 3, 4 / 9)),
    b=(2 / 9, 1 / 3, 4 / 9, 0.0), c=(0.0, 1 / 2, 3 / 4, 1.0),
    error=(2 / 9 - 7 / 24, 1 / 3 - 1 / 4, 4 / 9 - 1 / 3, -1 / 8), error_order=2,
    reference="Bogacki & Shampine, Appl. Math. Lett. 2, 321 (1989)",
)  # fmt: skip

DORMAND_PRINCE = Tableau(
    name="dopri5", order=5,
    a=(
        (),
        (1 / 5,),
        (3 / 40, 9 / 40),
        (44 / 45, -56 / 15, 32 / 9),
        (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
        (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
        (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
    ),
    b=(35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84, 0.0),
    c=(0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0),
    error=(
        35 / 384 - 5179 / 57600, 0.0, 500 / 1113 - 7571 / 16695, 125 / 192 - 393 / 640,
        -2187 / 6784 + 92097 / 339200, 11 / 84 - 187 / 2100, -1 / 40,
    ),
    error_order=4,
    dense=(
        (1.0, -8048581381 / 2820520608, 8663915743 / 2820520608, -12715105075 / 11282082432),
        (0.0, 0.0, 0.0, 0.0),
        (0.0, 131558114200 / 32700410799, -68118460800 / 10900136933, 87487479700 / 32700410799),
        (0.0, -1754552775 / 470086768, 14199869525 / 1410260304, -10690763975 / 1880347072),
        (0.0, 127303824393 / 49829197408, -318862633887 / 49829197408, 701980252875 / 199316789632),
        (0.0, -282668133 / 205662961, 2019193451 / 616988883, -1453857185 / 822651844),
        (0.0, 40617522 / 29380423, -110615467 / 29380423, 69997945 / 29380423),
    ),
    reference="Dormand & Prince, J. Comput. Appl. Math. 6, 19 (1980); interpolant of Shampine, Math. Comp. 46 (1986)",
)  # fmt: skip

TSITOURAS = Tableau(
    name="tsit5", order=5,
    a=(
        (),
        (0.161,),
        (-0.008480655492356989, 0.335480655492357),
        (2.8971530571054935, -6.359448489975075, 4.3622954328695815),
        (5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525),
        (5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401, -0.028269050394068383),
        (
            0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742, -3.290069515436081,
            2.324710524099774,
        ),
    ),
    b=(
        0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742, -3.290069515436081, 2.324710524099774, 0.0,
    ),
    c=(0.0, 0.161, 0.327, 0.9, 0.9800255409045097, 1.0, 1.0),
    error=(
        -0.00178001105222577714, -0.0008164344596567469, 0.007880878010261995, -0.1447110071732629,
        0.5823571654525552, -0.45808210592918697, 0.015151515151515152,
    ),
    error_order=4,
    dense=(
        (1.0, -2.763706197274826, 2.9132554618219126, -1.0530884977290216),
        (0.0, 0.13169999999999998, -0.2234, 0.1017),
        (0.0, 3.9302962368947516, -5.941033872131505, 2.490627285651253),
        (0.0, -12.411077166933676, 30.33818863028232, -16.548102889244902),
        (0.0, 37.50931341651104, -88.1789048947664, 47.37952196281928),
        (0.0, -27.896526289197286, 65.09189467479366, -34.87065786149661),
        (0.0, 1.5, -4.0, 2.5),
    ),
    reference="Tsitouras, Comput. Math. Appl. 62, 770 (2011)",
)  # fmt: skip
