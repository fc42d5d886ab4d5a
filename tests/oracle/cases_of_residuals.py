"""Cases of the losses of a residual, as in `cases`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.oracle import formulas
from tests.oracle.case import Case, Drawn
from tests.oracle.exact import MP, exp
from tests.oracle.record import Oracle


def residuals(rng: np.random.Generator, limits: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs and targets near and far, of every magnitude that the type can hold."""
    huge, tiny = float(limits.max) ** 0.45, float(limits.tiny) ** 0.45
    edges = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.5,
        2.0,
        tiny,
        -tiny,
        huge,
        -huge,
        float(limits.max) / 4,
        float(limits.tiny),
    ]
    x = np.concatenate([rng.standard_normal(12) * 3, edges, edges, [1 + float(limits.eps), 1e3]])
    t = np.concatenate([rng.standard_normal(12) * 3, np.zeros(12), rng.permutation(edges), [1.0, 1e3 + 2e-3]])
    return x, t


def _all_sizes(rng: np.random.Generator, limits: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs and targets from the least subnormal to the largest number: apart, equal and opposite."""
    low, high = np.log2([float(limits.smallest_subnormal), float(limits.max)])
    x = 2.0 ** np.linspace(low, high - 1e-9, 22) * rng.choice([-1.0, 1.0], 22)
    edges = np.array([0.0, float(limits.smallest_subnormal), float(limits.tiny), float(limits.max)])
    edges = np.concatenate([edges, -edges])
    x = np.concatenate([[3.0, -0.25], x, edges, edges, edges])
    return x, np.concatenate([np.zeros(32), edges, -edges])


def _regression(
    settings: list[dict[str, float]], setting: str = "", wide: float = 0.0, weighable: bool = True
) -> Callable[..., Drawn]:
    def draw(rng: np.random.Generator, limits: Any) -> Drawn:
        x, t = residuals(rng, limits)
        every_x, every_t = _all_sizes(rng, limits)
        for given in settings:
            yield Case(f"{given or 'plain'}", {"input": x, "target": t}, given)
        yield Case("all sizes", {"input": every_x, "target": every_t})
        if setting:  # so far below the type's limit that ``wide`` times it is finite
            yield Case(f"wide {wide}", {"input": x * 1e-6, "target": t * 1e-6}, {setting: wide})
            low, high = float(limits.smallest_subnormal), float(limits.max)
            for size in (
                low * 8,
                low**0.75,
                low**0.5,
                high**0.5,
                high**0.75,
                high / 4,
                1e-310,
                1e-40,
                1e15,
                1e308,
            ):
                yield Case(f"{setting} {size:.3g}", {"input": every_x, "target": every_t}, {setting: size})
        if weighable:
            weight = rng.uniform(0, 3, x.shape)
            weight[:6] = 0
            yield Case("weighted", {"input": x, "target": t, "weight": weight}, settings[-1])
            weight = abs(rng.permutation(every_x))
            yield Case("weights of all sizes", {"input": every_x, "target": every_t, "weight": weight})

    return draw


ORACLES: dict[str, Oracle] = {
    "mse": Oracle(formulas.mse, _regression([{}]), bound=4, curvature=lambda r, _: MP.mpf(2)),
    "l1": Oracle(formulas.l1, _regression([{}]), bound=2, curvature=lambda r, _: MP.mpf(0)),
    "huber": Oracle(
        formulas.huber,
        _regression([{}, {"delta": 0.5}], "delta", 1e3),
        bound=4,
        curvature=lambda r, delta: MP.mpf(r < delta),
    ),
    "smooth_l1": Oracle(
        formulas.smooth_l1,
        _regression([{}, {"beta": 0.25}, {"beta": 0.0}], "beta", 1e3, weighable=False),
        bound=4,
        curvature=lambda r, beta: 1 / beta if r < beta else MP.mpf(0),
    ),
    "pseudo_huber": Oracle(
        formulas.pseudo_huber,
        _regression([{}, {"delta": 0.25}], "delta", 1e3, weighable=False),
        bound=4,
        curvature=lambda r, delta: (delta / MP.hypot(r, delta)) ** 3,
    ),
    "log_cosh": Oracle(
        formulas.log_cosh,
        _regression([{}], weighable=False),
        bound=4,
        curvature=lambda r, _: 4 * exp(-2 * r) / (1 + exp(-2 * r)) ** 2,
    ),
    "cauchy": Oracle(
        formulas.cauchy,
        _regression([{}, {"scale": 0.25}], "scale", 1e3, weighable=False),
        bound=8,
        curvature=lambda r, scale: (1 - (r / scale) ** 2) / (1 + (r / scale) ** 2) ** 2,
        factor=lambda case: case.settings.get("scale", 1.0),
    ),
    "fair": Oracle(
        formulas.fair,
        _regression([{}, {"c": 0.25}], "c", 1e3, weighable=False),
        bound=8,
        curvature=lambda r, c: (c / (r + c)) ** 2,
    ),
}
