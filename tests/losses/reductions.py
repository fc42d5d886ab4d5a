"""The properties of reductions: each is the sum it claims to be, over the denominator it reports.

Tolerance: a sum of a few float64 numbers of the order of 1 in another order differs by some 1e-16 times their
number; 1e-12 is far above that and far below any wrong weight.
"""

from __future__ import annotations

from math import prod

import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.errors import InvalidCall
from lossd.message import Answer
from tests.losses.cases import (
    REDUCTIONS,
    Case,
    ask,
    assert_close,
    assert_same_bits,
    batch_axis,
    normalizer_of,
    take,
    take_rows,
    with_names,
)

TOLERANCE = {"relative": 1e-12, "absolute": 1e-12}
AVERAGES = ["mean", "weighted_mean"]


def check_identities(case: Case) -> None:
    """Sum is the sum of none; every average is a sum over its denominator; count counts."""
    answer = ask(case, reduction=REDUCTIONS)
    loss = {name: np.asarray(value) for name, value in answer.loss.items()}
    assert loss["none"].shape == case.values
    assert answer.count == prod(case.values)
    assert_close(loss["sum"], loss["none"].sum(), **TOLERANCE, of="sum")
    assert_close(loss["batchmean"], loss["sum"] / (case.values or (1,))[0], **TOLERANCE, of="batchmean")
    assert_close(loss["weighted_mean"], _total(case, answer) / answer.denominator, **TOLERANCE)
    for name in AVERAGES:
        single = ask(case, reduction=name)
        assert_close(single.loss[name], loss[name], **TOLERANCE, of=name)
        assert np.ndim(single.denominator) == 0
        scaled = _scaled_total(case, answer) if name == "mean" else _total(case, answer)
        assert_close(single.loss[name], scaled / single.denominator, **TOLERANCE, of=name)
        normalizer = normalizer_of(case)
        counted = normalizer is None or normalizer.value is None
        divisor = answer.count if counted else float(np.sum(normalizer.value))
        assert_close(single.denominator, divisor, **TOLERANCE, of=f"denominator of {name}")


def check_sample_weight(case: Case) -> None:
    """A sample's weight multiplies its loss; the weighted mean divides by the weights, the mean does not."""
    weight = np.asarray(case.rng().uniform(0.5, 1.5, case.values))
    plain, weighed = (ask(case, reduction=REDUCTIONS, **extra) for extra in ({}, {"sample_weight": weight}))
    none = plain.loss["none"] * weight
    assert_close(weighed.loss["none"], none, **TOLERANCE, of="none")
    assert_close(weighed.loss["sum"], none.sum(), **TOLERANCE, of="sum")
    means = ask(case, reduction="mean", sample_weight=weight)
    assert means.denominator == ask(case, reduction="mean").denominator
    ones = ask(case, reduction=REDUCTIONS, sample_weight=np.ones(case.values))
    for name in REDUCTIONS:
        assert_close(ones.loss[name], plain.loss[name], **TOLERANCE, of=name)
    # Twice all weights is the same weighted mean: it is a mean.
    twice = ask(case, reduction="weighted_mean", sample_weight=np.asarray(2 * weight))
    assert_close(twice.loss["weighted_mean"], weighed.loss["weighted_mean"], **TOLERANCE)


def check_upstream(case: Case) -> None:
    """The gradient of none with an upstream is the gradient of the sum weighed by it; ones by default."""
    upstream = np.asarray(case.rng().standard_normal(case.values))
    names = case.differentiable
    none = ask(case, reduction="none", gradient=names, upstream=upstream).gradient["none"]
    weighed = ask(case, reduction="sum", gradient=names, sample_weight=upstream).gradient["sum"]
    plain = ask(case, reduction=["none", "sum"], gradient=names).gradient
    for name in names:
        assert_close(none[name], weighed[name], **TOLERANCE, of=name)
        assert_close(plain["none"][name], plain["sum"][name], **TOLERANCE, of=f"{name} by default")


def check_axis(case: Case) -> None:
    """A reduction over some axes keeps the others, and over all axes is the whole."""
    if case.takes_axis:
        return
    rank = len(case.values)
    none = ask(case, reduction="none").loss["none"]
    for axis in [*range(-rank, rank), list(range(rank))]:
        answer = ask(case, reduction=["sum", "weighted_mean"], axis=axis)
        expected = none.sum(axis=tuple(axis) if isinstance(axis, list) else axis)
        assert np.shape(answer.loss["sum"]) == np.shape(answer.denominator) == expected.shape
        assert_close(answer.loss["sum"], expected, **TOLERANCE, of=f"axis {axis}")
        assert_close(
            answer.loss["weighted_mean"], expected / answer.denominator, **TOLERANCE, of=f"axis {axis}"
        )


