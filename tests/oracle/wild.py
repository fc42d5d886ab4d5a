"""Random calls of any loss over the whole range of its types, drawn from its declaration alone.

Every call has a profile of its own: ordinary numbers, ties, one scale for all, or any magnitude from the
smallest subnormal to the largest number; arrays that are nearly equal; settings at both ends of their range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any, Literal, get_args, get_origin

import numpy as np
from pydantic.fields import FieldInfo

from lossd.declaration.domain import WEIGHT, Distribution, Interval, OneOf
from lossd.declaration.loss import Loss
from lossd.declaration.role import Role
from lossd.declaration.samples import CallForm, forms, sample_call
from lossd.declaration.signature import PLACING
from tests.oracle.case import Case
from tests.oracle.profiles import (
    any_size,
    distributions,
    far_logits,
    fractions,
    mixed,
    near_axes,
    one_long,
    one_scale,
    ordinary,
    scaled_rows,
    signed_weights,
    tied,
    weights,
)
from tests.oracle.record import Profile
from tests.oracle.records import ORACLES
from tests.oracle.truth import FRAMES

PROFILES: tuple[Profile, ...] = (ordinary, tied, any_size, one_scale, far_logits, mixed)
PROFILES_OF_VECTORS = (*PROFILES, one_long, near_axes)
IGNORED = (-100, -100, 0, 1)

# The length of each letter of a pattern: short, for brute force. Other letters have 1 to 3.
SIZES: Mapping[str, tuple[int, ...]] = {
    "C": (1, 2, 2, 3, 4),
    "D": (1, 2, 3),
    "P": (1, 2, 3, 6),
    "Q": (1, 2, 3),
    "S": (1, 2),
    "T": (1, 2, 3),
    "L": (1, 2, 3, 5),
    "K": (1, 2, 3),
    "B": (1, 2, 3),
}


def draw_call(loss: Loss, rng: np.random.Generator, dtype: Any) -> Case:
    """Draw one call: arrays with one row per first index, and settings."""
    oracle, ways = ORACLES[loss.name], forms(loss)
    form = ways[rng.integers(len(ways))]
    lengths = {**SIZES, **{letter: (1, 2, 3) for letter in sorted(_letters(form) - SIZES.keys())}}
    sizes = {letter: int(rng.choice(every)) for letter, every in lengths.items()} | dict(oracle.sizes)
    rows = int(rng.choice(oracle.rows))
    call = sample_call(loss, rng, form=form, batch=(rows,), sizes=sizes, dtype=dtype)
    profile = oracle.profile or scaled_rows
    of_vectors = "D" in _letters(form)
    if not (loss.whole_batch and of_vectors):
        profiles = PROFILES_OF_VECTORS if of_vectors else PROFILES
        profile = profiles[rng.integers(len(profiles))]
    arrays: dict[str, np.ndarray] = {}
    with np.errstate(all="ignore"):
        for name, role in form.roles.items():
            array = _array(role, call.arrays[name], profile, rng, dtype)
            near = [other for other in arrays.values() if _alike(other, array)]
            if near and _is_free(role) and rng.random() < 0.3:
                array = _nudged(near[0], rng)
            # Exponentials of larger numbers have too many digits for a sum over all paths.
            arrays[name] = np.clip(np.moveaxis(array, 1, 0), -1e4, 1e4) if name in FRAMES else array
    for constraint in loss.constraints:
        constraint.repair(arrays)
    ignored = {a.role.ignored for a in loss.arguments} - {None}
    worth = {**dict.fromkeys(ignored, IGNORED), **oracle.settings}
    settings = {
        name: draw_setting(field, worth.get(name), rng)
        for name, field in loss.settings.items()
        if name not in PLACING
    }
    oracle.repair(arrays, settings)
    axes = {setting: 1 for role in form.roles.values() if role.flattened for setting in role.axes.values()}
    # Probabilities have no index to ignore.
    left_out = {*axes, *(ignored - {role.ignored for role in form.roles.values()})}
    settings = {name: v for name, v in settings.items() if name not in left_out and v is not None}
    return Case(form.name, arrays, {**settings, **axes})


def _letters(form: CallForm) -> set[str]:
    return {letter for role in form.roles.values() for letter in role.pattern.letters} - {"N"}


def _array(
    role: Role, drawn: np.ndarray, profile: Profile, rng: np.random.Generator, dtype: Any
) -> np.ndarray:
    """Draw the values of one argument in the shape of its sample."""
    domain, shape = role.domain, drawn.shape
    if domain.kind != "real" or isinstance(domain, OneOf):
        return drawn.astype(dtype) if domain.kind == "real" else drawn
    limit = float(np.finfo(dtype).max)
    if isinstance(domain, Distribution):
        values = distributions(rng, shape, dtype)
    elif isinstance(domain, Interval) and domain.typical is not None and not _is_free(role):
        values = (signed_weights if domain.unbounded else weights)(rng, shape, dtype)
    elif _bounded(role):
        values = fractions(rng, shape, dtype)
    else:
        values = profile(rng, shape, dtype)
    return _inside(domain, np.clip(values, -limit, limit).astype(dtype))


def _inside(domain: Any, values: np.ndarray) -> np.ndarray:
    """Move numbers at the open ends of an interval into it."""
    if not isinstance(domain, Interval) or domain.unbounded or domain.closed == "both":
        return values
    limits = np.finfo(values.dtype)
    low, high = values.dtype.type(domain.low), values.dtype.type(domain.high)
    if domain.closed in ("right", "neither"):
        low = low + max(limits.tiny, abs(low) * limits.eps)
    if domain.closed in ("left", "neither") and np.isfinite(high):
        high = high - max(limits.tiny, abs(high) * limits.eps)
    return np.clip(values, low, high)


def _bounded(role: Role) -> bool:
    return isinstance(role.domain, Interval) and not role.domain.unbounded


def _is_free(role: Role) -> bool:
    """Return whether an array that is no weight may hold any number."""
    return isinstance(role.domain, Interval) and role.domain.unbounded and role.domain != WEIGHT


def _alike(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype and one.dtype.kind == "f"


def _nudged(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return nearly the same numbers: each up to a few places off, or not at all."""
    steps = rng.integers(-3, 4, array.shape) * rng.choice([0, 1, 1, 1000])
    return np.nan_to_num(np.asarray(array + np.spacing(abs(array)) * steps).astype(array.dtype))


