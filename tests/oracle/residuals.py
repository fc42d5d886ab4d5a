"""Calls of the residual losses over the whole range of floats, and what is exact for them.

A call is drawn with every number anywhere between the least subnormal and the largest float: residuals, settings,
weights, upstream, denominators. What is exact comes with its size: what a relative error of each operand would change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from lossd.losses import LOSSES
from lossd.message import Answer, Call
from tests.oracle.exact import MP, Number
from tests.oracle.records import ORACLES

# The declared functions of the absolute residual, and their settings.
NAMES = tuple(name for name, loss in LOSSES.items() if loss.of_residual)
SETTING = {
    name: LOSSES[name].differentiable_settings[0] for name in NAMES if LOSSES[name].differentiable_settings
}
COMPLEX = {np.dtype(np.float32): np.dtype(np.complex64), np.dtype(np.float64): np.dtype(np.complex128)}
# Where in the answer, what is exact there, and its size.
Found = tuple[str, Any, Number, Number]


def magnitudes(rng: np.random.Generator, dtype: Any, shape: Any = ()) -> Any:
    """Draw numbers of either sign from all of a type's range, or from one corner of it."""
    limits = np.finfo(dtype)
    low, high = float(np.log2(limits.smallest_subnormal)), float(np.log2(limits.max)) - 1e-9
    corners = [
        (low, high),
        (high - 3, high),
        (low, low + 30),
        (low / 2 - 2, low / 2 + 2),
        (high / 2 - 2, high / 2 + 2),
    ]
    edges = [0.0, -0.0, 1.0, 0.5, 2.0, limits.max, limits.tiny, limits.smallest_subnormal]
    corner = rng.integers(len(corners) + 2)
    if corner == len(corners):
        drawn = rng.standard_normal(shape)
    elif corner > len(corners):
        drawn = rng.choice(edges, shape)
    else:
        drawn = 2.0 ** rng.uniform(*corners[corner], shape)
    return np.asarray(drawn * rng.choice([-1.0, 1.0], shape)).astype(dtype)


def _coin(rng: np.random.Generator, chance: float) -> bool:
    return bool(rng.random() < chance)


def draw_call(name: str, rng: np.random.Generator, dtype: Any) -> Call:
    """Draw a call: one that the fused kernel takes, or one with some of all that may be asked."""
    shape = [(1,), (), (0,), (2,), (5,), (2, 3)][rng.integers(6)]
    arrays: dict[str, Any] = {"input": magnitudes(rng, dtype, shape), "target": magnitudes(rng, dtype, shape)}
    if _coin(rng, 0.4):
        arrays["target"] = arrays["input"] if _coin(rng, 0.2) else np.zeros(shape, dtype)
    setting = _draw_setting(rng, arrays["input"]) if name in SETTING else 0.0
    options: dict[str, Any] = {SETTING[name]: setting} if name in SETTING else {}
    if _coin(rng, 0.2):
        options["denominator"] = setting or float(abs(magnitudes(rng, np.float64))) or 1.0
    if _coin(rng, 0.4):
        return Call(
            arrays,
            {**options, "reduction": str(rng.choice(["sum", "mean"])), "gradient": True, "empty": "zero"},
        )
    complex_ = _coin(rng, 0.3)
    if complex_:
        parts = ["input", "target"] if _coin(rng, 0.5) else ["input"]
        for part in parts:
            arrays[part] = (arrays[part] + 1j * magnitudes(rng, dtype, shape)).astype(
                COMPLEX[np.dtype(dtype)]
            )
    if "weight" in LOSSES[name].array_names and _coin(rng, 0.4):
        arrays["weight"] = _weights(rng, dtype, shape)
    if _coin(rng, 0.4):
        arrays["sample_weight"] = abs(magnitudes(rng, rng.choice([np.float32, np.float64]), shape))
    if _coin(rng, 0.3):
        arrays["upstream"] = magnitudes(rng, np.float64, shape)
    if _coin(rng, 0.3):
        arrays["mask"] = np.asarray(rng.random(shape) < 0.7)
    if not complex_ and _coin(rng, 0.5):
        options["hessian"] = True
        arrays["hvp"] = magnitudes(rng, dtype, shape)
    named = [
        key for key in ("input", "target", "weight", SETTING.get(name)) if key in arrays or key in options
    ]
    modes = rng.choice(["none", "sum", "mean", "batchmean", "weighted_mean"], 2, replace=False).tolist()
    if "none" not in modes:
        arrays.pop("upstream", None)  # nothing else takes it
    return Call(arrays, {**options, "reduction": modes, "gradient": named, "empty": "zero"})