def check_shards(case: Case) -> None:
    """With the whole's denominator, the losses and gradients of shards add up to the whole's."""
    if case.loss.whole_batch:
        return
    names = case.differentiable
    whole = ask(case, reduction="mean")
    asked = {"reduction": "mean", "gradient": names, "denominator": float(whole.denominator)}
    total = ask(case, **asked)
    assert_close(total.loss["mean"], whole.loss["mean"], **TOLERANCE)
    cut = case.batch[0] // 2
    shards = [np.arange(cut), np.arange(cut, case.batch[0])]
    parts = [evaluate(case.loss, with_names(take_rows(case, rows), **asked)) for rows in shards]
    assert_close(sum(part.loss["mean"] for part in parts), total.loss["mean"], **TOLERANCE)
    for name in names:
        pieces = [part.gradient["mean"][name] for part in parts]
        axis = batch_axis(case, name) if name in case.form.roles else None
        joined = sum(pieces) if axis is None else np.concatenate(pieces, axis=axis)
        assert_close(joined, total.gradient["mean"][name], **TOLERANCE, of=name)


def check_empty(case: Case) -> None:
    """A mean over nothing is an error, or NaN or zero on request; a sum over nothing is zero."""
    nothing = {"mask": np.zeros(case.values, bool), "gradient": case.differentiable}
    for name in AVERAGES:
        with pytest.raises(InvalidCall) as refused:
            ask(case, reduction=name, **nothing)
        assert [detail.at for detail in refused.value.errors] == ["reduction"]
        assert np.isnan(ask(case, reduction=name, empty="nan", **nothing).loss[name])
        zero = ask(case, reduction=name, empty="zero", **nothing)
        assert zero.loss[name] == 0
        assert all(not gradient.any() for gradient in zero.gradient[name].values())
    answer = ask(case, reduction=["sum", "none"], **nothing)
    assert answer.loss["sum"] == answer.count == 0
    assert not answer.loss["none"].any()


def check_legacy_arguments(case: Case) -> None:
    """PyTorch's size_average and reduce mean what they mean there, and the answer says so in a warning."""
    for average, reduce, name in (
        (None, None, "mean"), (True, None, "mean"), (False, None, "sum"), (None, True, "mean"),
        (True, True, "mean"), (False, True, "sum"), (None, False, "none"), (False, False, "none"),
        (True, False, "none"),
    ):  # fmt: skip
        given = {"size_average": average, "reduce": reduce}
        answer = ask(case, **{key: value for key, value in given.items() if value is not None})
        assert list(answer.loss) == [name]
        assert_same_bits(answer, ask(case, reduction=name))
        assert (average is not None or reduce is not None) == any(
            "size_average" in w for w in answer.warnings
        )


def check_samples_may_be_permuted(case: Case) -> None:
    """Samples in another order give the same losses and gradients in that order."""
    order = case.rng().permutation(case.batch[0])
    asked = {"reduction": ["none", "mean"], "gradient": case.differentiable}
    before = ask(case, **asked)
    after = evaluate(case.loss, with_names(take_rows(case, order), **asked))
    none = before.loss["none"]
    assert_close(after.loss["none"], np.take(none, order, axis=0) if case.values else none, **TOLERANCE)
    assert_close(after.loss["mean"], before.loss["mean"], **TOLERANCE)
    for reduction, gradients in before.gradient.items():
        for name, gradient in gradients.items():
            assert_close(
                after.gradient[reduction][name], take(case, name, gradient, order), **TOLERANCE, of=name
            )


def _total(case: Case, answer: Answer) -> float:
    return float(np.sum(answer.loss["none"]))


def _scaled_total(case: Case, answer: Answer) -> float:
    """Return the sum of the losses, each times the factor its loss declares for the mean."""
    normalizer = normalizer_of(case)
    if normalizer is None or normalizer.scale is None:
        return _total(case, answer)
    return float(np.vdot(answer.loss["none"], normalizer.scale))


PROPERTIES = (
    check_identities,
    check_sample_weight,
    check_upstream,
    check_axis,
    check_shards,
    check_empty,
    check_legacy_arguments,
    check_samples_may_be_permuted,
)
