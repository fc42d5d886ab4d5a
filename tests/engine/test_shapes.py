"""Where the axes stand: classes behind samples, pixels along an axis, frames first, targets padded or joined."""

from __future__ import annotations

import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.losses import find
from lossd.message import Answer, Call

RNG = np.random.default_rng(5)
MODES = ["none", "sum", "mean", "weighted_mean"]


def ask(name: str, options: dict | None = None, **arrays) -> Answer:
    return evaluate(find(name), Call(arrays, {"reduction": MODES} | (options or {})))


@pytest.mark.parametrize("name", ["cross_entropy", "nll"])
@pytest.mark.parametrize(
    "batch", [(), (2,), (2, 3), (2, 3, 4), (2, 3, 4, 5), (1, 1), (2, 1), (1, 3)], ids=str
)
@pytest.mark.parametrize("form", ["index", "probabilities"])
def test_classes_stand_behind_the_samples(name, batch, form):
    """(C), (N, C) and (N, C, d1, ..., dK) are as many rows of C, one after the other."""
    if (name, form) == ("nll", "probabilities"):
        return  # it has none
    rows = int(np.prod(batch, dtype=int))
    flat = RNG.standard_normal((rows, 4))
    target = (
        RNG.integers(0, 4, rows)
        if form == "index"
        else np.abs(flat[::-1]) / np.abs(flat[::-1]).sum(1)[:, None]
    )
    options = {"gradient": ["input", "weight"]}
    weight = np.array([1.0, 2.0, 0.5, 3.0])
    expected = ask(name, options, input=flat, target=target, weight=weight)
    moved = target.reshape(batch) if form == "index" else _behind(target, batch)
    for order in ("C", "F"):
        actual = ask(
            name, options, input=np.asarray(_behind(flat, batch), order=order), target=moved, weight=weight
        )
        for mode in MODES:
            loss = np.reshape(expected.loss[mode], batch) if mode == "none" else expected.loss[mode]
            np.testing.assert_allclose(actual.loss[mode], loss, rtol=1e-14)
            np.testing.assert_allclose(
                actual.gradient[mode]["input"], _behind(expected.gradient[mode]["input"], batch), rtol=1e-14
            )
            np.testing.assert_allclose(
                actual.gradient[mode]["weight"], expected.gradient[mode]["weight"], rtol=1e-13, atol=1e-15
            )


def test_a_block_may_end_within_a_picture():
    """Blocks smaller, equal and larger than a picture's positions all give the bits of one block."""
    logits, target = RNG.standard_normal((3, 4, 7, 5)), RNG.integers(0, 4, (3, 7, 5))
    call = Call({"input": logits, "target": target}, {"reduction": ["none", "sum"], "gradient": True})
    whole = evaluate(find("cross_entropy"), call)
    for rows in (1, 2, 34, 35, 36, 70, 71, 105, 1000):
        cut = evaluate(find("cross_entropy"), call, block_bytes=rows * 4 * 8, threads=2)
        assert cut.loss["none"].tobytes() == whole.loss["none"].tobytes()
        assert cut.gradient["none"]["input"].tobytes() == whole.gradient["none"]["input"].tobytes()
        np.testing.assert_allclose(cut.loss["sum"], whole.loss["sum"], rtol=1e-14)


@pytest.mark.parametrize(
    "axis", [None, 0, 1, 2, -1, [0, 1], [0, 2], [2, 0], [1, 2], [-1, -2], [0, 1, 2]], ids=str
)
def test_dice_is_over_the_pixels_along_its_axes(axis):
    pixels, truth = RNG.uniform(size=(3, 4, 5)), RNG.integers(0, 2, (3, 4, 5)).astype(float)
    answer = ask("dice", {"axis": axis, "gradient": ["input"], "smooth": 1.0}, input=pixels, target=truth)
    axes = tuple(axis) if isinstance(axis, list) else axis
    overlap, extent = (pixels * truth).sum(axis=axes), (pixels + truth).sum(axis=axes)
    expected = 1 - (2 * overlap + 1) / (extent + 1)
    assert np.shape(answer.loss["none"]) == np.shape(expected)
    np.testing.assert_allclose(answer.loss["none"], expected, rtol=1e-14)
    np.testing.assert_allclose(answer.loss["mean"], np.mean(expected), rtol=1e-14)
    wide = (np.expand_dims(x, axes) if axes is not None else x for x in (overlap, extent))
    wide_overlap, wide_extent = wide
    slope = (2 * wide_overlap + 1) / (wide_extent + 1) ** 2 - 2 * truth / (wide_extent + 1)
    np.testing.assert_allclose(answer.gradient["sum"]["input"], slope, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0,), (2, 0)], ids=str)
@pytest.mark.parametrize("options", [{}, {"broadcast": True}], ids=["strict", "broadcast"])
def test_dice_over_no_axis_is_of_every_pixel_alone(shape, options):
    """A number has no axis to sum over, and ``axis: []`` names none."""
    pixels, truth = RNG.uniform(size=shape), np.asarray(RNG.integers(0, 2, shape), float)
    asked = {"axis": [], "gradient": ["input", "target", "smooth"], "hessian": True, "empty": "nan"}
    answer = ask("dice", asked | options, input=pixels, target=truth)
    extent = pixels + truth + 1e-7
    loss = (pixels + truth - 2 * pixels * truth) / extent
    ratio = (2 * pixels * truth + 1e-7) / extent
    slopes = {"input": (ratio - 2 * truth) / extent, "target": (ratio - 2 * pixels) / extent}
    np.testing.assert_allclose(answer.loss["none"], loss, rtol=1e-14)
    for name, slope in slopes.items():
        np.testing.assert_allclose(answer.gradient["none"][name], slope, rtol=1e-12)
    np.testing.assert_allclose(answer.gradient["sum"]["smooth"], np.sum(-loss / extent), rtol=1e-12)
    np.testing.assert_allclose(answer.hessian["none"]["input"], -2 * slopes["input"] / extent, rtol=1e-12)
    for found in (answer.loss["none"], answer.gradient["sum"]["input"], answer.hessian["sum"]["input"]):
        assert np.shape(found) == shape