def draw_setting(field: tuple[Any, Any], worth: Sequence[Any] | None, rng: np.random.Generator) -> Any:
    """Draw a setting: its default, one of those worth a look, or any number within its bounds."""
    hint, default = field
    info = FieldInfo.from_annotation(hint)
    if get_origin(info.annotation) is Literal:
        choices = get_args(info.annotation)
        return choices[rng.integers(len(choices))]
    if worth is not None:
        return worth[rng.integers(len(worth))]
    if info.annotation is bool:
        return bool(rng.integers(2))
    if info.annotation is not float or rng.random() < 0.4:
        return default
    low, high = _bound(info, "gt", "ge", -inf), _bound(info, "lt", "le", inf)
    drawn = float(rng.choice(_worth_drawing(low, high, default, _is_strict(info, "gt"), rng)))
    least = np.nextafter(low, inf) if _is_strict(info, "gt") else low
    most = np.nextafter(high, -inf) if _is_strict(info, "lt") else high
    return float(min(max(drawn, least), most))


def _worth_drawing(
    low: float, high: float, default: float, above_low: bool, rng: np.random.Generator
) -> list[float]:
    """Return numbers between two bounds, near both of them and of every size."""
    if high < inf and low == -inf:
        return [-number for number in _worth_drawing(-high, inf, -default, above_low, rng)]
    if high < inf:
        return [low, high, rng.uniform(low, high), low + (high - low) * 10.0 ** rng.uniform(-30, 0)]
    if low == -inf:
        return [0.0, rng.standard_normal(), 10.0 ** rng.uniform(-10, 3)]
    wide = 10.0 ** rng.uniform(-323, 308)
    edge = default if above_low and low == 0 else low
    return [
        edge,
        *(max(low, number) for number in (wide, 10.0 ** rng.uniform(-45, 39), 10.0 ** rng.uniform(-3, 3))),
    ]


def _is_strict(field: FieldInfo, bound: str) -> bool:
    return any(hasattr(mark, bound) for mark in field.metadata)


def _bound(field: FieldInfo, strict: str, closed: str, absent: float) -> float:
    stated = (
        getattr(mark, name) for mark in field.metadata for name in (strict, closed) if hasattr(mark, name)
    )
    return float(next(stated, absent))
