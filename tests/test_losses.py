import torch

from interlayer import geodesic_cross, measurement_loss
from interlayer.schedules import cosine_ramp


def test_measurement_loss_is_the_mean_over_weighted_entries():
    predicted = torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    y = torch.tensor([[0.0, 2.0, 9.0], [1.0, 1.0, 1.0]])
    weight = torch.tensor([[1.0, 1.0, 0.0]])
    torch.testing.assert_close(measurement_loss(predicted, y, weight), torch.tensor([0.5, 1.0]))


def test_measurement_loss_broadcasts_pixel_weights_over_channels():
    predicted, y = torch.zeros(1, 3, 2, 2), torch.ones(1, 3, 2, 2)
    weight = torch.tensor([[1.0, 0.0], [0.0, 0.0]]).reshape(1, 1, 2, 2)
    assert measurement_loss(predicted, y, weight).item() == 1.0


def test_measurement_loss_takes_complex_measurements():
    y = torch.zeros(1, 2, dtype=torch.complex64)
    assert measurement_loss(y + (3 + 4j), y, torch.ones(1, 2)).item() == 25.0


def test_geodesic_cross_is_zero_for_one_code_repeated_and_ignores_length():
    codes = torch.randn(1, 1, 8, generator=torch.Generator().manual_seed(0)).expand(1, 4, 8)
    lengths = torch.tensor([1.0, 2.0, 3.0, 4.0]).reshape(1, 4, 1)
    assert geodesic_cross(codes * lengths).item() < 1e-6


def test_geodesic_cross_of_opposite_codes_is_pi_squared():
    codes = torch.tensor([[[1.0, 0.0], [-1.0, 0.0]]])
    torch.testing.assert_close(geodesic_cross(codes), torch.tensor([torch.pi**2]))
    assert geodesic_cross(codes[:, :1]).item() == 0
    assert geodesic_cross(torch.ones(2, 100, 1, 1)).tolist() == [0, 0]


def test_geodesic_cross_has_finite_gradients_at_coinciding_codes():
    codes = torch.ones(1, 3, 4, requires_grad=True)
    geodesic_cross(codes).sum().backward()
    assert codes.grad is not None and codes.grad.isfinite().all()


def test_cosine_ramp_rises_stays_and_falls():
    factors = [cosine_ramp(i, 100) for i in range(100)]
    assert factors[:5] == sorted(factors[:5]) and factors[0] < 0.2
    assert all(f == 1 for f in factors[5:75])
    assert factors[75:] == sorted(factors[75:], reverse=True) and 0 < factors[-1] < 0.01
    assert 0 < cosine_ramp(0, 1) <= 1
