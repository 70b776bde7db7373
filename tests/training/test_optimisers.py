from itertools import repeat

import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from pushforward.models import Batch, Player, Turn, model_class
from pushforward.randomness import Draws
from pushforward.spaces import Vector
from pushforward.training.adam import Adam
from pushforward.training.muon import Muon, is_matrix
from pushforward.training.optimisers import Optimisers, _buckets, _side_by_side, rate_at
from pushforward.training.settings import TrainingSettings


@pytest.fixture
def adversaries():
    torch.manual_seed(0)
    model = model_class("toy-adversaries")(Vector(2))
    fabric = Fabric(accelerator="cpu", devices=1)
    return model, lambda **settings: Optimisers(model, TrainingSettings(warmup=0.0, **settings), fabric)


def batch():
    return Batch(torch.randn(16, 2), None, Draws(0, 16))


def test_a_turn_moves_its_own_player_alone(adversaries):
    model, optimisers_with = adversaries
    optimisers = optimisers_with(learning_rate=0.1)
    for turn in model.turns(repeat(batch())):
        before = {
            name: [p.detach().clone() for p in ps] for name, each in model.players().items() for ps in [each.parameters]
        }
        optimisers.take(turn, 0.0)
        for name, player in model.players().items():
            moved = [not torch.equal(a, b) for a, b in zip(before[name], player.parameters, strict=True)]
            # The critic's last bias drops out of its loss, so it need not move.
            assert any(moved) == (name == turn.player), f"{turn.player}'s turn and {name}"


def test_each_turn_is_computed_after_the_step_before_it(adversaries):
    model, optimisers_with = adversaries
    losses = []
    for rate in (1e-9, 0.1):
        optimisers, turns = optimisers_with(learning_rate=rate), model.turns(repeat(batch()))
        optimisers.take(next(turns), 0.0)
        losses.append(next(turns).loss.item())
    assert losses[0] != losses[1]


def test_a_player_has_options_of_its_own(adversaries, monkeypatch):
    model, optimisers_with = adversaries
    turn = next(model.turns(repeat(batch())))
    own = Player(model.players()[turn.player].parameters, rate=0.25, betas=(0.5, 0.6), schedule="linear")
    monkeypatch.setattr(model, "players", lambda: {turn.player: own})
    optimisers = optimisers_with(learning_rate=0.1)
    optimisers.take(turn, 0.75)
    assert optimisers.rate(turn.player, 0.75) == pytest.approx(0.1 * 0.25 * 0.25)
    assert optimisers.optimisers[turn.player].betas == (0.5, 0.6)


def test_one_loss_may_step_several_players(adversaries):
    model, optimisers_with = adversaries
    optimisers = optimisers_with(learning_rate=0.1)
    before = {name: player.parameters[0].detach().clone() for name, player in model.players().items()}
    loss = model.critic(model.generator(torch.randn(4, 2))).square().mean()
    optimisers.take(Turn(("critic", "generator"), loss, {}), 0.0)
    assert all(not torch.equal(before[name], player.parameters[0]) for name, player in model.players().items())


def test_a_gradient_is_clipped_to_the_norm_asked_for(adversaries):
    model, optimisers_with = adversaries
    optimisers = optimisers_with(gradient_clip=1e-3)
    norm = optimisers.take(next(model.turns(repeat(batch()))), 0.0)
    clipped = torch.stack([p.grad.norm() for p in model.critic.parameters()]).norm()
    assert norm > 1e-3
    assert clipped.item() == pytest.approx(1e-3, rel=1e-3)


def test_adam_takes_the_steps_of_its_definition(adversaries):
    model, optimisers_with = adversaries
    optimisers = optimisers_with(betas=(0.8, 0.9), learning_rate=0.01)
    bias = model.generator.bias
    m = v = torch.zeros(2)
    for step in range(1, 4):
        before = bias.detach().clone()
        *_, turn = model.turns(repeat(batch()))
        optimisers.take(turn, 0.0)
        m, v = 0.8 * m + 0.2 * bias.grad, 0.9 * v + 0.1 * bias.grad.square()
        expected = before - 0.01 * (m / (1 - 0.8**step)) / ((v / (1 - 0.9**step)).sqrt() + 1e-8)
        assert torch.allclose(bias, expected, atol=1e-6)


