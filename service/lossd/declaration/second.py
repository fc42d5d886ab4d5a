"""Which second derivatives a kernel gives by hand: all others take dual numbers, which cost far more."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from lossd.declaration.loss import Loss
from lossd.declaration.role import Role
from lossd.declaration.samples import forms, sample_call
from lossd.declaration.signature import PLACING
from lossd.message import Array


class ByHand(NamedTuple):
    """Arguments of which a kernel has second derivatives.

    Attributes:
        hessian: Those with a diagonal of the Hessian.
        product: Those with a product of the Hessian and a direction.
    """

    hessian: frozenset[str]
    product: frozenset[str]


@cache
def by_hand(loss: Loss) -> ByHand:
    """Return of which arguments a loss's kernel gives second derivatives: it is asked once, with two rows."""
    hessian: set[str] = set()
    product: set[str] = set()
    for form in forms(loss):
        if all(role.shared or role.pattern.batched or role.pattern.by_item for role in form.roles.values()):
            call = sample_call(loss, np.random.default_rng(0), form=form, batch=(2,))
            arrays = {name: _rows_first(array, form.roles[name]) for name, array in call.arrays.items()}
            defaults = {name: default for name, (_, default) in loss.settings.items()}
            settings = {
                name: call.options.get(name, defaults[name]) for name in defaults if name not in PLACING
            }
            with np.errstate(all="ignore"):
                found = loss.kernel(**{**dict.fromkeys(loss.by_name), **arrays}, **settings)
            hessian.update(found.hessian)
            product.update(found.product)
    return ByHand(frozenset(hessian), frozenset(product))


def _rows_first(array: Array, role: Role) -> Array:
    """Return an array of one batch axis as a kernel takes it."""
    before = range(len(role.pattern.before))
    return np.moveaxis(array, before, [1 + axis for axis in before])
