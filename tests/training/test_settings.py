import pytest

from pushforward.errors import UsageError
from pushforward.models import REGISTRY, model_class
from pushforward.models.settings import parse_settings
from pushforward.spaces import Field, Vector
from pushforward.training.settings import TrainingSettings, resolve_settings

SPACES = {"vector": Vector(2), "field": Field(1, (16, 16))}


@pytest.mark.parametrize("name", list(REGISTRY))
def test_the_defaults_of_every_model_are_settings_of_the_loop(name):
    for kind in REGISTRY[name].spaces:
        if kind in SPACES:
            of_model, of_loop = resolve_settings(model_class(name), SPACES[kind])
            assert isinstance(of_model, model_class(name).Settings)
            assert isinstance(of_loop, TrainingSettings)


def test_flat_names_reach_the_model_or_the_loop():
    of_model, of_loop = resolve_settings(model_class("toy-gaussian"), Vector(2), {"scale": 3, "batch_size": 8})
    assert (of_model.scale, of_loop.batch_size) == (3.0, 8)
    assert of_loop.learning_rate == 0.05, "the model's own default must win over the loop's"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("batch_size", "64", 64),
        ("learning_rate", "1e-4", 1e-4),
        ("betas", "0.5,0.9", (0.5, 0.9)),
        ("betas", "[0.5, 0.9]", (0.5, 0.9)),
        ("gradient_clip", "none", None),
        ("augment", "false", False),
        ("transform", "log", "log"),
        ("transform", "log,none", ("log", "none")),
        ("checkpoint_every", "5m", 300.0),
    ],
)
def test_texts_from_the_command_line_become_values(name, text, value):
    assert getattr(parse_settings(TrainingSettings, {name: text}), name) == value


def test_an_unknown_setting_lists_the_known_ones_of_model_and_loop():
    with pytest.raises(UsageError, match=r"'learning_rat'; did you mean 'learning_rate'\? .*batch_size.*scale"):
        resolve_settings(model_class("toy-gaussian"), Vector(2), {"learning_rat": 1})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_size", 0),
        ("batch_size", "many"),
        ("learning_rate", -1),
        ("learning_rate", float("inf")),
        ("betas", "0.9"),
        ("transform", "sqrt"),
        ("average", 0.9),
        ("checkpoint_every", "soon"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_setting(name, value):
    with pytest.raises(UsageError, match=f"^{name}={value!r} cannot be used: "):
        parse_settings(TrainingSettings, {name: value})
