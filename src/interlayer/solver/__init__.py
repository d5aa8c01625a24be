"""The solver: one loop that runs any method on any problem, and what it returns."""

from interlayer.solver.by_name import QUALITIES, method_names, named_method, reconstruct, solve
from interlayer.solver.deepinv import as_reconstructor
from interlayer.solver.projections import project_l1_ball, project_sphere
from interlayer.solver.records import (
    GeneratorPoint,
    Samples,
    Settings,
    Solution,
    StageRecord,
    State,
)
from interlayer.solver.sampling import sample
from interlayer.solver.solving import iterate

__all__ = [
    "QUALITIES",
    "GeneratorPoint",
    "Samples",
    "Settings",
    "Solution",
    "StageRecord",
    "State",
    "as_reconstructor",
    "iterate",
    "method_names",
    "named_method",
    "project_l1_ball",
    "project_sphere",
    "reconstruct",
    "sample",
    "solve",
]
