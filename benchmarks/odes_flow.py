"""Speed of `odeint` beside its peers: a continuous flow with its divergence."""

from __future__ import annotations

from benchmarks.ode_problems import ffjord
from benchmarks.ode_problems.compare import compare


def main() -> None:
    compare("odes_flow", "a continuous flow of two dimensions", ffjord)


if __name__ == "__main__":
    main()