@pytest.mark.parametrize("mask", [True, False])
def test_dice_of_two_numbers_may_be_masked(mask):
    asked = {"gradient": ["input", "smooth"], "hessian": True, "empty": "zero"}
    answer = ask("dice", asked, input=np.array(0.5), target=np.array(1), mask=np.array(mask))
    np.testing.assert_allclose(answer.loss["none"], mask / 3, rtol=1e-7)
    np.testing.assert_allclose(answer.gradient["mean"]["input"], mask * -8 / 9, rtol=1e-6)
    np.testing.assert_allclose(answer.hessian["mean"]["input"], mask * 32 / 27, rtol=1e-6)
    np.testing.assert_allclose(answer.gradient["mean"]["smooth"], mask * -2 / 9, rtol=1e-6)


FRAMES = RNG.standard_normal((6, 3, 4))
TARGETS = np.array([[1, 2, 2], [3, 0, 0], [2, 1, 0]])  # zeros beyond a length are padding
LENGTHS = {"input_lengths": np.array([6, 4, 5]), "target_lengths": np.array([3, 1, 2])}


@pytest.mark.parametrize("name", ["log_probs", "logits"])
def test_ctc_takes_batched_joined_and_single_targets(name):
    options = {"gradient": True}
    padded = ask("ctc", options, **{name: FRAMES, "targets": TARGETS}, **LENGTHS)
    used = np.arange(3) < LENGTHS["target_lengths"][:, None]
    joined = ask("ctc", options, **{name: FRAMES, "targets": TARGETS[used]}, **LENGTHS)
    for mode in MODES:
        np.testing.assert_array_equal(joined.loss[mode], padded.loss[mode])
        np.testing.assert_array_equal(joined.gradient[mode][name], padded.gradient[mode][name])
    for sample in range(3):
        lengths = {key: value[sample] for key, value in LENGTHS.items()}
        given = {name: FRAMES[:, sample], "targets": TARGETS[sample]}
        single = ask("ctc", options, **given, **{key: np.asarray(value) for key, value in lengths.items()})
        assert np.shape(single.loss["none"]) == ()
        # sums over states may be taken in another order
        np.testing.assert_allclose(single.loss["none"], padded.loss["none"][sample], rtol=1e-14)
        np.testing.assert_allclose(
            single.loss["mean"], single.loss["sum"] / lengths["target_lengths"], rtol=1e-14
        )
        np.testing.assert_allclose(
            single.gradient["none"][name], padded.gradient["none"][name][:, sample], rtol=1e-12, atol=1e-14
        )


def test_ctc_padding_is_not_read():
    """Frames beyond a sample's length and symbols beyond its target's change nothing and get no gradient."""
    clean = ask("ctc", {"gradient": True}, logits=FRAMES, targets=TARGETS, **LENGTHS)
    frames, targets = FRAMES.copy(), TARGETS.copy()
    frames[4:, 1], frames[5:, 2] = 1e6, -1e6
    targets[1, 1:], targets[2, 2:] = 99, -1
    dirty = ask("ctc", {"gradient": True}, logits=frames, targets=targets, **LENGTHS)
    np.testing.assert_array_equal(dirty.loss["none"], clean.loss["none"])
    np.testing.assert_array_equal(dirty.gradient["none"]["logits"], clean.gradient["none"]["logits"])
    assert not dirty.gradient["none"]["logits"][4:, 1].any()


def test_one_number_is_an_array_of_no_axes():
    answer = ask("mse", {"gradient": True, "hessian": True}, input=np.array(3.0), target=np.array(1.0))
    assert {mode: float(value) for mode, value in answer.loss.items()} == dict.fromkeys(MODES, 4.0)
    assert answer.gradient["mean"]["input"].shape == answer.hessian["mean"]["input"].shape == ()
    assert (answer.gradient["mean"]["input"], answer.hessian["mean"]["input"], answer.count) == (4.0, 2.0, 1)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 3)], ids=str)
@pytest.mark.parametrize("name", ["mse", "huber", "bce_with_logits"])
def test_arrays_of_no_elements_have_a_sum(name, shape):
    answer = ask(name, {"gradient": True, "empty": "nan"}, input=np.zeros(shape), target=np.zeros(shape))
    assert answer.loss["none"].shape == answer.gradient["sum"]["input"].shape == shape
    assert answer.loss["sum"] == answer.count == 0
    assert np.isnan(answer.loss["mean"])


def _behind(rows: np.ndarray, batch: tuple[int, ...]) -> np.ndarray:
    """Put the last axis of ``(rows, C)`` behind the first axis of the batch."""
    whole = rows.reshape(*batch, rows.shape[-1])
    return np.moveaxis(whole, -1, 1) if len(batch) > 1 else whole
