"""Finds the blocks in which large weights, or directions of the Hessian, may scale underflow back into range."""

from __future__ import annotations

import numpy as np

from lossd.declaration.domain import WEIGHT
from lossd.engine.bind import Bound
from lossd.engine.factors import block_factor
from lossd.engine.layout import Block
from lossd.engine.plan import Plan
from lossd.engine.precision import is_heavy


def weighs_heavily(bound: Bound, plan: Plan, block: Block) -> bool:
    """Return whether a block's weights, directions and factors may scale what underflows back into range."""
    kind = bound.computing
    heavy = [given for given in bound.arrays.values() if given.role.domain is WEIGHT or given.role.weighs]
    weights = [
        given.array.astype(kind, copy=False) if given.rows is None else given.rows.read(block, kind)
        for given in (*heavy, *plan.directions.values())
    ]
    # Where rows are added up, what a value is multiplied by in the end is the gradient's factor.
    factors = [each.derivative for each in plan.factors.values()]
    factors += [plan.factors["none"].value] if "none" in plan.factors else []
    return any(
        is_heavy(
            [each.reshape(-1) if isinstance(each, np.ndarray) else each for each in (*weights, factor)], kind
        )
        for factor in (block_factor(factor, block, bound) for factor in factors)
    )
