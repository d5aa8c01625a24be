import pytest

from interlayer import METHODS, Losses, Method, Stage, csgm, ilo


@pytest.mark.parametrize(
    "settings",
    [
        dict(layer=-1, steps=1),
        dict(layer=0, steps=0),
        dict(layer=0, steps=1, lr=0.0),
        dict(layer=0, steps=1, lr=float("nan")),
        dict(layer=1, steps=1, radius=-0.1),
        dict(layer=0, steps=1, radius=0.1),
    ],
)
def test_a_stage_out_of_range_is_refused(settings):
    with pytest.raises(ValueError):
        Stage(**settings)


def test_layers_must_not_decrease():
    with pytest.raises(ValueError, match="non-decreasing"):
        Method("odd", (Stage(2, 1), Stage(1, 1)))
    with pytest.raises(ValueError, match="non-decreasing"):
        Method("none", ())


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("steps", [28, 50, 999])
def test_scaled_methods_have_the_steps_asked_for(name, steps):
    assert METHODS[name](steps).steps == METHODS[name]().scaled(steps).steps == steps


def test_the_peers_have_the_same_number_of_steps_by_default():
    assert len({make().steps for name, make in METHODS.items() if name != "auto"}) == 1


def test_an_unknown_way_to_finish_is_refused():
    with pytest.raises(ValueError, match="nothing, sparse or stack"):
        Method("odd", (Stage(0, 1),), finish="never")  # pyright: ignore[reportArgumentType]


def test_ilo_with_one_layer_is_csgm():
    assert ilo(steps=30, layers=(0,), lr=0.2, losses=Losses()).stages == csgm(steps=30).stages
