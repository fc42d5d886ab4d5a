"""The inputs on which every loss is compared with its oracle: of every size,
saturated and masked.

A case is arrays with one row per first index, and settings. Arrays are drawn for a type, so that "huge" and
"tiny" reach that type's ends, and cast to it: oracle and kernel see the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tests.oracle import cases_of_scores, cases_of_vectors
from tests.oracle.case import Case, Drawn
from tests.oracle.cases_of_structure import STRUCTURED

Limits = np.finfo


def _residuals(rng: np.random.Generator, limits: Any) -> tuple[np.ndarray, np.ndarray]:
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
        x, t = _residuals(rng, limits)
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


def _logits(rng: np.random.Generator, limits: Any) -> np.ndarray:
    """Return rows of logits: ordinary, easy, hopeless, huge, tied, with classes ruled out."""
    far = float(limits.max) / 4
    inf = np.inf
    special = [
        [20, 0, 0, 0], [40, 0, -1, 3], [0, 40, 0, -5], [90, 0, 0, -80], [700, 0, 1, 2], [0, 0, 0, 0],
        [1e4, 1e4, -1e4, 0], [far, 0, -far, 1], [-far, -far, -far, -far], [1e-30, 0, -1e-30, 0],
        [-inf, 0, 1, 2], [0, -inf, -inf, -inf], [-inf, 30, -inf, 0], [1e3, -1e3, 1e3, 0],
    ]  # fmt: skip
    grid = np.round(rng.standard_normal((10, 4)) * 32) / 8  # differences are exact, so the tails are too
    return np.concatenate([grid, special])


def _cross_entropy(rng: np.random.Generator, limits: Any) -> Drawn:
    x = _logits(rng, limits)
    best, worst = x.argmax(1), np.where(np.isinf(x), np.inf, x).argmin(1)
    weight = np.array([0.5, 0.0, 2.0, 1.0])
    yield Case("easy", {"input": x, "target": best})
    yield Case("hard", {"input": x, "target": worst})
    yield Case("weighted", {"input": x, "target": best, "weight": weight})
    ignored = np.where(np.arange(len(x)) % 3 == 0, 2, worst)
    yield Case("ignored", {"input": x, "target": ignored, "weight": weight}, {"ignore_index": 2})
    finite = x[np.isfinite(x).all(1)]
    for eps in (0.1, 1.0):
        arrays = {"input": finite, "target": finite.argmin(1), "weight": weight}
        yield Case(f"smoothed {eps}", arrays, {"label_smoothing": eps})
    probabilities = rng.dirichlet(np.ones(4), len(x)) * ~np.isinf(x)
    yield Case("probabilities", {"input": x, "target": probabilities / probabilities.sum(1, keepdims=True)})
    certain = np.eye(4)[best]
    yield Case("certain class probabilities", {"input": x, "target": certain, "weight": weight})
    soft = rng.dirichlet(np.ones(4), len(finite))
    yield Case(
        "smoothed class probabilities",
        {"input": finite, "target": soft, "weight": weight},
        {"label_smoothing": 0.3},
    )
    yield from _cross_entropy_at_the_edges(rng, limits)


def _cross_entropy_at_the_edges(rng: np.random.Generator, limits: Any) -> Drawn:
    """Draw logits off the grid, whose differences are rounded, and all that a row, a weight or a setting may be."""
    rough = rng.standard_normal((9, 3)) * np.array([[0.01], [3], [60], [600], [1], [1], [1], [1], [1e-30]])
    rough[4:8, 0] += [20, 80, 300, -300]
    hard, soft = rng.integers(0, 3, 9), rng.dirichlet(np.ones(3), 9)
    yield Case("off the grid", {"input": rough, "target": hard})
    yield Case("off the grid by probabilities", {"input": rough, "target": soft})
    least, most = float(limits.smallest_subnormal), float(limits.max)
    soft[:3] = [[1, 0, least], [0, 1 - float(limits.eps), float(limits.eps)], [0.5, 0.5, 0]]
    for eps in (1e-300, 1e-40, 1e-20, 1e-9, 1e-3, 0.5, 1.0):
        weight = np.array([0.7, 0.0, 2.0])
        settings = {"label_smoothing": eps}
        yield Case(f"smoothed off the grid {eps}", {"input": rough, "target": hard}, settings)
        arrays = {"input": rough, "target": soft, "weight": weight}
        yield Case(f"smoothed off the grid {eps}, all at once", arrays, settings)
    masked = np.where(rng.uniform(size=rough.shape) < 0.3, -np.inf, rough)
    yield Case("smoothed and ruled out", {"input": masked, "target": hard}, {"label_smoothing": 1e-300})
    for name, weight in {
        "subnormal": [least, 5 * least, 1.0], "huge": [most / 1e4, 1.0, 0.0], "negative": [-1.0, 2.0, 0.5],
    }.items():  # fmt: skip
        arrays = {"input": rough[:2], "target": hard[:2], "weight": np.array(weight)}
        yield Case(f"{name} weights", arrays)
        yield Case(f"{name} weights, smoothed", arrays, {"label_smoothing": 1e-3})
    for unused in (np.nan, np.inf, -np.inf):
        weight, rows = np.array([unused, 2.0, 0.0]), np.concatenate([rough, [[-np.inf, 1, np.inf]]])
        absent = 1 + np.arange(10) % 2
        yield Case(f"weight {unused} of an absent class", {"input": rows, "target": absent, "weight": weight})
        likely = np.eye(3)[absent] * 0.5
        yield Case(f"weight {unused} of no one", {"input": rows[:3], "target": likely[:3], "weight": weight})
    yield Case(
        "one class", {"input": np.array([[3.0], [-40], [most], [np.inf], [0]]), "target": np.zeros(5, int)}
    )
    far = np.array([[most, -most / 4], [most, most], [-most, 0], [-most, most / 2], [least, -least]])
    yield Case("as far as numbers go", {"input": far, "target": np.array([0, 1, 1, 1, 0])})
    inf, nan = np.inf, np.nan
    mixed = np.array(
        [[inf, 0], [0, inf], [inf, inf], [-inf, -inf], [nan, 0], [0, nan], [inf, nan], [nan, nan], [0, -inf]]
    )
    for true in (0, 1):
        yield Case(f"not finite {true}", {"input": mixed, "target": np.full(9, true)})
    yield Case("not finite, one class", {"input": mixed[4:, :1][[0, 2, 3]], "target": np.zeros(3, int)})
    yield Case("no class possible", {"input": np.full((2, 1), -inf), "target": np.zeros(2, int)})


def _nll(rng: np.random.Generator, limits: Any) -> Drawn:
    x = np.log(rng.dirichlet(np.ones(3), 12))
    x[3], x[4, 0], x[5] = [-1e-30, -np.inf, -80.0], -np.inf, [float(limits.min) / 8, -1.0, 0.0]
    target = rng.integers(0, 3, 12)
    target[3:6] = 0, 1, 0
    yield Case("plain", {"input": x, "target": target})
    yield Case("certain", {"input": x[4:5], "target": target[4:5] * 0})
    weight = np.array([0.25, 3.0, 1.0])
    yield Case("weighted", {"input": x, "target": target, "weight": weight})
    yield Case("ignored", {"input": x, "target": target, "weight": weight}, {"ignore_index": 1})
    least, most, inf = float(limits.smallest_subnormal), float(limits.max), np.inf
    values = np.array(
        [[least, -least, 0.0], [-0.0, 1e8, -1e8], [most, -most, 1], [inf, -inf, np.nan], [-3, 2, 1e-30]]
    )
    for true in range(3):
        given = {"input": values, "target": np.full(5, true)}
        yield Case(f"of any value {true}", given)
        for factor in (0.0, least, 1e30 * least, most / 1e4, inf, np.nan):
            weight = np.full(3, np.nan)
            weight[true] = factor  # of the only class that is used
            few = 2 if factor > 1e30 else 5  # infinities of both signs would leave no sum
            arrays = {"input": values[:few], "target": given["target"][:few], "weight": weight}
            yield Case(f"of any value {true} and weight {factor}", arrays)
    yield Case("one class", {"input": values[:, :1], "target": np.zeros(5, int)})


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


def _multi_quantile(rng: np.random.Generator, limits: Any) -> Drawn:
    x, t = _residuals(rng, limits)
    wide = np.stack([x, x - 1, x + 2], 1)
    yield Case("plain", {"input": wide, "target": t, "quantiles": np.array([0.1, 0.5, 0.99])})
    yield Case("kink", {"input": t[:, None], "target": t, "quantiles": np.array([0.3])})
    tiny, most = float(limits.tiny), float(limits.max)
    ends = np.array([tiny, float(limits.smallest_subnormal), 1 - float(limits.epsneg)])
    yield Case("quantiles near 0 and 1", {"input": wide, "target": t, "quantiles": ends})
    least = np.array([0.0, tiny, -tiny, tiny * 1.5, tiny * 0.75])
    yield Case(
        "kink, subnormal", {"input": least[:, None], "target": least[::-1], "quantiles": np.array([0.25])}
    )
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


def _triplet_margin(rng: np.random.Generator, limits: Any) -> Drawn:
    a, p, n = rng.standard_normal((3, 8, 3)) * np.array([[[1.0]], [[1.2]], [[1.5]]])
    a[0] = p[0] = n[0]  # all distances are eps
    n[1] = a[1] + 1e3
    a[2], p[2], n[2] = a[2] * 1e15, p[2] * 1e15, n[2] * 1e15
    arrays = {"anchor": a, "positive": p, "negative": n}
    for settings in ({}, {"p": 1.0}, {"p": 3.0, "margin": 0.3}, {"swap": True}, {"p": 1.5, "swap": True}):
        yield Case(f"{settings or 'plain'}", arrays, settings)
    yield Case("no eps", {name: array[1:] for name, array in arrays.items()}, {"eps": 0.0, "margin": -0.5})
    yield Case("origin", {name: array[:1] for name, array in arrays.items()}, {"eps": 0.0, "margin": 2.0})
    top, least = float(limits.max), float(limits.smallest_subnormal)
    near = np.array([[1.0, 1e-5, 0.0], [-2.0, 1.0, 0.5], [3.0, 3.0, 1e-4]])
    sizes = {
        "subnormal": least * 64,
        "tiny": float(limits.tiny) * 4,
        "huge": top / 16,
        "overflowing": top / 4,
    }
    for name, size in sizes.items():
        spread = {"anchor": near * size, "positive": -near * size, "negative": near[::-1] * size / 2}
        for p in (1.0, 1.5, 2.0, 3.0, 100.0):
            yield Case(f"{name}, p {p}", spread, {"p": p, "eps": 0.0, "margin": 0.0})
        yield Case(f"{name}, swap", spread, {"eps": 0.0, "margin": 0.0, "swap": True})
    uneven = {
        "anchor": np.array([[top / 8, least, 1.0]]),
        "positive": np.zeros((1, 3)),
        "negative": np.zeros((1, 3)),
    }
    for p in (1.1, 1.5, 2.0):  # the share of the second element is below the type's smallest number
        yield Case(f"uneven, p {p}", uneven, {"p": p, "eps": 0.0})


def _nt_xent(rng: np.random.Generator, limits: Any) -> Drawn:
    x = rng.standard_normal((8, 3))
    x[1] *= 1e6
    x[2] *= 1e-6
    for temperature in (1.0, 0.07):
        settings = {"temperature": temperature}
        yield Case(f"pairs {temperature}", {"embeddings": x, "labels": np.arange(8) % 4}, settings)
        uneven = np.array([0, 0, 0, 1, 1, 2, 0, 5])  # labels 2 and 5 have no positive
        yield Case(f"uneven {temperature}", {"embeddings": x, "labels": uneven}, settings)
    yield Case("no negatives", {"embeddings": x[:3], "labels": np.zeros(3, int)})
    apart = np.array([[1.0, 0.0], [2.0, 1e-3], [-1.0, 0.0], [-3.0, 0.0]])
    yield Case("easy", {"embeddings": apart, "labels": np.array([0, 0, 1, 1])}, {"temperature": 0.05})
    known = np.array([[1.0, 0.0], [2.0, 0.5], [0.0, 1.0], [0.3, 3.0]])
    pairs, top, tiny = np.array([0, 0, 1, 1]), float(limits.max), float(limits.tiny)
    for scale in (top / 4, top**0.5, top**0.4, tiny**0.4, tiny**0.5, tiny, tiny / 8):
        yield Case(f"times {scale:.0e}", {"embeddings": known * scale, "labels": pairs}, {"temperature": 1.0})
    rows = np.array([[top / 4], [tiny * 2], [1.0], [tiny**0.5]])
    for temperature in (0.5, 1e3, 1e10):
        settings = {"temperature": temperature}
        yield Case(f"uneven rows {temperature}", {"embeddings": known * rows, "labels": pairs}, settings)
    close = np.array([0.6, -0.8, 0.3]) + 1e-4 * rng.standard_normal((6, 3))
    for temperature in (0.07, 1.0):
        labels = np.arange(6) % 2
        yield Case(
            f"close {temperature}", {"embeddings": close, "labels": labels}, {"temperature": temperature}
        )
    yield Case("one", {"embeddings": x[:1], "labels": np.zeros(1, int)})


def _ctc(rng: np.random.Generator, limits: Any) -> Drawn:
    x = rng.standard_normal((6, 5, 3)) * 2
    x[1] *= 20
    targets = np.array([[1, 2, 1], [1, 1, 2], [2, 2, 2], [2, 1, 2], [1, 2, 2], [1, 2, 2]])
    lengths = {"input_lengths": np.array([5, 5, 5, 4, 2, 0]), "target_lengths": np.array([3, 2, 3, 3, 0, 0])}
    log_probs = x - np.log(np.exp(x).sum(2, keepdims=True))
    possible = np.array([0, 1, 2, 3, 4])
    given = {"targets": targets[possible], **{name: array[possible] for name, array in lengths.items()}}
    yield Case("log_probs", {"log_probs": log_probs[possible], **given})
    yield Case("logits", {"logits": x[possible], **given})
    free = log_probs[possible] - rng.uniform(0, 1, (5, 5, 3))
    yield Case("not normalised", {"log_probs": free, **given})
    spoken = np.array([[1, 1, 0, 2, 1], [1, 0, 1, 2, 2], [2, 0, 2, 0, 2], [2, 1, 2, 2, 0], [0, 0, 0, 0, 0]])
    for height in (20.0, 40.0):  # the labels are all but certain
        yield Case(f"easy {height}", {"logits": height * np.eye(3)[spoken], **given})
    swapped = {**given, "targets": 2 * (given["targets"] == 1)}
    yield Case("blank 1", {"logits": x[possible], **swapped}, {"blank": 1})
    impossible = {**lengths, "targets": targets, "input_lengths": np.array([5, 2, 4, 3, 2, 0])}
    for key, frames in {"log_probs": log_probs, "logits": x}.items():
        yield Case(f"impossible {key}", {key: frames, **impossible}, {"zero_infinity": True})
    yield from _ctc_extremes(rng, limits)


def _ctc_extremes(rng: np.random.Generator, limits: Any) -> Drawn:
    """Draw alignments that are all but certain, hopeless, tied or ruled out, of logits of every magnitude."""
    given = {
        "targets": np.array([[1, 2], [1, 1], [2, 1]]),
        "input_lengths": np.array([4, 4, 3]),
        "target_lengths": np.array([2, 2, 1]),
    }
    spoken = np.array([[1, 1, 2, 0], [1, 0, 0, 1], [0, 2, 2, 0]])
    instead = np.array([[0, 1, 2, 2], [0, 0, 0, 1], [0, 2, 0, 0]])  # where labels may begin or end as well
    sure = np.maximum(np.eye(3)[spoken], np.eye(3)[instead]) - 1
    for height in (3.0, 20.0, 36.0, 80.0):
        near = height * sure * rng.uniform(0.7, 1.3, sure.shape)
        yield Case(f"sure {height}", {"logits": near, **given})
        yield Case(f"sure log_probs {height}", {"log_probs": near - np.exp(-height), **given})
    x = rng.standard_normal((3, 4, 3))
    for scale in (float(limits.tiny) * 8, 1e-30, 1e3, float(limits.max) / 64):
        yield Case(f"logits of {scale:.0e}", {"logits": x * scale, **given})
        yield Case(f"log_probs of {scale:.0e}", {"log_probs": x * scale, **given})
    yield Case(
        "far below another", {"logits": x + np.array([0, 0, 1e3]), **given, "targets": np.ones((3, 2), int)}
    )
    out = np.where(rng.uniform(size=x.shape) < 0.25, -np.inf, x)
    out[spoken[..., None] == np.arange(3)] = 0
    yield Case("ruled out", {"logits": out, **given})
    yield Case("ruled out log_probs", {"log_probs": out - 1, **given})
    one = {"input_lengths": np.array([1, 1, 0]), "target_lengths": np.array([1, 0, 0])}
    yield Case("one frame", {"logits": 30 * x[:, :1], "targets": given["targets"], **one})
    alone = {
        "targets": np.zeros((3, 0), int),
        "input_lengths": np.array([4, 2, 0]),
        "target_lengths": np.zeros(3, int),
    }
    yield Case("one class", {"logits": x[..., :1], **alone})
    yield Case("one free class", {"log_probs": x[..., :1], **alone})


CASES: Mapping[str, Callable[..., Drawn]] = {
    "mse": _regression([{}]),
    "l1": _regression([{}]),
    "huber": _regression([{}, {"delta": 0.5}], "delta", 1e3),
    "smooth_l1": _regression([{}, {"beta": 0.25}, {"beta": 0.0}], "beta", 1e3, weighable=False),
    "pseudo_huber": _regression([{}, {"delta": 0.25}], "delta", 1e3, weighable=False),
    "log_cosh": _regression([{}], weighable=False),
    "cauchy": _regression([{}, {"scale": 0.25}], "scale", 1e3, weighable=False),
    "fair": _regression([{}, {"c": 0.25}], "c", 1e3, weighable=False),
    **cases_of_scores.CASES,
    "cross_entropy": _cross_entropy,
    "nll": _nll,
    "bce": _bce,
    "bce_with_logits": _bce_with_logits,
    "multi_quantile": _multi_quantile,
    "dice": _dice,
    "triplet_margin": _triplet_margin,
    "nt_xent": _nt_xent,
    "ctc": _ctc,
    **cases_of_vectors.CASES,
    **STRUCTURED,
}


def entry(table: Mapping[str, Any], name: str, advice: str) -> Any:
    """Return what a table of the tests has for a loss; a test that needs it fails with what to add, and where."""
    if name not in table:
        raise LookupError(f"{name}: add to {advice}")
    return table[name]


def draw_cases(name: str, dtype: Any) -> list[Case]:
    """Return the cases of a loss, their real arrays cast to ``dtype``."""
    draw = entry(CASES, name, "CASES in tests/oracle/cases.py: inputs of every size")
    rng = np.random.default_rng(sum(map(ord, name)))
    with np.errstate(over="ignore", under="ignore"):
        return [
            case._replace(arrays={key: _cast(array, dtype) for key, array in case.arrays.items()})
            for case in (Case(*drawn) for drawn in draw(rng, Limits(dtype)))
        ]


def _cast(array: Any, dtype: Any) -> Any:
    array = np.asarray(array)
    return array.astype(dtype) if array.dtype.kind == "f" else array
