"""Speed of `odeint` beside its peers: oscillators of mixed stiffness."""

from __future__ import annotations

from benchmarks.ode_problems import oscillators
from benchmarks.ode_problems.compare import compare


def main() -> None:
    compare("odes_oscillators", "a thousand Van der Pol oscillators", oscillators)


if __name__ == "__main__":
    main()
