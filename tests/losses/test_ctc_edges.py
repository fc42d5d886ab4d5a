"""CTC at its edges: nothing to align, no alignment, and numbers that are not finite, in each place."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.losses import find
from lossd.message import Answer, Array, Call

FORMS = pytest.mark.parametrize("form", ["log_probs", "logits"])
TYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
DERIVATIVES = {"gradient": True, "hessian": True}


def ask(frames: Array, targets: Any, input_lengths: Any, target_lengths: Any, **options: Any) -> Answer:
    """Evaluate ``ctc`` without a reduction; ``form`` names the argument that the frames are."""
    form = options.pop("form", "logits")
    arrays = {name: options.pop(name) for name in ("sample_weight", "mask") if name in options}
    arrays |= {form: frames, "targets": np.asarray(targets)}
    arrays |= {"input_lengths": np.asarray(input_lengths), "target_lengths": np.asarray(target_lengths)}
    return evaluate(find("ctc"), Call(arrays, {"reduction": "none", **DERIVATIVES, **options}))


def derivatives(answer: Answer, form: str) -> tuple[Array, Array]:
    ((_, gradient),) = answer.gradient.items()
    ((_, hessian),) = answer.hessian.items()
    return gradient[form], hessian[form]


@FORMS
@TYPES
def test_without_frames_only_the_empty_sequence_is_certain(form, dtype):
    answer = ask(np.zeros((0, 2, 3), dtype), [[1, 2], [1, 2]], [0, 0], [0, 2], form=form)
    assert answer.loss["none"].tolist() == [0, math.inf]
    assert all(array.shape == (0, 2, 3) for array in derivatives(answer, form))


@FORMS
def test_without_samples_there_is_nothing(form):
    answer = ask(np.zeros((4, 0, 3)), np.zeros((0, 2), int), np.zeros(0, int), np.zeros(0, int), form=form)
    assert answer.loss["none"].shape == (0,)
    assert all(array.shape == (4, 0, 3) for array in derivatives(answer, form))


@FORMS
@pytest.mark.parametrize("integer", [np.int8, np.uint8, np.int32, np.uint64])
def test_without_labels_every_frame_is_blank(form, integer):
    """Three classes of log-probability -log(3) each, or as many equal logits."""
    frames = np.full((4, 2, 3), -math.log(3))
    lengths = np.array([4, 2], integer), np.array([0, 0], integer)
    for targets in (np.zeros((2, 0), integer), np.zeros(0, integer), np.ones((2, 1), integer)):
        answer = ask(frames, targets, *lengths, form=form, blank=2)
        np.testing.assert_allclose(answer.loss["none"], [4 * math.log(3), 2 * math.log(3)], rtol=1e-15)
        gradient, _ = derivatives(answer, form)
        free = np.full(3, 1 / 3 if form == "logits" else 0)
        np.testing.assert_allclose(gradient[0, 0], free - [0, 0, 1], atol=1e-15)
        assert not gradient[2:, 1].any()


REPEATED = {"targets": [[1, 1, 1], [1, 2, 1]], "input_lengths": [4, 4], "target_lengths": [3, 3]}


@FORMS
@TYPES
def test_labels_that_need_more_frames_have_no_alignment(form, dtype):
    """Three equal labels need two blanks between them: five frames."""
    frames = np.log(np.random.default_rng(0).dirichlet(np.ones(3), (4, 2))).astype(dtype)
    plain = ask(frames, form=form, **REPEATED)
    assert plain.loss["none"][0] == math.inf
    assert np.isfinite(plain.loss["none"][1])
    zeroed = ask(frames, form=form, zero_infinity=True, **REPEATED)
    assert zeroed.loss["none"][0] == 0
    assert zeroed.loss["none"][1] == plain.loss["none"][1]
    for infinite, zero in zip(derivatives(plain, form), derivatives(zeroed, form), strict=True):
        assert np.isnan(infinite[:, 0]).all()
        assert not zero[:, 0].any()
        np.testing.assert_array_equal(zero[:, 1], infinite[:, 1])


@FORMS
@pytest.mark.parametrize(
    "leave_out", [{"sample_weight": np.array([0.0, 2.0])}, {"mask": np.array([False, True])}]
)
@pytest.mark.parametrize("reduction", ["none", "sum", "mean", "weighted_mean"])
@pytest.mark.parametrize("corrupted", [0.0, math.nan, math.inf])
def test_a_sample_without_weight_does_not_matter(form, leave_out, reduction, corrupted):
    frames = np.log(np.random.default_rng(0).dirichlet(np.ones(3), (4, 2)))
    frames[1, 0, 1] += corrupted
    answer = ask(frames, form=form, reduction=reduction, **REPEATED, **leave_out)
    alone = {name: value[1:] for name, value in REPEATED.items()}
    factor = 2.0 if "sample_weight" in leave_out else 1.0
    expected = ask(frames[:, 1:], form=form, reduction="sum", **alone)
    divisor = {"mean": 3 * answer.denominator, "weighted_mean": answer.denominator}.get(reduction, 1)
    np.testing.assert_allclose(
        np.sum(answer.loss[reduction]), factor * expected.loss["sum"] / divisor, rtol=1e-14
    )
    for found, whole in zip(derivatives(answer, form), derivatives(expected, form), strict=True):
        assert not found[:, 0].any()
        np.testing.assert_allclose(found[:, 1:], factor * whole / divisor, rtol=1e-13)


@FORMS
@TYPES
@pytest.mark.parametrize("classes", [1, 3])
def test_nan_in_a_frame_that_is_used_is_nan_and_elsewhere_nothing(form, dtype, classes):
    rng = np.random.default_rng(1)
    frames = np.log(rng.dirichlet(np.ones(classes), (5, 2))).astype(dtype)
    labels = {"targets": [[1, 2], [2, 1]], "target_lengths": [2, 2]} if classes > 1 else {}
    labels = labels or {"targets": np.zeros((2, 0), int), "target_lengths": [0, 0]}
    clean = ask(frames, form=form, input_lengths=[5, 3], **labels)
    for frame, symbol in np.ndindex(5, classes):
        corrupted = frames.copy()
        corrupted[frame, 1, symbol] = np.nan
        answer = ask(corrupted, form=form, input_lengths=[5, 3], **labels)
        assert answer.loss["none"][0] == clean.loss["none"][0]
        for found, expected in zip(derivatives(answer, form), derivatives(clean, form), strict=True):
            np.testing.assert_array_equal(found[:, 0], expected[:, 0])
            assert not found[3:, 1].any()
            assert np.isnan(found[:3, 1]).all() == (frame < 3)
        assert np.isnan(answer.loss["none"][1]) == (frame < 3)


def test_a_log_probability_of_a_symbol_that_is_no_label_is_not_used():
    frames = np.log(np.random.default_rng(1).dirichlet(np.ones(3), (4, 1)))
    corrupted = frames.copy()
    corrupted[1, 0, 2] = np.nan
    given = {"targets": [[1]], "input_lengths": [4], "target_lengths": [1], "form": "log_probs"}
    clean, answer = (ask(array, **given) for array in (frames, corrupted))
    np.testing.assert_array_equal(answer.loss["none"], clean.loss["none"])
    for found, expected in zip(
        derivatives(answer, "log_probs"), derivatives(clean, "log_probs"), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


@TYPES
def test_a_logit_of_infinity_is_a_symbol_that_is_certain(dtype):
    """The frame is as one of logits 0 and minus infinity; two of them in a frame are NaN."""
    rng = np.random.default_rng(2)
    frames = rng.standard_normal((4, 1, 3)).astype(dtype)
    given = {"targets": [[1]], "input_lengths": [4], "target_lengths": [1]}
    certain, same = frames.copy(), frames.copy()
    certain[2, 0, 1] = np.inf
    same[2, 0] = [-np.inf, 0, -np.inf]
    answer, expected = ask(certain, **given), ask(same, **given)
    np.testing.assert_array_equal(answer.loss["none"], expected.loss["none"])
    for found, true in zip(derivatives(answer, "logits"), derivatives(expected, "logits"), strict=True):
        np.testing.assert_array_equal(found, true)
    certain[2, 0, 2] = np.inf
    both = ask(certain, **given)
    assert np.isnan(both.loss["none"]).all()
    assert all(np.isnan(array).all() for array in derivatives(both, "logits"))


def test_a_log_probability_of_infinity_is_nan():
    frames = np.zeros((3, 1, 2))
    frames[1, 0, 1] = np.inf
    answer = ask(frames, [[1]], [3], [1], form="log_probs")
    assert np.isnan(answer.loss["none"]).all()
    assert all(np.isnan(array).all() for array in derivatives(answer, "log_probs"))


@FORMS
@TYPES
def test_labels_ruled_out_have_no_alignment(form, dtype):
    frames = np.zeros((3, 1, 3), dtype)
    frames[:, 0, 1] = -np.inf
    answer = ask(frames, [[1]], [3], [1], form=form)
    assert answer.loss["none"] == np.inf
    assert ask(frames, [[2]], [3], [1], form=form).loss["none"] < np.inf
    assert ask(frames, [[1]], [3], [1], form=form, zero_infinity=True).loss["none"] == 0


@TYPES
def test_a_trained_model_keeps_its_digits(dtype):
    """Two labels, each frame wrong with probability near e^-30, or tied where either symbol is right."""
    frames = np.array([[0, 0, -20], [-30, 0, -30], [0, 0, -20]], dtype)
    answer = ask(frames, [1], 3, 1)
    # Two frames fail with their third symbol, and the middle one with it, or with a blank where both others agree.
    fails, missed = math.exp(-20) / (2 + math.exp(-20)), 1.5 * math.exp(-30)
    assert answer.loss["none"] == pytest.approx(2 * fails + missed, rel=1e-6)
    gradient, hessian = derivatives(answer, "logits")
    assert gradient[0] == pytest.approx([-fails / 2, -fails / 2, fails], rel=1e-6)
    assert hessian[0, 2] == pytest.approx(fails, rel=1e-6)
