"""Cases of the losses of probabilities and of quantiles, as in `cases`."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.oracle import formulas, formulas_of_sets
from tests.oracle.case import Case, Drawn
from tests.oracle.cases_of_residuals import residuals
from tests.oracle.record import Oracle


def _bce(rng: np.random.Generator, limits: Any) -> Drawn:
    eps, tiny = float(limits.eps), float(limits.tiny)
    edges = [0.0, 1.0, tiny, eps, 1e-13, 1e-6, 0.5, 1 - eps, 1 - 1e-5, 1e-30]
    x = np.concatenate([rng.uniform(0, 1, 10), edges, edges, edges])
    t = np.concatenate([rng.uniform(0, 1, 10), np.zeros(10), np.ones(10), rng.uniform(0, 1, 10)])
    yield Case("plain", {"input": x, "target": t})
    yield Case("weighted", {"input": x, "target": t, "weight": rng.uniform(0, 2, 40)})
    least = float(limits.smallest_subnormal)
    near = np.array(
        [0.3, 0.7, 0.0, least, 9 * least, tiny, 1e-13, 1e-12, 1e-4, 0.5, 1 - 1e-4, 1 - eps, 1 - eps / 2, 1]
    )
    for off in (0.0, eps, 4 * eps, 1e-3):  # targets that all but are the input
        yield Case(f"near the target by {off}", {"input": near, "target": np.clip(near * (1 + off), 0, 1)})
    x, t = (array.reshape(-1) for array in np.meshgrid(near, near))
    yield Case("all pairs", {"input": x, "target": t})
    x, t, weight = (
        a.reshape(-1)
        for a in np.meshgrid([0.5, 0.25, 0, 1, np.nan], [0, 0.5, 1, np.nan], [0, 1, least, np.nan, np.inf])
    )
    yield Case("not numbers", {"input": x, "target": t, "weight": weight})


def _bce_with_logits(rng: np.random.Generator, limits: Any) -> Drawn:
    sweep = np.concatenate([np.linspace(-110, 110, 23), [-745, 745, -708, 708, 1e-30, -1e-30, 0, -0.0]])
    edges = [float(limits.max), float(limits.min), np.inf, -np.inf, float(limits.tiny), -1e4, 1e4]
    x = np.concatenate([sweep, edges, rng.standard_normal(8) * 3])
    for name, t in {"negative": np.zeros(x.shape), "positive": np.ones(x.shape)}.items():
        yield Case(name, {"input": x, "target": t})
        yield Case(f"{name} p", {"input": x, "target": t, "pos_weight": np.full(x.shape, 2.5)})
    soft = rng.uniform(0.1, 0.9, x.shape)
    weight = rng.uniform(0, 2, x.shape)
    yield Case("soft", {"input": x, "target": soft})
    yield Case("weighted", {"input": x, "target": soft, "weight": weight, "pos_weight": weight[::-1].copy()})
    least, most, eps = float(limits.smallest_subnormal), float(limits.max), float(limits.eps)
    x, t = (
        a.reshape(-1)
        for a in np.meshgrid([*edges, -30, -1, 0, 0.3, 30, 79], [0, least, eps, 0.5, 1 - eps, 1])
    )
    yield Case("all pairs", {"input": x, "target": t})
    everything = [0.0, 1.0, 100 * least, most / 1e4, np.inf, np.nan]
    x, t, p = (
        a.reshape(-1) for a in np.meshgrid([np.inf, -np.inf, np.nan, 2], [0, 0.25, 1, np.nan], everything)
    )
    yield Case("weights of all kinds", {"input": x, "target": t, "weight": p})
    yield Case("positive weights of all kinds", {"input": x, "target": t, "pos_weight": p})
    x, t, p = (
        a.reshape(-1)
        for a in np.meshgrid([-most / 8, -(most**0.5), 30], [0.25, 0.784, 1], [0.0, 3 * least, 1.0])
    )
    yield Case("small positive weights of far logits", {"input": x, "target": t, "pos_weight": p})


def _multi_quantile(rng: np.random.Generator, limits: Any) -> Drawn:
    x, t = residuals(rng, limits)
    wide = np.stack([x, x - 1, x + 2], 1)
    yield Case("plain", {"input": wide, "target": t, "quantiles": np.array([0.1, 0.5, 0.99])})
    yield Case("tied", {"input": t[:, None], "target": t, "quantiles": np.array([0.3])}, kink=True)
    tiny, most = float(limits.tiny), float(limits.max)
    ends = np.array([tiny, float(limits.smallest_subnormal), 1 - float(limits.epsneg)])
    yield Case("quantiles near 0 and 1", {"input": wide, "target": t, "quantiles": ends})
    least = np.array([0.0, tiny, -tiny, tiny * 1.5, tiny * 0.75])
    few = {"input": least[:, None], "target": least[::-1], "quantiles": np.array([0.25])}
    yield Case("subnormal", few, kink=True)
    far = np.array([most, most, most * 0.75])
    near = np.array([[-most, most, 0.0], [1.0, -most, most], [-most, -most / 2, 1.0]])
    for share in (0.125, 0.5, 0.9):  # the difference overflows; the loss may not
        quantiles = np.array([share, 0.1, 1 - share])
        yield Case(f"far above {share}", {"input": near, "target": far, "quantiles": quantiles})
        yield Case(f"far below {share}", {"input": -near, "target": -far, "quantiles": quantiles})
    yield Case("far, one", {"input": near[:, :1], "target": far, "quantiles": np.array([0.125])})


def _dice(rng: np.random.Generator, limits: Any) -> Drawn:
    x, t = rng.uniform(0, 1, (6, 5)), (rng.uniform(size=(6, 5)) > 0.5).astype(float)
    x[0], t[0], x[1], t[1], x[2], t[2] = 0, 0, t[1], t[1], 1 - t[2], t[2]
    x[3] *= 1e-20
    for smooth in (1e-7, 1.0):
        yield Case(f"smooth {smooth}", {"input": x, "target": t}, {"axis": 1, "smooth": smooth})
    yield Case("unsmoothed", {"input": x[1:], "target": t[1:]}, {"axis": -1, "smooth": 0.0})
    yield Case("empty region", {"input": x[:1], "target": t[:1]}, {"axis": -1, "smooth": 0.0})
    tiny, eps = float(limits.tiny), float(limits.eps)
    spread = tiny ** rng.uniform(0, 1.1, (6, 5))  # down to subnormal
    wrong = np.where(t == 1, 1 - eps * rng.integers(0, 4, t.shape), spread * eps)
    pairs = {
        "all but perfect": (wrong, t),
        "all but hopeless": (1 - wrong, t),
        "of every size": (spread, spread[::-1].copy()),
        "soft and equal": (x, x),
        "tiny": (tiny * x * 8, tiny * x[::-1] * 8),
        "subnormal": (tiny * x / 8, tiny * x[::-1] / 8),
        "one outweighs the others": (np.where(np.eye(6, 5), 1 - x / 8, spread), spread[::-1].copy()),
        "outweighs all but nothing": (np.eye(6, 5) * x[5:] * 1e-5, np.zeros((6, 5))),
        "one pixel": (wrong[:, :1], t[:, :1]),
        "no pixel": (wrong[:, :0], t[:, :0]),
    }
    for name, (prediction, truth) in pairs.items():
        for smooth in (0.0, 1e-317, 1e-300, 1e-7, 1.0, 1e300):
            arrays = {"input": prediction, "target": truth}
            yield Case(f"{name}, smooth {smooth}", arrays, {"axis": 1, "smooth": smooth})


ORACLES: dict[str, Oracle] = {
    "bce": Oracle(formulas.bce, _bce, bound=4),
    # The weight of positives multiplies tails, which may be too small for the type, and their slope is an input.
    "bce_with_logits": Oracle(
        formulas.bce_with_logits,
        _bce_with_logits,
        bound=4,
        factor=lambda case: max(case.largest("input"), 1) if "pos_weight" in case.arrays else 1.0,
    ),
    "multi_quantile": Oracle(formulas_of_sets.multi_quantile, _multi_quantile, bound=2),
    "dice": Oracle(formulas_of_sets.dice, _dice, bound=6),
}
