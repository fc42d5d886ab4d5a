"""Which second derivatives a kernel gives by hand: all others take dual numbers, which cost far more."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, NamedTuple, get_origin

import numpy as np
from pydantic.fields import FieldInfo

from lossd.declaration.loss import Loss
from lossd.declaration.role import Role
from lossd.declaration.samples import forms, sample_call
from lossd.declaration.signature import PLACING
from lossd.message import Array


class ByHand(NamedTuple):
    """Arguments for which a kernel has second derivatives by hand.

    Attributes:
        hessian: Those with a diagonal of the Hessian.
        product: Those with a product of the Hessian and a direction.
    """

    hessian: frozenset[str]
    product: frozenset[str]


def by_hand(loss: Loss, settings: Mapping[str, Any]) -> ByHand:
    """Return the arguments for which a loss's kernel gives second derivatives by hand, under these settings."""
    return _asked(loss, tuple((name, settings[name]) for name in _choices(loss) if name in settings))


@cache
def _choices(loss: Loss) -> tuple[str, ...]:
    """Return the settings that have a few values."""
    types = {name: FieldInfo.from_annotation(hint).annotation for name, (hint, _) in loss.settings.items()}
    return tuple(name for name, each in types.items() if each is bool or get_origin(each) is Literal)


@cache
def _asked(loss: Loss, choices: tuple[tuple[str, Any], ...]) -> ByHand:
    """Ask a kernel once, with two rows."""
    hessian: set[str] = set()
    product: set[str] = set()
    for form in forms(loss):
        if all(role.shared or role.pattern.batched or role.pattern.by_item for role in form.roles.values()):
            call = sample_call(loss, np.random.default_rng(0), form=form, batch=(2,))
            arrays = {name: _rows_first(array, form.roles[name]) for name, array in call.arrays.items()}
            defaults = {name: default for name, (_, default) in loss.settings.items()}
            taken = {**defaults, **call.options, **dict(choices)}
            settings = {name: taken[name] for name in defaults if name not in PLACING}
            with np.errstate(all="ignore"):
                found = loss.kernel(**{**dict.fromkeys(loss.by_name), **arrays}, **settings)
            hessian.update(found.hessian)
            product.update(found.product)
    return ByHand(frozenset(hessian), frozenset(product))


def _rows_first(array: Array, role: Role) -> Array:
    """Return an array of one batch axis as a kernel takes it."""
    before = range(len(role.pattern.before))
    return np.moveaxis(array, before, [1 + axis for axis in before])
