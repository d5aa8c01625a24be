from itertools import islice

import deepinv
import pytest
import torch
from deepinv.physics import (
    BlurFFT,
    Denoising,
    Downsampling,
    GaussianNoise,
    Physics,
    SinglePixelCamera,
)
from deepinv.physics.functional.blur import gaussian_blur

from interlayer import (
    InputError,
    Latent,
    Layer,
    Losses,
    Method,
    Problem,
    Sequential,
    Settings,
    Stage,
    as_reconstructor,
    csgm,
    ilo,
    iterate,
    make_physics,
    pulse,
    solve,
)
from interlayer.generators import LayerState, ToyGenerator
from interlayer.methods import Reached
from interlayer.problem import measurement_loss
from interlayer.solver.search_space import SearchSpace

G = ToyGenerator(32)
SIZE = (3, 32, 32)


def psnr(x_hat, x):
    return -10 * (x_hat - x).square().flatten(1).mean(1).log10()


def problem(task="circulant:0.2", seeds=(7, 8)):
    x = G(G.sample(seeds))
    physics = make_physics(task, SIZE)
    return x, physics, physics(x)


def code(solution):
    """The latent code of a solution that a generator has given."""
    assert solution.point is not None
    return solution.point.z


def test_ilo_beats_csgm_outside_the_range_of_the_generator():
    x, physics, _ = problem()
    outside = (x + 0.1 * torch.sin(torch.arange(32) / 4)).clamp(0, 1)
    y = physics(outside)
    first = psnr(solve(physics, y, G, csgm(120)).x_hat, outside)
    method = ilo(120, layers=(0, 1, 2), losses=Losses())
    second = psnr(solve(physics, y, G, method).x_hat, outside)
    assert (second > first + 0.3).all()


def test_ilo_with_one_stage_is_csgm():
    _, physics, y = problem()
    first = solve(physics, y, G, csgm(30))
    second = solve(physics, y, G, ilo(30, layers=(0,), lr=0.2, losses=Losses()))
    assert torch.equal(first.x_hat, second.x_hat)


def test_same_seed_same_result_in_any_batch():
    _, physics, y = problem()
    method = ilo(60, layers=(0, 2))
    both = solve(physics, y, G, method, seed=[1, 2])
    for i in range(2):
        alone = solve(physics, y[i : i + 1], G, method, seed=[1, 2][i])
        torch.testing.assert_close(both.x_hat[i : i + 1], alone.x_hat, atol=2e-3, rtol=0)
    assert torch.equal(both.x_hat, solve(physics, y, G, method, seed=[1, 2]).x_hat)


def test_every_stage_stays_in_its_ball_and_starts_where_the_last_one_ended():
    _, physics, y = problem()
    radius = 0.02
    states = list(iterate(Problem(physics, y), G, ilo(90, layers=(0, 1, 2), radius=radius)))
    solution = states[-1].solution()
    assert [record.layer for record in solution.stages] == [0, 1, 2]
    for record in solution.stages[1:]:
        assert (record.deviation <= radius * (1 + 1e-5)).all()
        assert (record.deviation > 0).any()
    for before, number in zip(solution.stages, (1, 2), strict=False):
        first = next(s for s in states if s.stage_number == number and s.step == 0)
        torch.testing.assert_close(first.x, before.x_hat, atol=1e-4, rtol=0)


def test_radius_zero_leaves_the_layer_where_it_is():
    _, physics, y = problem()
    method = Method("still", (Stage(Latent(), 20), Stage(Layer(1, radius=0.0), 20, lr=0.1)))
    solution = solve(physics, y, G, method)
    assert (solution.stages[1].deviation == 0).all()
    assert solution.point is not None and solution.point.h is not None


def test_the_estimate_is_the_step_with_least_held_out_error():
    _, physics, y = problem("denoise:0.3")
    states = list(
        iterate(
            Problem(physics, y),
            G,
            Method("long", (Stage(Latent(), 5), Stage(Layer(2), 150, lr=0.2))),
        )
    )
    solution = states[-1].solution()
    held_out = torch.stack([s.holdout_loss for s in states])
    torch.testing.assert_close(solution.stages[-1].holdout_loss, held_out[5:].min(0).values)
    for i in range(2):
        best = 5 + int(held_out[5:, i].argmin())
        assert torch.equal(solution.x_hat[i], states[best].x[i])
        assert best < len(states) - 1


def test_the_latent_and_layer_input_of_a_solution_give_its_image():
    _, physics, y = problem()
    solution = solve(physics, y, G, ilo(60, layers=(0, 2)))
    assert solution.point is not None
    x = solution.point.image(G)
    torch.testing.assert_close(x, solution.x_hat, atol=1e-5, rtol=0)


def test_without_held_out_measurements_the_least_measurement_error_decides():
    _, physics, y = problem()
    solution = solve(physics, y, G, csgm(30), holdout=0)
    assert solution.stages[0].holdout_loss.isnan().all()
    torch.testing.assert_close(solution.stages[0].loss, solution.losses[:, 0].min(0).values)


