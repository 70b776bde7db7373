import numpy as np
import pytest
import torch

from pushforward.ensembles import Ensemble, Preprocessing
from pushforward.models import model_class
from pushforward.training.batches import Ahead, Coupled, Examples, Members, Order, Part, Resident, examples


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
    whole = Members(maps, preprocessing, Part(12), seed=5)
    parts = [Members(maps, preprocessing, Part(12, rank, 3), seed=5) for rank in range(3)]
    for step in (1, 2, 9):
        x, condition, _ = whole(step)
        pieces = [part(step) for part in parts]
        assert torch.equal(x, torch.cat([piece[0] for piece in pieces])), "augmentation must not depend on the process"
        assert torch.equal(condition, torch.cat([piece[1] for piece in pieces]))


def test_augmented_maps_are_the_same_values_in_other_places(maps):
    preprocessing = Preprocessing.fit(maps)
    seen = Members(maps, preprocessing, Part(16), seed=0)(step=1)[0]
    plain = Members(maps, preprocessing, Part(16), seed=0, augmented=False)(step=1)[0]
    assert not torch.equal(seen, plain)
    assert torch.equal(seen.flatten(1).sort().values, plain.flatten(1).sort().values)


def test_random_crops_depend_on_the_place_in_the_order_alone():
    field = np.arange(4 * 30 * 40, dtype=np.float32).reshape(4, 30, 40)
    from pushforward.ensembles import read

    crops = read(field, crop=8).train
    preprocessing = Preprocessing.fit(crops, transform="standardise")
    joined = Members(crops, preprocessing, Part(6), seed=2)(step=4)[0]
    second = Members(crops, preprocessing, Part(6, 1, 2), seed=2)(step=4)[0]
    assert torch.equal(joined[3:], second)
    assert not torch.equal(joined, Members(crops, preprocessing, Part(6), seed=2, augmented=False)(step=5)[0])


def test_a_resident_ensemble_gives_the_same_batches_as_one_that_is_read(points):
    preprocessing = Preprocessing.fit(points)
    held = Resident(points, preprocessing, Part(8), 4, torch.device("cpu"))
    read = Members(points, preprocessing, Part(8), seed=4)
    for step in (1, 30):
        assert torch.allclose(held(step)[0], read(step)[0], atol=1e-6)


def test_a_batch_larger_than_the_ensemble_goes_round():
    few = Ensemble.from_array(np.arange(20.0).reshape(10, 2))
    x, _, _ = Members(few, Preprocessing.fit(few), Part(25), seed=0)(step=1)
    assert len(x) == 25


def test_batches_made_ahead_come_in_order_and_errors_reach_the_loop():
    def source(step):
        if step == 5:
            raise ValueError("member 17 is not finite")
        return Examples(torch.tensor([step]))

    ahead = Ahead(source, first=3, finish=lambda tensor: tensor * 10, depth=2)
    assert [next(ahead)[0].item() for _ in range(2)] == [30, 40]
    with pytest.raises(ValueError, match="member 17"):
        next(ahead)
    ahead.close()


def test_noise_that_is_found_ahead_does_not_depend_on_where_one_begins(points):
    preprocessing, part = Preprocessing.fit(points), Part(32)
    coupling = model_class("ot-flow-matching")(points.space).coupling
    source = Coupled(Resident(points, preprocessing, part, 4, torch.device("cpu")), coupling, part, seed=4)
    later = examples(
        points, preprocessing, part, 4, first=3, augmented=False, device=torch.device("cpu"), coupling=coupling
    )
    assert isinstance(later, Ahead), "plans must not be made between two steps"
    for step in (3, 4):
        for made, expected in zip(next(later), source(step), strict=True):
            assert made is expected is None or torch.equal(made, expected)
    later.close()
    x, _, noise = source(3)
    assert (x - noise).square().mean() < 0.3 * (x - noise[torch.randperm(32)]).square().mean()


def test_parts_of_a_batch_draw_the_noise_of_the_batch(points):
    def source(part):
        held = Resident(points, Preprocessing.fit(points), part, 4, torch.device("cpu"))
        return Coupled(held, lambda x, condition, draws: draws.normal(2), part, seed=1)

    pieces = [source(Part(12, rank, 3))(5).noise for rank in range(3)]
    assert torch.equal(source(Part(12))(5).noise, torch.cat(pieces))
