"""Speed of `odeint` beside its peers: particles that a graph network moves."""

from __future__ import annotations

from benchmarks.ode_problems import particles
from benchmarks.ode_problems.compare import compare


def main() -> None:
    compare("odes_particles", "thirteen particles moved by a graph network", particles)


if __name__ == "__main__":
    main()