def test_the_memory_of_the_optimisers_can_be_saved(adversaries):
    model, optimisers_with = adversaries
    first = optimisers_with()
    for turn in model.turns(repeat(batch())):
        first.take(turn, 0.0)
    second = optimisers_with()
    second.load_state({name: tensor.clone() for name, tensor in first.state().items()})
    assert first.state().keys() == second.state().keys()
    assert all(torch.equal(first.state()[name], second.state()[name]) for name in first.state())


def test_a_weight_that_is_not_finite_is_found(adversaries):
    model, optimisers_with = adversaries
    optimisers = optimisers_with()
    assert optimisers.not_finite() is None
    with torch.no_grad():
        model.critic[0].weight[3, 1] = float("inf")
    assert optimisers.not_finite() == "critic"


def test_adam_is_that_of_pytorch_to_the_bit():
    torch.manual_seed(0)
    ours, theirs = (nn.Parameter(each) for each in torch.randn(1, 40).expand(2, 40).clone())
    adam = Adam([ours], betas=(0.8, 0.9), weight_decay=0.1)
    reference = torch.optim.AdamW([theirs], betas=(0.8, 0.9), weight_decay=0.1, fused=True)
    for step in range(1, 5):
        reference.param_groups[0]["lr"] = 0.1 / step
        ours.grad = theirs.grad = torch.randn(40)
        adam.step(0.1 / step)
        reference.step()
    assert torch.equal(ours, theirs)


def test_a_parameter_that_a_loss_does_not_reach_has_no_gradient_left_of_the_one_before(adversaries):
    model, optimisers_with = adversaries
    optimisers = optimisers_with()
    first, *rest = model.critic.parameters()
    optimisers.take(Turn("critic", sum(p.sum() for p in model.critic.parameters()), {}), 0.0)
    optimisers.take(Turn("critic", 2 * first.sum(), {}), 0.0)
    assert (first.grad == 2).all()
    assert not any(p.grad.any() for p in rest)


def test_the_learning_rate_rises_then_falls_to_zero():
    assert rate_at(0.0, 0.1) == 0
    assert rate_at(0.05, 0.1) == pytest.approx(0.5)
    assert rate_at(0.1, 0.1) == pytest.approx(1)
    assert rate_at(0.55, 0.1) == pytest.approx(0.5)
    assert rate_at(1.0, 0.1) == pytest.approx(0)
    assert rate_at(0.0, 0.0) == 1
    assert rate_at(0.55, 0.1, "linear") == pytest.approx(0.5)
    assert rate_at(0.9, 0.1, "constant") == 1


def test_buckets_keep_order_and_types():
    tensors = [torch.zeros(2), torch.zeros(3), torch.zeros(1, dtype=torch.float64), torch.zeros(4)]
    assert [[len(t) for t in bucket] for bucket in _buckets(tensors)] == [[2, 3], [1], [4]]


def test_numbers_that_are_moved_side_by_side_keep_their_values_and_their_layout():
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Linear(4, 5, dtype=torch.float64)).to(
        memory_format=torch.channels_last
    )
    before = [(p.detach().clone(), p.stride()) for p in model.parameters()]
    joined = _side_by_side(list(model.parameters()))
    assert [len(whole) for whole in joined] == [57, 25], "one for each type of number"
    for p, (values, stride) in zip(model.parameters(), before, strict=True):
        assert torch.equal(p, values)
        assert p.stride() == p.grad.stride() == stride
    with torch.no_grad():
        joined[0].zero_()
        joined[0].grad.fill_(2.0)
    assert not any(p.any() for p in model[0].parameters())
    assert all((p.grad == 2).all() for p in model[0].parameters())


