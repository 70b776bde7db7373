"""Properties of every family, on every space that it supports."""

from __future__ import annotations

from itertools import repeat

import pytest
import torch

from pushforward.conditions import Condition, ConditionSpace
from pushforward.errors import UsageError
from pushforward.models import (
    REGISTRY,
    Batch,
    Density,
    Joint,
    Latent,
    PairBatch,
    Sampler,
    Translator,
    ends_of,
    model_class,
)
from pushforward.models.whitened import Whitening
from pushforward.randomness import Draws
from pushforward.spaces import Field, Particles, Series, Vector

SPACES = {
    "vector": Vector(2),
    "vector-1": Vector(1),
    "field": Field(1, (16, 16), periodic=True),
    "field-channels": Field(2, (12, 16)),
    "field-small": Field(1, (8, 8)),
    "particles": Particles(3, 2, centred=True),
    "particles-free": Particles(3, 2),
    "series": Series(2, 12),
    "series-timed": Series(1, 10, timed=True),
}
CASES = [
    (name, key)
    for name, entry in REGISTRY.items()
    for key in SPACES
    if key.split("-")[0] in entry.spaces
]  # fmt: skip
cases = pytest.mark.parametrize(("name", "key"), CASES, ids=[f"{name}-{key}" for name, key in CASES])


def needs(model, ability) -> None:
    """Skip unless the model has an ability."""
    if not isinstance(model, ability):
        pytest.skip(f"{type(model).__name__} is no {ability.__name__}")


def narrow(name: str, key: str, numbers: int = 0):
    """A model whose networks are narrow: what is checked here does not depend on their width."""
    kind = model_class(name)
    widths = {setting: 16 for setting in kind.Settings.model_fields if setting.endswith("width")}
    return kind(SPACES[key], ConditionSpace(numbers), kind.Settings(**widths))


def build(name: str, key: str, numbers: int = 0, seed: int = 0):
    torch.manual_seed(seed)
    model = narrow(name, key, numbers)
    model.prepare(batch_for(model, 16))
    return model


def batch_for(model, count: int, seed: int = 3, rank: int = 0, processes: int = 1) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    total = count * processes
    x = torch.randn(total, *model.space.shape, generator=generator)
    if isinstance(model.space, Series):
        x = observed(x, model.space, generator)
    if isinstance(model.space, Particles) and model.space.centred:
        x = x - x.mean(1, keepdim=True)
    numbers = model.condition.numbers
    condition = Condition(torch.randn(total, numbers, generator=generator)) if numbers else None
    rows = slice(rank * count, (rank + 1) * count)
    draws = Draws(seed, count, rank=rank, processes=processes)
    batch = Batch(x[rows], None if condition is None else condition[rows], draws)
    if "pair" not in sources_of(model):
        return batch
    return PairBatch(batch.x, batch.condition, draws, b=2 * x.flip(0)[rows] + 1)


def sources_of(model) -> tuple[str, ...]:
    return next(entry.sources for entry in REGISTRY.values() if entry.load() is type(model))


def conditional(name: str) -> int:
    """Length of a condition for families that have any: ensembles without pairs have none."""
    return 0 if REGISTRY[name].sources == ("pair",) else 2


def observed(x: torch.Tensor, space: Series, generator: torch.Generator) -> torch.Tensor:
    """Series with a tenth of the values missing, and times in order where they have their own."""
    values = torch.where(torch.rand(x.shape, generator=generator) < 0.1, torch.nan, x)
    if not space.timed:
        return values
    times = torch.rand(x.shape[:2], generator=generator).sort(1).values
    return torch.cat([times[..., None], values[..., 1:]], -1)


def trained(model, steps: int = 10):
    """A few steps of each player: enough to leave the initial values, at which outputs may be zero by design."""
    players = model.players()
    optimisers = {name: torch.optim.Adam(player.parameters, lr=1e-3) for name, player in players.items()}
    for step in range(steps):
        for turn in model.turns(repeat(batch_for(model, 16, seed=step))):
            names = names_of(turn)
            for name in names:
                optimisers[name].zero_grad()
            turn.loss.backward(inputs=[p for name in names for p in players[name].parameters])
            for name in names:
                optimisers[name].step()
    return model.eval()


def names_of(turn) -> tuple[str, ...]:
    return (turn.player,) if isinstance(turn.player, str) else turn.player


@cases
def test_samples_have_the_shape_of_the_space_and_repeat_with_the_seed(name, key):
    model = build(name, key).eval()
    needs(model, Sampler)
    first, again, other = (model.sample(Draws(seed, 5)) for seed in (1, 1, 2))
    assert first.shape == (5, *SPACES[key].shape)
    whole = torch.isfinite(first) | (torch.isnan(first) if isinstance(SPACES[key], Series) else False)
    assert whole.all(), "a sample must be finite; a value of a series may be missing"
    first, again, other = (x.nan_to_num(99.0) for x in (first, again, other))
    assert torch.equal(first, again), "the same seed must give the same samples"
    assert not torch.equal(first, other), "another seed must give other samples"


@cases
def test_every_parameter_belongs_to_one_player_and_learns(name, key):
    model = build(name, key, numbers=conditional(name))
    owners = [id(p) for player in model.players().values() for p in player.parameters]
    learn = [id(p) for p in model.parameters() if p.requires_grad]
    assert sorted(owners) == sorted(learn), "players must share out all the parameters that are trained"
    before = [p.detach().clone() for p in model.parameters()]
    trained(model, steps=5)
    moved = zip(model.named_parameters(), before, strict=True)
    # what stands for a condition that is not told only learns from batches without one, a constant that is added to a
    # critic changes no difference of its values, and a matrix of one row has no triangles beside its diagonal
    idle = [n for n, p in model.named_parameters() if "untold" in n or not p.requires_grad]
    idle += [n for n, p in model.named_parameters() if n.startswith("critic.") and p.shape == (1,)]
    idle += [n for n, _ in model.named_parameters() if model.space.size == 1 and n.endswith((".lower", ".upper"))]
    still = [n for (n, p), old in moved if torch.equal(p, old) and n not in idle]
    assert not still, f"these parameters did not move in five steps: {still}"