def test_pulse_stays_on_the_sphere_and_starts_from_the_seed():
    _, physics, y = problem()
    solution = solve(physics, y, G, pulse(20))
    torch.testing.assert_close(code(solution).norm(dim=-1), torch.full((2, 4), 8**0.5))
    other = solve(physics, y, G, pulse(20), seed=1)
    assert not torch.equal(solution.x_hat, other.x_hat)


def test_a_tied_stage_searches_one_code_for_all_style_inputs():
    _, physics, y = problem()
    stage = Stage(Latent("tied"), 30, lr=0.1)
    z = code(solve(physics, y, G, Method("tied", (stage,))))
    assert z.equal(z[:, :1].expand_as(z)) and z.any()
    tied, free = (SearchSpace(G, s, z, LayerState()) for s in (stage, Stage(Latent(), 30)))
    (one,) = torch.autograd.grad(tied.image().square().sum(), [tied.z])
    (each,) = torch.autograd.grad(free.image().square().sum(), [free.z])
    torch.testing.assert_close(one, each.mean(1, keepdim=True).expand_as(each))


def test_variables_that_enter_before_the_layer_of_a_stage_stay():
    _, physics, y = problem()
    stages = (Stage(Latent(), 5), Stage(Layer(2), 20))
    solution = solve(physics, y, G, Method("late", stages))
    assert solution.stages[1].loss.mean() < solution.stages[0].loss.mean()
    decoder = torch.nn.Sequential(
        torch.nn.Linear(4, 48), torch.nn.Tanh(), torch.nn.Unflatten(1, (3, 4, 4))
    )
    chain = Sequential(decoder, cuts=["0"], latent_shape=(4,))
    x = chain(chain.sample([1]))
    identity = Denoising(GaussianNoise(0.0))
    solution = solve(identity, identity(x), chain, ilo(40, layers=(0, 1)))
    assert psnr(solution.x_hat, x) > 20


def test_a_method_may_start_behind_the_latent_code():
    _, physics, y = problem()
    solution = solve(physics, y, G, Method("inside", (Stage(Layer(1), 20),)))
    assert solution.losses[-1, 0].mean() < solution.losses[0, 0].mean()


def test_a_run_can_be_stopped_at_any_step_with_the_best_so_far():
    _, physics, y = problem()
    states = list(islice(iterate(Problem(physics, y), G, ilo(60, layers=(0, 2))), 26))
    solution = states[-1].solution()
    assert sum(record.steps for record in solution.stages) == 26
    assert solution.x_hat.shape == (2, *SIZE)


class Exploding(Physics):
    """Turns to NaN where the image is brighter than at the generator's mean."""

    def A(self, x, **kwargs):
        return torch.where(x.mean((1, 2, 3), keepdim=True) > self.limit, x * torch.nan, x)


def test_divergence_is_undone_and_recorded():
    x = G(G.sample([3]))
    physics = Exploding()
    physics.limit = G(torch.zeros(1, *G.latent_shape)).mean() + 0.02
    solution = solve(physics, torch.ones_like(x), G, csgm(60))
    assert solution.x_hat.isfinite().all()
    assert solution.stages[0].undone.item() >= 1


@pytest.mark.parametrize(
    "physics",
    [
        BlurFFT(SIZE, filter=gaussian_blur(sigma=1.0)),
        Downsampling(SIZE, filter="bilinear", factor=4),
        SinglePixelCamera(m=200, img_size=SIZE),  # pyright: ignore[reportArgumentType]
        Denoising(GaussianNoise(0.1)),
    ],
    ids=lambda physics: type(physics).__name__,
)
def test_any_linear_operator_of_deepinv_can_be_used(physics):
    x = G(G.sample([5]))
    y = physics(x)
    start = psnr(G(torch.zeros(1, *G.latent_shape)), x)
    assert (psnr(solve(physics, y, G, csgm(80)).x_hat, x) > start + 3).all()


class Listed(torch.utils.data.Dataset):
    """A data set of given items."""

    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


@pytest.mark.filterwarnings("ignore:non_blocking_transfers")  # deepinv's own, on every CPU
def test_deepinv_runs_the_wrapped_method_on_a_batch():
    x = G(G.sample([5, 6]))
    physics = make_physics("inpaint:0.3", SIZE)
    pairs = [{"x": a, "y": b} for a, b in zip(x, physics(x), strict=True)]
    loader = torch.utils.data.DataLoader(Listed(pairs), batch_size=2)
    figures = deepinv.test(
        as_reconstructor(G, csgm(80)),
        loader,
        physics,
        metrics=deepinv.metric.PSNR(reduction="none"),
        verbose=False,
        show_progress_bar=False,
    )
    y = physics(x)
    per_image = deepinv.metric.PSNR()(as_reconstructor(G, csgm(80))(y, physics), x)
    assert per_image.shape == (2,)
    assert figures["PSNR"] == pytest.approx(per_image.mean().item(), abs=0.05)
    assert figures["PSNR_std"] == pytest.approx(per_image.std(correction=0).item(), abs=0.05)
    assert figures["PSNR"] > figures["PSNR no learning"] + 5


