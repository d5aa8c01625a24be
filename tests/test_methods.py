from dataclasses import replace

import pytest

from interlayer import METHODS, Latent, Layer, Losses, Method, Stage, csgm, ilo
from interlayer.methods import Reached
from interlayer.problem.fidelity import huber_loss


@pytest.mark.parametrize(
    "settings",
    [
        dict(steps=0),
        dict(steps=1, lr=0.0),
        dict(steps=1, lr=float("nan")),
        dict(steps=1, temperature=-1.0),
        dict(steps=1, moves=Layer(1), towards=Reached()),
    ],
)
def test_a_stage_out_of_range_is_refused(settings):
    with pytest.raises(ValueError):
        Stage(**{"moves": Latent()} | settings)


@pytest.mark.parametrize("settings", [dict(index=0), dict(index=-1), dict(index=1, radius=-0.1)])
def test_a_layer_out_of_range_is_refused(settings):
    with pytest.raises(ValueError):
        Layer(**settings)


def test_an_unknown_space_of_latent_codes_is_refused():
    with pytest.raises(ValueError, match="free, tied or on the sphere"):
        Latent("odd")  # pyright: ignore[reportArgumentType]


def test_layers_must_not_decrease():
    with pytest.raises(ValueError, match="non-decreasing"):
        Method("odd", (Stage(Layer(2), 1), Stage(Layer(1), 1)))
    with pytest.raises(ValueError, match="non-decreasing"):
        Method("none", ())


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("steps", [28, 50, 999])
def test_scaled_methods_have_the_steps_asked_for(name, steps):
    assert METHODS[name](steps).steps == METHODS[name]().scaled(steps).steps == steps


def test_the_peers_have_the_same_number_of_steps_by_default():
    assert len({make().steps for name, make in METHODS.items() if name != "auto"}) == 1


def test_nothing_to_go_back_from_is_refused():
    with pytest.raises(ValueError, match="nothing to go back from"):
        Method("odd", (Stage(Latent(), 1, towards=Reached()),))


@pytest.mark.parametrize("name", METHODS)
def test_a_fingerprint_tells_settings_apart_and_is_the_same_in_every_process(name):
    method = METHODS[name]()
    assert method.fingerprint == METHODS[name]().fingerprint
    assert " at 0x" not in method.fingerprint
    assert method.fingerprint != replace(method, fidelity=huber_loss).fingerprint
    assert method.fingerprint != method.scaled(method.steps + 1).fingerprint


def test_ilo_with_one_layer_is_csgm():
    assert ilo(steps=30, layers=(0,), lr=0.2, losses=Losses()).stages == csgm(steps=30).stages
