"""Trajectories as a source: what is learnt from, what is held out, and nothing changed on the way."""

import numpy as np
import pytest
import torch

from pushforward.ensembles import Ensemble, Trajectories, preprocessing_from_dict, source_of
from pushforward.ensembles.batching import Shard
from pushforward.errors import DataError, UsageError
from pushforward.spaces import Trajectory

SPACE = Trajectory(5, 2, times=(0.1, 0.5, 1.0), box=4.0)


def simulations(count, **options):
    x = np.random.default_rng(0).uniform(0, 4, (count, *SPACE.shape)).astype(np.float32)
    return Ensemble.from_array(x, space=SPACE, **options)


def test_an_ensemble_of_trajectories_is_this_source():
    assert isinstance(source_of(SPACE, simulations(4)), Trajectories)


@pytest.mark.parametrize(("count", "held"), [(1, 0), (2, 0), (3, 2), (20, 4)])
def test_simulations_are_held_out_where_there_are_enough(count, held):
    source = Trajectories(simulations(count))
    source.check()
    assert len(source.train) == count - held
    assert (source.test is None) == (held == 0)


def test_batches_hold_simulations_in_their_own_units_whatever_the_processes():
    ensemble = simulations(6, conditions=np.full((6, 1), 0.3), names=("Omega_m",))
    source = Trajectories(ensemble)
    units = source.preprocessing({})
    options = {"augmented": True, "device": torch.device("cpu")}
    whole, _ = source.batches(units, Shard(2), 7, **options)
    parts = [source.batches(units, Shard(2, rank, 2), 7, **options)[0] for rank in range(2)]
    for number in (1, 2, 3):
        batch = whole(number)
        torch.testing.assert_close(torch.cat([part(number).x for part in parts]), batch.x)
        assert all((row == ensemble.tensor()).flatten(1).all(1).any() for row in batch.x)


def test_the_preprocessing_is_remembered():
    units = Trajectories(simulations(3)).preprocessing({})
    again = preprocessing_from_dict(units.to_dict())
    x = torch.randn(2, *SPACE.shape)
    assert again.space == SPACE
    assert (again.inverse(again(x)) == x).all()


def test_simulations_that_do_not_move_are_refused():
    still = np.repeat(np.random.default_rng(0).uniform(0, 4, (3, 1, *SPACE.shape[1:])), 3, axis=1)
    with pytest.raises(DataError, match="does not move"):
        Trajectories(Ensemble.from_array(still, space=SPACE)).check()


def test_a_transform_is_refused():
    with pytest.raises(UsageError, match="units of the data"):
        Trajectories(simulations(3)).preprocessing({"transform": "log"})


def test_other_ensembles_are_refused():
    with pytest.raises(UsageError, match="trajectories are needed"):
        Trajectories(Ensemble.from_array(np.zeros((4, 2))))