def test_bad_problems_are_refused_in_one_sentence():
    _, physics, y = problem()
    broken = y.clone()
    broken[0, 0] = torch.nan
    with pytest.raises(InputError, match="NaN"):
        solve(physics, broken, G, csgm(1))
    with pytest.raises(InputError, match="shape"):
        solve(physics, y[:, :5], G, csgm(1))
    with pytest.raises(InputError, match="3 seeds"):
        solve(physics, y, G, csgm(1), seed=[1, 2, 3])
    with pytest.raises(InputError, match="does not take 32x32"):
        solve(make_physics("circulant:0.1", (3, 16, 16)), y, G, csgm(1))


def test_layers_that_a_generator_lacks_are_left_out_and_named():
    _, physics, y = problem()
    with pytest.warns(UserWarning, match="layers 0 to 3; ilo leaves out 7"):
        solution = solve(physics, y, G, ilo(9, layers=(0, 2, 7)))
    assert [record.layer for record in solution.stages] == [0, 2] and solution.steps == 9


def test_a_further_round_goes_back_and_can_only_improve():
    _, physics, y = problem("circulant:0.2")
    once = solve(physics, y, G, ilo(60, layers=(0, 1, 2)))
    twice = solve(physics, y, G, ilo(120, layers=(0, 1, 2), rounds=2))
    assert [record.layer for record in twice.stages] == [0, 1, 2, 0, 1, 2]
    back = [record.stage is not None and record.stage.goes_back for record in twice.stages]
    assert back == [False, False, False, True, False, False]
    assert (twice.stages[5].holdout_loss <= once.stages[2].holdout_loss).all()


def test_going_back_reaches_for_the_layer_input_and_not_for_the_measurements():
    x, physics, y = problem("circulant:0.2", seeds=(7,))
    stages = (
        Stage(Latent(), 40),
        Stage(Layer(2, radius=0.0), 1),
        Stage(Latent(), 60, towards=Reached()),
    )
    last = list(iterate(Problem(physics, y), G, Method("back", stages)))[-1]
    reached, again = last.solution().stages[1].x_hat, last.solution().x_hat
    assert psnr(again, reached) > 35 > psnr(again, x)


def test_starting_from_a_solution_goes_on_where_it_ended():
    _, physics, y = problem()
    first = solve(physics, y, G, ilo(60, layers=(0, 2)))
    on = Method("on", (Stage(Layer(2, radius=0.05), 1),))
    again = next(iterate(Problem(physics, y), G, on, Settings(start=first.point)))
    torch.testing.assert_close(again.x, first.x_hat, atol=1e-5, rtol=0)
    anew = next(iterate(Problem(physics, y), G, csgm(1), Settings(start=first.point)))
    assert not torch.allclose(anew.x, first.x_hat, atol=1e-3)
    with pytest.raises(InputError, match="latent codes"):
        solve(physics, y[:1], G, on, start=first.point)


def test_a_fidelity_of_the_users_own_is_what_is_minimised():
    _, physics, y = problem("inpaint:0.5", seeds=(7,))

    def brightness(predicted, y, weight, x):
        return (x.flatten(1).mean(1) - 0.9).square()

    dark = solve(physics, y, G, csgm(40)).x_hat.mean()
    bright = solve(physics, y, G, csgm(40), holdout=0, fidelity=brightness).x_hat.mean()
    assert bright > dark + 0.1


def test_the_noise_chooses_the_loss():
    x, physics, y = problem("denoise-bernoulli:0.5", seeds=(7,))
    robust = solve(physics, y, G, csgm(80)).x_hat
    plain = solve(physics, y, G, csgm(80), fidelity=measurement_loss).x_hat
    assert psnr(robust, x) > psnr(plain, x) + 3


def test_a_perceptual_loss_needs_a_picture():
    _, physics, y = problem("circulant:0.2")
    with pytest.raises(InputError, match="use a method without it"):
        solve(physics, y, G, pulse(5, perceptual=1.0))


def test_the_weight_of_the_latent_prior_pulls_towards_the_mean():
    _, physics, y = problem(seeds=(7,))

    def size(latent):
        stage = Stage(Latent(), 60, lr=0.2, towards=Losses(latent=latent))
        return code(solve(physics, y, G, Method("prior", (stage,)))).square().mean()

    assert size(0.1) < 0.5 * size(0.0)


def test_signs_alone_recover_the_image_with_its_brightness():
    x, physics, y = problem("circulant:1+quantize:1", seeds=(7,))
    x_hat = solve(physics, y, G, csgm(120)).x_hat
    assert psnr(x_hat, x) > 15
    assert 0.7 < x_hat.norm() / x.norm() < 1.4