def _weights(rng: np.random.Generator, dtype: Any, shape: Any) -> Any:
    """Draw weights, of which the heaviest may be negative."""
    found = abs(magnitudes(rng, dtype, shape))
    if found.size and _coin(rng, 0.3):
        found.reshape(-1)[found.argmax()] *= -1
    return found


def _draw_setting(rng: np.random.Generator, input: Any) -> float:
    """Draw a positive setting: of any size, of float32's sizes, usual, or at the tie."""
    drawn = [2.0 ** rng.uniform(-1074, 1023), 2.0 ** rng.uniform(-149, 127), 1.0, 2.0 ** rng.uniform(-3, 20)]
    tie = float(abs(input.reshape(-1)[0])) if input.size else 0.0
    return float([*drawn, tie or 1.0][rng.integers(5)])


def exact(value: Any) -> Any:
    """Return a number as it is, complex or real."""
    if np.iscomplexobj(value):
        return MP.mpc(MP.mpf(float(value.real)), MP.mpf(float(value.imag)))
    return value if isinstance(value, MP.mpf) else MP.mpf(float(value))


class Row:
    """The exact loss of one row, without its weights: value, slope, curvature, and their sizes."""

    def __init__(self, name: str, input: Any, target: Any, setting: float) -> None:
        residual = exact(input) - exact(target)
        self.absolute = absolute = abs(residual)
        self.direction = residual / absolute if absolute else absolute
        given = {SETTING[name]: setting} if name in SETTING else {}
        truth = ORACLES[name].formula(input=absolute, target=MP.mpf(0), **given)
        self.value, self.slope = MP.fsum(truth.value), MP.fsum(truth.gradient["input"])
        by_setting = truth.gradient[SETTING[name]] if given else (MP.mpf(0),)
        self.by_setting, self.by_setting_size = MP.fsum(by_setting), 2 * MP.fsum(by_setting, absolute=True)
        self.value_size = self.value + self.slope * absolute + MP.mpf(setting) * self.by_setting_size
        second = ORACLES[name].curvature
        assert second, (
            f"add to the oracle of {name}: curvature=, a function of the absolute residual and setting"
        )
        near, step = MP.mpf(setting), MP.mpf(2) ** -22
        self.curvature = second(absolute, near)
        wide, half = (
            second(absolute * (1 + s), near) - second(absolute * (1 - s), near) for s in (step, step / 2)
        )
        # What the rounding of the residual leaves of the slope, as of one with an exponential.
        self.slope_size = max(abs(self.slope), absolute * abs(self.curvature))
        # Whether the rounding of the residual may cross a jump: what does not jump changes by twice as much in a step
        # twice as wide.
        self.kink = abs(wide) > abs(self.curvature) / 2 and abs(wide - 2 * half) > abs(wide) / 4
        # Beside a root of the curvature an error of the residual is many of the curvature's own.
        self.curvature_size = abs(self.curvature) + abs(wide) / (2 * step)


def truths(name: str, call: Call, answer: Answer) -> Iterator[Found]:
    """Pair every number of an answer with what is exact there."""
    given, options = call.arrays, call.options
    setting = options.get(SETTING.get(name, ""), 1.0 if name in SETTING else 0.0)
    flat = {key: array.reshape(-1) for key, array in given.items()}
    rows = [Row(name, x, t, setting) for x, t in zip(flat["input"], flat["target"], strict=True)]
    ones = np.ones(len(rows))
    weight, sample, upstream = (
        [exact(w) for w in flat.get(key, ones)] for key in ("weight", "sample_weight", "upstream")
    )
    taken = [bool(m) for m in flat.get("mask", ones)]
    for mode, loss in answer.loss.items():
        normalizer = weight if LOSSES[name].normalizer else [MP.mpf(1)] * len(rows)
        divisor, share = _divisor(
            mode, normalizer, sample, taken, given["input"].shape, options.get("denominator")
        )
        if not divisor or _cancels(divisor, normalizer, share, taken):
            continue
        factor = [s / divisor * t for s, t in zip(sample, taken, strict=True)]
        weighed = [(row, w * f) for row, w, f in zip(rows, weight, factor, strict=True)]
        values = [row.value * f for row, f in weighed]
        sizes = [row.value_size * abs(f) for row, f in weighed]
        whole = MP.fsum(values)
        if mode == "none":
            yield from _each("value", loss, values, sizes)
            factor = [f * u for f, u in zip(factor, upstream, strict=True)]
            weighed = [(row, w * f) for row, w, f in zip(rows, weight, factor, strict=True)]
        else:
            yield f"{mode} value", loss, whole, MP.fsum(sizes)
        for key, found in answer.gradient[mode].items():
            where = f"{mode} {key}"
            if key == SETTING.get(name):
                true = MP.fsum(row.by_setting * f for row, f in weighed)
                yield where, found, true, MP.fsum(row.by_setting_size * abs(f) for row, f in weighed)
            elif key == "weight":
                dense = share if share and LOSSES[name].normalizer else [MP.mpf(0)] * len(rows)
                rates = [s / divisor * t for s, t in zip(dense, taken, strict=True)]
                yield from _each(where, found, *_by_weight(rows, factor, weight, rates))
            else:
                sign = 1 if key == "input" else -1
                by = [sign * row.slope * row.direction * f for row, f in weighed]
                true = by if np.iscomplexobj(given[key]) else [b.real for b in by]
                yield from _each(where, found, true, [row.slope_size * abs(f) for row, f in weighed])
        for kind, direction in (("hessian", ones), ("hvp", flat.get("hvp", ones))):
            if mode in getattr(answer, kind):
                found = getattr(answer, kind)[mode]["input"].reshape(-1)
                for (row, f), got, d in zip(weighed, found, direction, strict=True):
                    along = f * exact(d)
                    if not row.kink:
                        yield f"{mode} {kind}", got, row.curvature * along, row.curvature_size * abs(along)