@pytest.mark.parametrize("shape", [(16, 40), (40, 16), (12, 12), (9, 8, 3, 3), (9, 8, 2, 2, 2)])
def test_a_step_of_muon_moves_all_directions_of_a_matrix_equally_far(shape):
    torch.manual_seed(0)
    weight = torch.randn(shape)
    if len(shape) > 2:
        weight = weight.contiguous(memory_format=torch.channels_last if len(shape) == 4 else torch.channels_last_3d)
    parameter = nn.Parameter(weight.clone(memory_format=torch.preserve_format))
    gradient = torch.randn(shape) * torch.logspace(0, -2, shape[0]).view(-1, *[1] * (len(shape) - 1))
    parameter.grad = torch.empty_like(parameter).copy_(gradient)
    Muon([parameter]).step(1.0)
    step = (weight - parameter.detach()).flatten(1)
    lengths = torch.linalg.svdvals(step / (0.2 * max(step.shape) ** 0.5))
    before = torch.linalg.svdvals(gradient.flatten(1))
    assert lengths.max() < 1.25
    assert lengths.max() / lengths.min() < 0.1 * before.max() / before.min()
    assert lengths.median() > 0.6
    u, _, v = torch.linalg.svd(gradient.flatten(1), full_matrices=False)
    polar = u @ v
    assert (step * polar).sum() / (step.norm() * polar.norm()) > 0.95
    assert step.square().mean().sqrt() == pytest.approx(0.2, rel=0.2)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_momentum_read_from_a_file_steers_its_own_weights(layout):
    torch.manual_seed(0)
    gradients = torch.randn(2, 9, 8, 3, 3)
    weight = torch.randn(9, 8, 3, 3).contiguous(memory_format=layout)
    model = nn.Module()
    model.weight = nn.Parameter(weight)
    model.players = lambda: {"model": Player([model.weight])}
    settings, fabric = TrainingSettings(optimiser="muon", warmup=0.0), Fabric(accelerator="cpu", devices=1)

    def stepped(optimisers, gradient):
        optimisers.take(Turn("model", (model.weight * gradient).sum(), {}), 0.0)
        return model.weight.detach().clone()

    kept = Optimisers(model, settings, fabric)
    before = stepped(kept, gradients[0])
    memory = {name: value.clone(memory_format=torch.contiguous_format) for name, value in kept.state().items()}
    after = stepped(kept, gradients[1])
    with torch.no_grad():
        model.weight.copy_(before)
    restored = Optimisers(model, settings, fabric)
    restored.load_state(memory)
    assert torch.equal(stepped(restored, gradients[1]), after)


def test_weights_decay_with_muon_as_with_adam():
    parameter = nn.Parameter(torch.ones(8, 8))
    parameter.grad = torch.zeros(8, 8)
    Muon([parameter], weight_decay=0.1).step(0.5)
    torch.testing.assert_close(parameter.detach(), torch.full((8, 8), 0.95))


def test_a_matrix_without_gradient_stays_where_it_is():
    parameter = nn.Parameter(torch.ones(8, 8))
    parameter.grad = torch.zeros(8, 8)
    Muon([parameter]).step(1.0)
    assert torch.equal(parameter, torch.ones(8, 8))


@pytest.mark.parametrize("size", [1e-13, 1e-10, 1e12])
def test_a_step_of_muon_does_not_depend_on_the_size_of_the_gradient(size):
    gradient = torch.randn(16, 40, generator=torch.Generator().manual_seed(0))
    steps = []
    for scale in (1.0, size):
        parameter = nn.Parameter(torch.zeros(16, 40))
        parameter.grad = scale * gradient
        Muon([parameter]).step(1.0)
        steps.append(parameter.detach())
    torch.testing.assert_close(*steps, rtol=1e-3, atol=1e-3)


@pytest.fixture
def with_muon():
    torch.manual_seed(0)
    model = model_class("flow-matching")(Vector(2))
    fabric = Fabric(accelerator="cpu", devices=1)
    optimisers = Optimisers(model, TrainingSettings(warmup=0.0, optimiser="muon", weight_decay=0.01), fabric)
    optimisers.take(next(model.turns(repeat(batch()))), 0.0)
    return model, optimisers


def test_muon_steps_matrices_and_adam_the_rest(with_muon):
    model, optimisers = with_muon
    stepped = {type(each): sum(p.numel() for p in each.parameters) for each in optimisers.optimisers.values()}
    assert stepped[Muon] == sum(p.numel() for p in model.parameters() if is_matrix(p)) > 0
    assert sum(stepped.values()) == sum(p.numel() for p in model.parameters())
    assert {each.weight_decay for each in optimisers.optimisers.values()} == {0.01}


def test_the_momentum_of_muon_is_restored(with_muon):
    model, optimisers = with_muon
    state = optimisers.state()
    again = Optimisers(model, optimisers.settings, optimisers.fabric)
    again.load_state(state)
    assert state.keys() == again.state().keys()
    assert all(torch.equal(again.state()[name], value) for name, value in state.items())
    assert any(name.endswith("/momentum") for name in state)
