"""Random calls of any loss over the whole range of its types, drawn from its declaration alone.

Every call has a profile of its own: ordinary numbers, ties, one scale for all, or any magnitude from the
smallest subnormal to the largest number; arrays that are nearly equal; settings at both ends of their range.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import Any, Literal, get_args, get_origin

import numpy as np
from pydantic.fields import FieldInfo

from lossd.declaration.domain import WEIGHT, Distribution, Interval, OneOf
from lossd.declaration.loss import Loss
from lossd.declaration.role import Role
from lossd.declaration.samples import forms, sample_call
from lossd.declaration.signature import PLACING
from tests.oracle.cases import Case
from tests.oracle.truth import FRAMES

Draw = Callable[[np.random.Generator, tuple[int, ...], Any], np.ndarray]

# Settings whose whole range is not worth a random number, and sizes that keep brute force short.
SETTINGS: Mapping[str, tuple[Any, ...]] = {
    "p": (1.0, 2.0, 2.0, 1.5, 3.0, 10.0),
    "blank": (0,),
    "ignore_index": (-100, -100, 0, 1),
    "temperature": (1.0, 0.07, 0.5, 10.0, 1e-3, 1e4),
    "zero_infinity": (False, True),
    "truncation_level": (30, 1, 2),
    "stop_target_gradients": (False,),
    "iterations": (1, 2, 3),
}
SIZES: Mapping[str, Callable[[np.random.Generator], int]] = {
    "C": lambda rng: int(rng.choice([1, 2, 2, 3, 4])),
    "D": lambda rng: int(rng.choice([1, 2, 3])),
    "P": lambda rng: int(rng.choice([1, 2, 3, 6])),
    "Q": lambda rng: int(rng.choice([1, 2, 3])),
    "S": lambda rng: int(rng.choice([1, 2])),
    "T": lambda rng: int(rng.choice([1, 2, 3])),
    "L": lambda rng: int(rng.choice([1, 2, 3, 5])),
    "K": lambda rng: int(rng.choice([1, 2, 3])),
    "B": lambda rng: int(rng.choice([1, 2, 3])),
}
# An argument that is not negative, unless a setting says that it is a logarithm: up to what, for infinities of either
# sign in a sum say nothing.
LOGARITHMIC: Mapping[str, tuple[str, str, float]] = {
    "poisson_nll": ("input", "log_input", 1e4),
    "kl_div": ("target", "log_target", 80.0),
}
# ctc's sample labels are 1 to 3.
FIXED: Mapping[str, Mapping[str, int]] = {"ctc": {"C": 4}}


def draw_call(loss: Loss, rng: np.random.Generator, dtype: Any) -> Case:
    """Draw one call: arrays with one row per first index, and settings."""
    ways = forms(loss)
    form = ways[rng.integers(len(ways))]
    sizes = {name: size(rng) for name, size in SIZES.items()} | FIXED.get(loss.name, {})
    rows = int(rng.choice([1, 1, 2, 3, 5]))
    if rows == 2 and loss.name in WHOLE_BATCH:
        rows = 4  # two items are always on a line
    call = sample_call(loss, rng, form=form, batch=(rows,), sizes=sizes, dtype=dtype)
    profile = WHOLE_BATCH.get(loss.name, scaled_rows)
    vectors = any("D" in role.pattern.letters for role in form.roles.values())
    if not (loss.whole_batch and vectors):
        profile = PROFILES[rng.integers(len(PROFILES))]
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
    settings = {
        name: _setting(name, field, rng) for name, field in loss.settings.items() if name not in PLACING
    }
    if loss.name in LOGARITHMIC:
        key, setting, most = LOGARITHMIC[loss.name]
        arrays[key] = np.minimum(arrays[key], dtype(most)) if settings[setting] else abs(arrays[key])
    axes = {setting: 1 for role in form.roles.values() if role.flattened for setting in role.axes.values()}
    if "target" in arrays and arrays["target"].dtype.kind == "f":
        settings.pop("ignore_index", None)  # probabilities have no index to ignore
    settings = {name: value for name, value in settings.items() if name not in axes and value is not None}
    return Case(form.name, arrays, {**settings, **axes})


def ordinary(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Draw normal numbers of one moderate scale."""
    return np.asarray(rng.standard_normal(shape) * rng.choice([0.1, 1, 3, 30]))


