"""Densities that take long are evaluated at fewer members, which the page says; others at all, whatever they cost."""

from types import SimpleNamespace

import numpy as np
import pytest
from stand_ins import StandIn, blobs
from test_energy_verdicts import Boltzmann, members  # noqa: F401  (a fixture)

from pushforward.validation import density, energies
from pushforward.validation.density import judge_density
from pushforward.validation.energies import judge_weights
from pushforward.validation.gather import gather


class Clock:
    """Seconds that a calculation says it has taken."""

    def __init__(self, monkeypatch, *modules):
        self.now = 0.0
        for module in modules:
            monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: self.now))


class Slow(StandIn):
    """Blobs with a density that takes some time per member, and a record of the points where it was asked for."""

    def __init__(self, ensemble, clock, seconds):
        self.clock, self.seconds, self.seen = clock, seconds, []
        x = ensemble.take(np.arange(len(ensemble)))
        super().__init__(ensemble, lambda n, c, rng: x[rng.choice(len(x), n)], ("density",), self.density)

    def density(self, x):
        self.clock.now += self.seconds * len(x)
        self.seen += list(x)
        return -np.abs(x).sum(1)


@pytest.fixture
def judged(monkeypatch):
    ensemble = blobs(6000)

    def judge(seconds_per_member, seconds):
        model = Slow(ensemble.train, Clock(monkeypatch, density), seconds_per_member)
        data, heard = gather(model, ensemble.test, watch=lambda *_: None), []
        (verdict,) = judge_density(data, model, heard.append, seconds)
        return verdict, np.array(model.seen), data, heard

    return judge


def test_a_cheap_density_is_evaluated_evenly_over_all_members(judged):
    verdict, seen, data, heard = judged(1e-5, 45.0)
    assert len(seen) == data.count
    assert verdict.value == pytest.approx(np.abs(data.test).sum(1).mean(), abs=1e-5)
    assert verdict.note == ""
    assert heard[-1] == 1.0
    assert sorted(heard) == heard


def test_an_expensive_density_is_evaluated_at_fewer_and_the_page_says_at_how_many(judged):
    verdict, seen, data, _ = judged(0.5, 45.0)
    assert len(seen) == 16 + 32, "the batch after these would have taken until 56 s"
    assert "48 members" in verdict.note
    assert "0.5 s" in verdict.note
    assert "48 test members" in verdict.quantity
    values = np.abs(seen).sum(1)
    assert verdict.error == pytest.approx(values.std(ddof=1) / np.sqrt(48), rel=1e-5)
    assert abs(verdict.value - np.abs(data.test).sum(1).mean()) < 4 * verdict.error


def test_members_of_a_slower_model_are_among_those_of_a_faster(judged):
    _, slow, *_ = judged(0.5, 45.0)
    _, fast, *_ = judged(0.05, 45.0)
    assert len(fast) > 2 * len(slow)
    assert np.array_equal(fast[: len(slow)], slow)


def test_one_batch_is_evaluated_however_long_it_takes(judged):
    verdict, seen, *_ = judged(1e3, 0.0)
    assert len(seen) == 16
    assert verdict.error > 0


@pytest.mark.parametrize(("cost", "expected"), [(1e-6, "1,000"), (0.1, "200"), (10.0, "32")])
def test_weights_are_of_as_many_samples_as_there_is_time_for(members, monkeypatch, cost, expected):  # noqa: F811
    clock = Clock(monkeypatch, energies)

    class Costly(Boltzmann):
        def reweight(self, n, **more):
            clock.now += n * cost
            return super().reweight(n, **more)

    model = Costly(members.train)
    data = gather(model, members.test, watch=lambda *_: None)
    effective = judge_weights(data, model, 20.0)[0]
    assert f"{expected} samples" in effective.quantity
    assert np.isfinite(effective.value)
