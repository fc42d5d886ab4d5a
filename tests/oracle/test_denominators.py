"""What a mean divides by, and cross entropy's smoothing, weights and probabilities, in loops of plain ``math``."""

from __future__ import annotations

from math import exp, fsum, log

import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.losses import LOSSES
from lossd.message import Call

X = [[0.5, -1.0, 2.0], [1.5, 0.0, -0.5], [-2.0, 0.25, 1.0], [0.0, 0.0, 3.0]]
LABELS = [2, 0, 1, 1]
PROBABILITIES = [[0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [0.6, 0.4, 0.0], [0.1, 0.1, 0.8]]
W = [0.5, 2.0, 0.75]
SMOOTHING = pytest.mark.parametrize("eps", [0.0, 0.1, 1.0])
WEIGHTS = pytest.mark.parametrize("w", [None, W], ids=["unweighted", "weighted"])


def run(name, reduction="mean", **given):
    arrays = {key: np.asarray(a) for key, a in given.items() if isinstance(a, list)}
    options = {key: a for key, a in given.items() if key not in arrays and a is not None}
    return evaluate(LOSSES[name], Call(arrays, {**options, "reduction": reduction}))


def softmax(logits):
    total = fsum(exp(x) for x in logits)
    return [exp(x) / total for x in logits]


@WEIGHTS
@SMOOTHING
@pytest.mark.parametrize("ignore_index", [-100, 1])
def test_cross_entropy_of_labels(eps, w, ignore_index):
    weight, classes = w or [1.0] * 3, range(3)
    s = [softmax(x) for x in X]
    taken = [t != ignore_index for t in LABELS]
    values = [
        (1 - eps) * weight[t] * -log(s_n[t]) + eps / 3 * fsum(weight[c] * -log(s_n[c]) for c in classes)
        if k
        else 0.0
        for s_n, t, k in zip(s, LABELS, taken, strict=True)
    ]
    denominator = fsum(weight[t] for t, k in zip(LABELS, taken, strict=True) if k)
    slope = [
        [
            k * ((1 - eps) * weight[t] * (s_n[c] - (c == t)) + eps / 3 * (s_n[c] * sum(weight) - weight[c]))
            for c in classes
        ]
        for s_n, t, k in zip(s, LABELS, taken, strict=True)
    ]
    given = {"input": X, "target": LABELS, "weight": w, "label_smoothing": eps, "ignore_index": ignore_index}
    answer = run("cross_entropy", ["none", "sum", "mean"], **given, gradient=True)
    np.testing.assert_allclose(answer.loss["none"], values, rtol=1e-14)
    np.testing.assert_allclose(answer.loss["sum"], fsum(values), rtol=1e-14)
    np.testing.assert_allclose(answer.loss["mean"], fsum(values) / denominator, rtol=1e-14)
    np.testing.assert_allclose(answer.gradient["sum"]["input"], slope, rtol=1e-13, atol=1e-16)
    np.testing.assert_allclose(
        answer.gradient["mean"]["input"], np.array(slope) / denominator, rtol=1e-13, atol=1e-16
    )
    assert answer.denominator == denominator
    assert answer.count == sum(taken)


@WEIGHTS
@SMOOTHING
def test_cross_entropy_of_beliefs(eps, w):
    weight, classes = w or [1.0] * 3, range(3)
    s = [softmax(x) for x in X]
    soft = [[(1 - eps) * t + eps / 3 for t in probabilities] for probabilities in PROBABILITIES]
    rows = list(zip(s, soft, strict=True))
    values = [-fsum(weight[c] * q[c] * log(s_n[c]) for c in classes) for s_n, q in rows]
    slope = [
        [s_n[c] * fsum(weight[j] * q[j] for j in classes) - weight[c] * q[c] for c in classes]
        for s_n, q in rows
    ]
    given = {"input": X, "target": PROBABILITIES, "weight": w, "label_smoothing": eps}
    answer = run("cross_entropy", ["none", "mean"], **given, gradient=True)
    np.testing.assert_allclose(answer.loss["none"], values, rtol=1e-14)
    np.testing.assert_allclose(answer.loss["mean"], fsum(values) / 4, rtol=1e-14)
    np.testing.assert_allclose(answer.gradient["none"]["input"], slope, rtol=1e-13, atol=1e-16)
    assert answer.denominator == 4  # numel / C, never the weights


@pytest.mark.parametrize("name", ["cross_entropy", "nll"])
def test_pixels_are_samples(name):
    """(N, C, d1, d2): classes second; the mean divides by the weights of all pixels' labels."""
    rng = np.random.default_rng(1)
    x, t = rng.uniform(-3, -1, (2, 3, 2, 4)), rng.integers(0, 3, (2, 2, 4))
    answer = run(name, ["none", "mean"], input=x.tolist(), target=t.tolist(), weight=W, ignore_index=2)
    values = np.zeros(t.shape)
    for place in np.ndindex(t.shape):
        scores = [float(x[place[0], c, *place[1:]]) for c in range(3)]
        likely = log(softmax(scores)[t[place]]) if name == "cross_entropy" else scores[t[place]]
        values[place] = -W[t[place]] * likely if t[place] != 2 else 0.0
    denominator = fsum(W[label] for label in t.ravel() if label != 2)
    np.testing.assert_allclose(answer.loss["none"], values, rtol=1e-14)
    np.testing.assert_allclose(answer.loss["mean"], fsum(values.ravel()) / denominator, rtol=1e-14)
    assert answer.denominator == pytest.approx(denominator, rel=1e-15)


R, T4 = [1.0, 3.0, -2.0, 0.5], [0.0, 0.0, 0.0, 0.0]
P, B4 = [0.5, 0.25, 0.5, 0.75], [1.0, 0.0, 0.0, 1.0]
ROWS = {"input": [[0.0, 0.0]] * 2, "target": [0, 1], "weight": [1.0, 3.0]}
QUANTILES = {"input": [[1.0, 3.0]] * 2, "target": [2.0, 2.0], "quantiles": [0.25, 0.75]}
PIXELS = {"input": [[1.0, 0.0]] * 2, "target": [[1.0, 1.0]] * 2, "axis": 1, "smooth": 0.0}
POINTS = {"anchor": [[0.0, 0.0]] * 3, "positive": [[3.0, 4.0]] * 3, "negative": [[0.0, 2.0]] * 3, "eps": 0.0}
DENOMINATORS = {
    # name, arguments, sum, denominator: worked out by hand
    "mse, unweighted": ("mse", {"input": R, "target": T4}, 14.25, 4),
    "mse, sum of w": ("mse", {"input": R, "target": T4, "weight": [1.0, 0.5, 0.0, 2.0]}, 1 + 4.5 + 0.5, 3.5),
    "l1, sum of w": ("l1", {"input": R, "target": T4, "weight": [1.0, 0.5, 0.0, 2.0]}, 1 + 1.5 + 1.0, 3.5),
    "huber, numel": ("huber", {"input": R, "target": T4, "weight": [1.0, 2.0, 0.0, 4.0]}, 0.5 + 5 + 0.5, 4),
    "smooth_l1, numel": ("smooth_l1", {"input": R, "target": T4}, 0.5 + 2.5 + 1.5 + 0.125, 4),
    "bce, numel": ("bce", {"input": P, "target": B4, "weight": [1.0, 0.0, 3.0, 0.0]}, 4 * log(2), 4),
    "bce_with_logits, numel": ("bce_with_logits", {"input": T4, "target": B4, "weight": R}, 2.5 * log(2), 4),
    "cross_entropy, sum of w_t": ("cross_entropy", ROWS, 4 * log(2), 4),
    "nll, sum of w_t": ("nll", {"input": [[-1.0, -2.0]] * 2, "target": [0, 1], "weight": [1.0, 3.0]}, 7.0, 4),
    "triplet_margin, N": ("triplet_margin", POINTS, 12.0, 3),
    "multi_quantile, N": ("multi_quantile", QUANTILES, 1.0, 2),
    "dice, N": ("dice", PIXELS, 2 / 3, 2),
}  # fmt: skip


@pytest.mark.parametrize("case", DENOMINATORS)
def test_the_mean_divides_by_what_its_source_divides_by(case):
    name, given, total, divisor = DENOMINATORS[case]
    answer = run(name, ["sum", "mean"], **given)
    assert answer.denominator == divisor
    np.testing.assert_allclose(
        [answer.loss["sum"], answer.loss["mean"]], [total, total / divisor], rtol=1e-14
    )


def test_the_ctc_mean_divides_each_sample_by_its_labels():
    """Frames of even odds among three symbols: one label has 3 paths of 9, none has 1, two have 1."""
    lengths = {"input_lengths": [2, 2, 2], "target_lengths": [1, 0, 2]}
    answer = run(
        "ctc", ["sum", "mean"], logits=[[[0.0] * 3] * 3] * 2, targets=[[1, 1], [1, 1], [1, 2]], **lengths
    )
    values = [log(9 / 3), log(9 / 1), log(9 / 1)]
    np.testing.assert_allclose(answer.loss["sum"], fsum(values), rtol=1e-14)
    np.testing.assert_allclose(
        answer.loss["mean"], fsum([values[0], values[1], values[2] / 2]) / 3, rtol=1e-14
    )
    assert answer.denominator == 3


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_nt_xent_divides_by_pairs(temperature):
    """Labels 0, 0, 0, 1: six ordered pairs, each against one negative at a right angle."""
    same, other = [1.0, 0.0], [0.0, 1.0]
    arrays = {"embeddings": [same, same, same, other], "labels": [0, 0, 0, 1], "temperature": temperature}
    answer = run("nt_xent", ["sum", "mean"], **arrays)
    pair = log(1 + exp(-1 / temperature))
    np.testing.assert_allclose([answer.loss["sum"], answer.loss["mean"]], [6 * pair, pair], rtol=1e-14)
    assert answer.denominator == 6