def _by_weight(
    rows: list[Row], factor: list[Number], weight: list[Number], rates: list[Number]
) -> tuple[list[Number], list[Number]]:
    """Return the gradient of a mean with respect to the weights, and the sizes of its addends.

    With f the factors and r the denominator's rates, both divided by it, ``f_i l_i - r_i sum_k w_k f_k l_k``. Where
    the denominator is the weights' sum, ``sum_k w_k r_k = 1`` makes that ``sum_k w_k (f_i l_i r_k - r_i f_k l_k)``, of
    which the addend of k = i is 0.
    """
    values = [row.value * f for row, f in zip(rows, factor, strict=True)]
    sizes = [row.value_size * abs(f) for row, f in zip(rows, factor, strict=True)]
    if not any(rates):
        return values, [4 * size for size in sizes]
    every = list(zip(values, sizes, weight, rates, strict=True))
    found, held = [], []
    for place, (value, size, _, rate) in enumerate(every):
        others = every[:place] + every[place + 1 :]
        found.append(MP.fsum(w * (value * r - rate * v) for v, _, w, r in others))
        held.append(4 * MP.fsum(abs(w) * (size * abs(r) + abs(rate) * s) for _, s, w, r in others))
    return found, held


def _divisor(
    mode: str, normalizer: Any, sample: Any, taken: Any, shape: Any, own: float | None
) -> tuple[Number, Any]:
    """Return what a reduction divides by, and its derivative with respect to each row's weight, if any."""
    if mode in ("none", "sum"):
        return MP.mpf(1), None
    if own is not None:
        return MP.mpf(own), None
    if mode == "batchmean":
        return MP.mpf(shape[0] if shape else 1), None
    share = sample if mode == "weighted_mean" else [MP.mpf(1)] * len(normalizer)
    return MP.fsum(m * s for m, s, t in zip(normalizer, share, taken, strict=True) if t), share


def _cancels(divisor: Number, normalizer: list[Number], share: Any, taken: list[bool]) -> bool:
    """Return whether weights of both signs leave a denominator few of their digits."""
    parts = zip(normalizer, share or [0] * len(taken), taken, strict=True)
    return bool(MP.fsum(abs(m * s) for m, s, t in parts if t) > MP.mpf(1.25) * abs(divisor))


def _each(where: str, found: Any, values: list[Any], sizes: list[Number]) -> Iterator[Found]:
    found = np.asarray(found).reshape(-1)
    assert len(found) == len(values), where
    yield from zip([where] * len(values), found, values, sizes, strict=True)


def is_exact(got: Any, true: Any, size: Number, ulps: float = 8) -> bool:
    """Return whether a number is ``ulps`` of its size, and 6 subnormal steps, from the true one at most."""
    if np.iscomplexobj(got):
        return is_exact(got.real, true.real, size, ulps) and is_exact(got.imag, true.imag, size, ulps)
    limits: Any = np.finfo(got.dtype)
    allowed = ulps * MP.mpf(float(limits.eps)) * size + 6 * MP.mpf(float(limits.smallest_subnormal))
    most = MP.mpf(float(limits.max))
    if np.isinf(got):
        return allowed >= most or (
            (got > 0) == (true > 0) and abs(true) + allowed >= most * (1 - MP.mpf(float(limits.eps)))
        )
    return bool(abs(MP.mpf(float(got)) - true) <= allowed)


def describe(call: Call) -> Mapping[str, Any]:
    """Return a call as a test's message shows it."""
    return {**call.arrays, **call.options}
