"""The bounds of the ILO paper as functions, and estimates of what enters them."""

from interlayer.evaluation.theory.bounds import (
    Choice,
    ExtendedRange,
    best_radius,
    error_bound,
    log_covering,
    measurements_needed,
    recovery_error,
    smallest_delta,
    srec_log_failure,
)
from interlayer.evaluation.theory.covering import (
    log_covering_l1_ball,
    log_covering_l2_ball,
    maurey_approximation,
    separated_net,
    width_l1_ball,
)
from interlayer.evaluation.theory.estimates import (
    effective_dimension,
    layer_map,
    local_lipschitz,
    secant_gains,
    secant_lipschitz,
    spectral_product,
)

__all__ = [
    "Choice",
    "ExtendedRange",
    "best_radius",
    "effective_dimension",
    "error_bound",
    "layer_map",
    "local_lipschitz",
    "log_covering",
    "log_covering_l1_ball",
    "log_covering_l2_ball",
    "maurey_approximation",
    "measurements_needed",
    "recovery_error",
    "secant_gains",
    "secant_lipschitz",
    "separated_net",
    "smallest_delta",
    "spectral_product",
    "srec_log_failure",
    "width_l1_ball",
]
