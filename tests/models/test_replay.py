import torch

from pushforward.models.replay import ReplayBuffer
from pushforward.randomness import Draws


def shown_by(buffer, batches: int, count: int = 8):
    """Batches of samples that hold their own number."""
    for number in range(batches):
        x = (number * count + torch.arange(count)).float()[:, None]
        yield x, buffer(x, Draws(number, count))


def test_half_of_the_samples_are_replaced_by_earlier_ones_once_the_pool_is_full():
    buffer = ReplayBuffer(32, (1,))
    batches = list(shown_by(buffer, 400))
    for x, shown in batches[:4]:
        assert torch.equal(shown, x), "the pool is filled first"
    older = torch.stack([(shown < x).float().mean() for x, shown in batches[4:]])
    assert abs(older.mean() - 0.5) < 0.03
    assert all((shown <= x).all() for x, shown in batches), "nothing is shown that has not been"


def test_the_pool_holds_every_sample_once_and_the_shown_ones_leave_it():
    buffer = ReplayBuffer(16, (1,))
    seen = torch.cat([shown for _, shown in shown_by(buffer, 50)])
    held = buffer.pool.flatten()
    assert len(held.unique()) == 16
    assert len(seen.unique()) >= 400 - 16 - 16


def test_it_goes_on_where_it_was_saved():
    first, second = ReplayBuffer(16, (1,)), ReplayBuffer(16, (1,))
    list(shown_by(first, 10))
    second.load_state_dict(first.state_dict())
    x = torch.full((8, 1), 1000.0)
    assert torch.equal(first(x, Draws(77, 8)), second(x, Draws(77, 8)))