def tied(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Draw halves: sums and differences are exact, and many are equal."""
    return np.asarray(rng.integers(-4, 5, shape) / 2)


def any_size(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Draw every magnitude that the type has, zero too."""
    limits = np.finfo(dtype)
    low, high = np.log2(float(limits.smallest_subnormal)), np.log2(float(limits.max))
    size = np.exp2(rng.uniform(low, high, shape))
    return np.asarray(size * rng.choice([-1, 1, 1, 0], shape, p=[0.45, 0.25, 0.25, 0.05]))


def one_scale(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Draw normal numbers of one scale, which may be any."""
    return np.asarray(rng.standard_normal(shape) * abs(any_size(rng, (), dtype)))


def scaled_rows(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Draw vectors of any length: cosines do not depend on it, but have the errors of the longest coordinate."""
    vectors = rng.integers(-3, 4, shape) if rng.random() < 0.3 else rng.standard_normal(shape)
    return np.asarray(vectors * any_size(rng, shape[:1], dtype)[:, None])


def scaled_columns(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Draw dimensions of any scale: correlations do not depend on it, but have the errors of the farthest item."""
    items = rng.integers(-3, 4, shape) if rng.random() < 0.3 else rng.standard_normal(shape)
    return np.asarray(items * any_size(rng, shape[1:], dtype))


def far_logits(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Draw what an exponential over- or underflows at."""
    return np.asarray(rng.uniform(-800, 800, shape) * rng.choice([0.02, 0.1, 0.2, 1]))


def mixed(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Draw each number by a profile of its own."""
    ways = np.stack([way(rng, shape, dtype) for way in (ordinary, tied, any_size, far_logits)])
    chosen = rng.integers(0, len(ways), shape)
    return np.asarray(np.take_along_axis(ways, chosen[None], axis=0)[0])


WHOLE_BATCH: Mapping[str, Draw] = {"barlow_twins": scaled_columns}
PROFILES: tuple[Draw, ...] = (ordinary, tied, any_size, one_scale, far_logits, mixed)


def fractions(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Draw numbers in [0, 1]: both ends, next to both ends, of any size, and in between."""
    eps = float(np.finfo(dtype).eps)
    ways = np.stack(
        [
            rng.uniform(0, 1, shape),
            rng.integers(0, 2, shape).astype(float),
            np.minimum(abs(any_size(rng, shape, dtype)), 1),
            1 - eps * rng.integers(0, 9, shape) / 2,
            np.exp2(-rng.uniform(0, 60, shape)),
            1 - np.exp2(-rng.uniform(0, 60, shape)),
        ]
    )
    chosen = (
        rng.integers(0, len(ways), shape) if rng.random() < 0.5 else np.full(shape, rng.integers(len(ways)))
    )
    return np.asarray(np.take_along_axis(ways, chosen[None], axis=0)[0])


def weights(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Draw factors: ordinary ones, none, tiny and huge ones."""
    usual = rng.uniform(0, 3, shape) * rng.choice([0, 1, 1], shape)
    return usual if rng.random() < 0.8 else np.asarray(np.exp2(rng.uniform(-60, 60, shape)))


def distributions(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Draw probabilities of all classes, the last axis: soft, nearly certain, and certain ones."""
    soft = rng.dirichlet(np.full(shape[-1], rng.choice([0.05, 0.5, 5.0])), shape[:-1])
    certain = np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])]
    return np.asarray(soft if rng.random() < 0.7 else certain)


def _array(role: Role, drawn: np.ndarray, profile: Draw, rng: np.random.Generator, dtype: Any) -> np.ndarray:
    """Draw the values of one argument in the shape of its sample."""
    domain, shape = role.domain, drawn.shape
    if domain.kind != "real" or isinstance(domain, OneOf):
        return drawn.astype(dtype) if domain.kind == "real" else drawn
    limit = float(np.finfo(dtype).max)
    if isinstance(domain, Distribution):
        values = distributions(rng, shape, dtype)
    elif isinstance(domain, Interval) and domain.typical is not None and not _is_free(role):
        values = weights(rng, shape, dtype)
    elif _bounded(role):
        values = fractions(rng, shape, dtype)
        if domain.closed != "both":  # type: ignore[attr-defined]
            values = np.clip(values, np.finfo(dtype).tiny, 1 - np.finfo(dtype).eps)
    else:
        values = profile(rng, shape, dtype)
    return np.clip(values, -limit, limit).astype(dtype)


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


def _setting(name: str, field: tuple[Any, Any], rng: np.random.Generator) -> Any:
    """Draw a setting: its default, one of those worth a look, or any number within its bounds."""
    hint, default = field
    info = FieldInfo.from_annotation(hint)
    if get_origin(info.annotation) is Literal:
        choices = get_args(info.annotation)
        return choices[rng.integers(len(choices))]
    if name in SETTINGS:
        return SETTINGS[name][rng.integers(len(SETTINGS[name]))]
    if info.annotation is bool:
        return bool(rng.integers(2))
    if info.annotation is not float or rng.random() < 0.4:
        return default
    low, high = _bound(info, "gt", "ge", -inf), _bound(info, "lt", "le", inf)
    if high < inf:
        return float(rng.choice([low, high, rng.uniform(low, high), 10.0 ** rng.uniform(-30, 0)]))
    if low == -inf:
        return float(rng.choice([0.0, rng.standard_normal(), 10.0 ** rng.uniform(-10, 3)]))
    wide = 10.0 ** rng.uniform(-323, 308)
    edge = default if _bound(info, "gt", "none", -inf) == 0 else low
    return float(rng.choice([edge, wide, 10.0 ** rng.uniform(-45, 39), 10.0 ** rng.uniform(-3, 3)]))


def _bound(field: FieldInfo, strict: str, closed: str, absent: float) -> float:
    stated = (
        getattr(mark, name) for mark in field.metadata for name in (strict, closed) if hasattr(mark, name)
    )
    return float(next(stated, absent))
