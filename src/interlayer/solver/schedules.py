"""Learning-rate schedules: pure functions of the step."""

from __future__ import annotations

import math

WARM_UP = 0.05
RAMP_DOWN = 0.25


def cosine_ramp(step: int, steps: int) -> float:
    """Factor in (0, 1]: linear over the first 5 % of the steps, cosine down over the last 25 %.

    The schedule of StyleGAN2's projector (arXiv 1912.04958, appendix D).

    >>> [round(cosine_ramp(i, 20), 2) for i in (0, 10, 14, 17, 19)]
    [0.5, 1.0, 1.0, 0.5, 0.02]
    """
    t = (step + 0.5) / steps
    down = 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - t) / RAMP_DOWN))
    return min(1.0, t / WARM_UP) * down
