from dataclasses import replace

import numpy as np
import pytest
import torch

from pushforward.conditions import Condition
from pushforward.ensembles import Ensemble, Preprocessing
from pushforward.ensembles.batch import Batch
from pushforward.ensembles.batching import Order, Resident, Shard, Streamed
from pushforward.models import model_class
from pushforward.randomness import Draws
from pushforward.training.prefetch import Prefetched, supply


def test_every_member_is_seen_once_an_epoch_in_a_new_order():
    order = Order(10, seed=3)
    epochs = order(range(30)).reshape(3, 10)
    assert (np.sort(epochs, axis=1) == np.arange(10)).all()
    assert (epochs[0] != epochs[1]).any()


def test_the_order_does_not_depend_on_where_one_begins():
    whole = Order(7, seed=1)(range(60))
    for start in (0, 5, 20, 33):
        assert (Order(7, seed=1)(range(start, start + 16)) == whole[start : start + 16]).all()


def test_parts_of_a_batch_join_to_the_batch(maps):
    preprocessing = Preprocessing.fit(maps)
    whole = Streamed(maps, preprocessing, Shard(12), seed=5)
    parts = [Streamed(maps, preprocessing, Shard(12, rank, 3), seed=5) for rank in range(3)]
    for step in (1, 2, 9):
        batch, pieces = whole(step), [part(step) for part in parts]
        joined = torch.cat([piece.x for piece in pieces])
        assert torch.equal(batch.x, joined), "augmentation must not depend on the process"
        condition = Condition.cat([piece.condition for piece in pieces])
        assert torch.equal(batch.condition.numbers, condition.numbers)
        assert torch.equal(batch.draws.normal(2), torch.cat([piece.draws.normal(2) for piece in pieces]))


def test_augmented_maps_are_the_same_values_in_other_places(maps):
    preprocessing = Preprocessing.fit(maps)
    seen = Streamed(maps, preprocessing, Shard(16), seed=0)(number=1).x
    plain = Streamed(maps, preprocessing, Shard(16), seed=0, augmented=False)(number=1).x
    assert not torch.equal(seen, plain)
    assert torch.equal(seen.flatten(1).sort().values, plain.flatten(1).sort().values)


def test_random_crops_depend_on_the_place_in_the_order_alone():
    field = np.arange(4 * 30 * 40, dtype=np.float32).reshape(4, 30, 40)
    from pushforward.ensembles import read

    crops = read(field, crop=8).train
    preprocessing = Preprocessing.fit(crops, transform="standardise")
    joined = Streamed(crops, preprocessing, Shard(6), seed=2)(number=4).x
    second = Streamed(crops, preprocessing, Shard(6, 1, 2), seed=2)(number=4).x
    assert torch.equal(joined[3:], second)
    assert not torch.equal(joined, Streamed(crops, preprocessing, Shard(6), seed=2, augmented=False)(number=5).x)


def test_a_resident_ensemble_gives_the_same_batches_as_one_that_is_read(points):
    preprocessing = Preprocessing.fit(points)
    held = Resident(points, preprocessing, Shard(8), 4, torch.device("cpu"))
    read = Streamed(points, preprocessing, Shard(8), seed=4)
    for step in (1, 30):
        assert torch.allclose(held(step).x, read(step).x, atol=1e-6)


def test_a_batch_larger_than_the_ensemble_goes_round():
    few = Ensemble.from_array(np.arange(20.0).reshape(10, 2))
    x = Streamed(few, Preprocessing.fit(few), Shard(25), seed=0)(number=1).x
    assert len(x) == 25


def test_batches_made_ahead_come_in_order_and_errors_reach_the_loop():
    def source(number):
        if number == 5:
            raise ValueError("member 17 is not finite")
        return Batch(torch.tensor([number]), None, Draws(number, 1))

    ahead = Prefetched(source, 3, lambda batch: replace(batch, x=10 * batch.x), depth=2)
    assert [next(ahead).x.item() for _ in range(2)] == [30, 40]
    with pytest.raises(ValueError, match="member 17"):
        next(ahead)
    ahead.close()


def test_noise_that_is_found_ahead_does_not_depend_on_where_one_begins(points):
    preprocessing, shard, device = Preprocessing.fit(points), Shard(32), torch.device("cpu")
    collate = model_class("ot-flow-matching")(points.space).collate
    source = Resident(points, preprocessing, shard, 4, device)
    later = supply(source, 3, device, collate, ready=True)
    assert isinstance(later, Prefetched), "plans must not be made between two steps"
    for number in (3, 4):
        made, expected = next(later), collate(source(number))
        assert torch.equal(made.x, expected.x)
        assert torch.equal(made.noise, expected.noise)
    later.close()
    x, noise = expected.x, expected.noise
    assert (x - noise).square().mean() < 0.3 * (x - noise[torch.randperm(32)]).square().mean()