@cases
def test_turns_name_their_player_and_log_scalars(name, key):
    model = build(name, key)
    for turn in model.turns(repeat(batch_for(model, 8))):
        assert set(names_of(turn)) <= set(model.players())
        assert turn.loss.shape == ()
        assert torch.isfinite(turn.loss)
        assert all(value.numel() == 1 for value in turn.logs.values())


@cases
def test_two_halves_of_a_batch_lose_what_the_joined_batch_loses(name, key):
    model = build(name, key, numbers=1)
    if model.collate is not None:
        pytest.skip(f"{name} pairs rows within the share of the batch that a process holds")
    if name == "drifting":
        pytest.skip("samples of a batch move each other; processes share theirs while they train")
    for each in model.modules():
        if isinstance(each, Whitening):
            each.eval()  # processes share the power of their batches while they train
    joined = next(iter(model.turns(repeat(batch_for(model, 8))))).loss
    halves = [next(iter(model.turns(repeat(batch_for(model, 4, rank=rank, processes=2))))).loss for rank in (0, 1)]
    torch.testing.assert_close(sum(halves) / 2, joined, rtol=2e-5, atol=2e-5)


@cases
def test_the_condition_matters(name, key):
    model = build(name, key, numbers=2)
    needs(model, Sampler)
    trained(model)
    low, high = (model.sample(Draws(0, 4), Condition(torch.full((4, 2), value))) for value in (-2.0, 2.0))
    assert (low - high).nan_to_num().abs().max() > 1e-6, "samples must change with the condition"


@cases
def test_a_state_dict_gives_the_same_model_again(name, key):
    model = trained(build(name, key), steps=3)
    copy = narrow(name, key).eval()
    copy.load_state_dict(model.state_dict())
    x = batch_for(model, 3).x
    for ability, use in (
        (Sampler, lambda each: each.sample(Draws(0, 3))),
        (Translator, lambda each: each.translate(x, "b")),
    ):
        if isinstance(model, ability):
            assert torch.equal(*(use(each).nan_to_num(99.0) for each in (model, copy)))


@cases
def test_a_translation_moves_both_ways(name, key):
    model = build(name, key).eval()
    needs(model, Translator)
    assert ends_of(model) == ("a", "b")
    x = batch_for(model, 3).x
    assert all(model.translate(x, to).shape == x.shape for to in ("a", "b"))
    with pytest.raises(UsageError, match="to must be 'a' or 'b'"):
        model.translate(x, "c")


@cases
def test_samples_come_with_the_density_that_they_have(name, key):
    model = build(name, key)
    needs(model, Joint)
    trained(model, steps=5)
    with torch.no_grad():
        x, log_prob = model.sample_and_log_prob(Draws(0, 6))
        # Solves of a sample alone, and of a sample with its density, choose other steps, which the tails of D = 1 see.
        if name != "pfgm":
            torch.testing.assert_close(x, model.sample(Draws(0, 6)), rtol=5e-3, atol=5e-3)
        torch.testing.assert_close(log_prob, model.log_prob(x), rtol=1e-3, atol=5e-3)


@cases
def test_the_density_of_a_sample_does_not_depend_on_its_batch(name, key):
    model = build(name, key, numbers=1)
    needs(model, Density)
    trained(model, steps=5)
    batch = batch_for(model, 6)
    joined = model.log_prob(batch.x, batch.condition)
    split = torch.cat([model.log_prob(batch.x[i : i + 2], batch.condition[i : i + 2]) for i in (0, 2, 4)])
    assert joined.shape == (6,)
    torch.testing.assert_close(split, joined, rtol=1e-4, atol=2e-3)


@pytest.mark.parametrize("name", [name for name, entry in REGISTRY.items() if "vector" in entry.spaces])
def test_the_density_integrates_to_one(name):
    model = build(name, "vector")
    needs(model, Density)
    trained(model, steps=50)
    axis = torch.linspace(-7, 7, 141)
    grid = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        mass = model.log_prob(grid).double().exp().sum() * (axis[1] - axis[0]) ** 2
    assert mass == pytest.approx(1.0, abs=0.01)


@cases
def test_an_invertible_model_decodes_what_it_encoded(name, key):
    model = build(name, key)
    needs(model, Latent)
    needs(model, Density)
    trained(model, steps=5)
    x = batch_for(model, 4).x
    with torch.no_grad():
        returned = model.decode(model.encode(x))
    assert (returned - x).abs().max() < 0.02, "decode(encode(x)) must give x back"


@pytest.mark.parametrize("name", list(REGISTRY))
def test_an_unknown_setting_is_refused(name):
    with pytest.raises(ValueError, match="nonsense"):
        model_class(name).Settings(nonsense=1)


@cases
def test_a_family_takes_a_field_as_its_condition_or_names_those_that_do(name, key):
    space, kind = SPACES[key], model_class(name)
    condition = ConditionSpace(1, Field(1, (4, 4)))
    if kind.takes_field and isinstance(space, Field):
        model = kind(space, condition, kind.Settings(width=4))
        field = Condition(torch.zeros(3, 1), torch.zeros(3, 1, 4, 4))
        assert model.sample(Draws(0, 3), field).shape == (3, *space.shape)
    else:
        with pytest.raises(UsageError, match=r"field as its condition; ((models|networks) that can are|give numbers)"):
            kind(space, condition)
