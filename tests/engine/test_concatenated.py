"""Rows that come one after the other: as if the caller had padded them, and errors at the caller's own places."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.engine.concatenated import padded
from lossd.errors import InvalidCall
from lossd.losses import LOSSES, find
from lossd.message import Call

RNG = np.random.default_rng(23)
LENGTHS = np.array([3, 0, 1, 2])
FLAT = np.array([1, 2, 2, 3, 1, 3])
ROWS = np.array([[1, 2, 2], [-1, -1, -1], [3, -1, -1], [1, 3, -1]])
LOGITS = RNG.standard_normal((6, 4, 5))
FRAMES = np.array([6, 5, 4, 6])


def call(targets=FLAT, lengths=LENGTHS, logits=LOGITS, **options) -> Call:
    arrays = {"logits": logits, "targets": targets, "input_lengths": FRAMES, "target_lengths": lengths}
    general = {name: value for name, value in options.items() if isinstance(value, np.ndarray)}
    return Call(arrays | general, {name: value for name, value in options.items() if name not in general})


def test_the_arguments_that_have_lengths_are_those_of_sequences():
    with_lengths = {
        (loss.name, a.name, a.role.lengths)
        for loss in LOSSES.values()
        for a in loss.arguments
        if a.role.lengths
    }
    assert with_lengths == {("ctc", "targets", "target_lengths"), ("crf", "tags", "lengths")}


def test_rows_are_padded_and_their_starts_kept():
    given = call()
    found, starts = padded(find("ctc"), given)
    np.testing.assert_array_equal(found.arrays["targets"], ROWS)
    assert list(starts) == ["targets"]
    np.testing.assert_array_equal(starts["targets"], [0, 3, 3, 4])
    assert found.options == given.options
    assert found.arrays["logits"] is given.arrays["logits"]


def test_padded_rows_are_left_alone():
    given = call(targets=np.maximum(ROWS, 0))
    assert padded(find("ctc"), given) == (given, {})
    one = Call({"input": FLAT, "target": FLAT})
    assert padded(find("mse"), one) == (one, {})


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint32, np.int64, np.uint64, ">i4"])
@pytest.mark.parametrize(
    "options", [{"gradient": True}, {"reduction": ["none", "mean"], "hessian": True}], ids=str
)
@pytest.mark.parametrize("block_bytes", [1, 1 << 20])
def test_concatenated_rows_are_padded_ones_in_every_type(dtype, options, block_bytes):
    joined = evaluate(
        find("ctc"), call(FLAT.astype(dtype), LENGTHS.astype(dtype), **options), block_bytes=block_bytes
    )
    rows = evaluate(find("ctc"), call(ROWS, **options), block_bytes=block_bytes)
    for mode, value in rows.loss.items():
        np.testing.assert_array_equal(joined.loss[mode], value)
        for kind in ("gradient", "hessian"):
            for name, array in getattr(rows, kind).get(mode, {}).items():
                np.testing.assert_array_equal(getattr(joined, kind)[mode][name], array)


@pytest.mark.parametrize("lengths", [[0, 0, 0, 0], [6, 0, 0, 0], [0, 0, 0, 6]], ids=str)
def test_any_rows_may_be_empty(lengths):
    lengths = np.array(lengths)
    targets = FLAT[: lengths.sum()] if lengths.any() else np.zeros(0, int)
    answer = evaluate(find("ctc"), call(targets, lengths, reduction="none"))
    whole = np.full((4, max(lengths.max(), 1)), -1)
    whole[np.arange(whole.shape[1]) < lengths[:, None]] = targets
    np.testing.assert_array_equal(
        answer.loss["none"], evaluate(find("ctc"), call(whole, lengths, reduction="none")).loss["none"]
    )


def test_a_mask_leaves_out_rows_of_the_caller():
    mask = np.array([True, True, False, True])
    joined, rows = (
        evaluate(find("ctc"), call(t, mask=mask, reduction=["none", "mean"])) for t in (FLAT, ROWS)
    )
    for mode in ("none", "mean"):
        np.testing.assert_array_equal(joined.loss[mode], rows.loss[mode])


@pytest.mark.parametrize(
    ("changes", "at", "expected"),
    [
        ({"targets": FLAT[:-1]}, "targets", "6 symbols, the sum of target_lengths"),
        ({"targets": np.append(FLAT, 1)}, "targets", "6 symbols, the sum of target_lengths"),
        ({"lengths": np.array([3, -1, 1, 2])}, "target_lengths[1]", "whole numbers in [0, 6]"),
        ({"lengths": np.array([3, 0, 1, 7])}, "target_lengths[3]", "whole numbers in [0, 6]"),
        (
            {"targets": np.array([1, 2, 2, 3, 5, 3])},
            "targets[4]",
            "whole numbers in [0, 5) other than blank, 0",
        ),
        (
            {"targets": np.array([1, 2, 2, 0, 1, 3])},
            "targets[3]",
            "whole numbers in [0, 5) other than blank, 0",
        ),
        (
            {"targets": np.array([1, 2, 2, 3, 1, 2**63 + 1], np.uint64)},
            "targets[5]",
            "whole numbers in [0, 5)",
        ),
        ({"targets": FLAT * 1.0}, "targets", "whole numbers"),
        ({"lengths": LENGTHS * 1.0}, "target_lengths", "whole numbers"),
    ],
    ids=str,
)
@pytest.mark.parametrize("block_bytes", [1, 1 << 20])
def test_a_wrong_number_is_named_at_its_place_in_the_flat_array(changes, at, expected, block_bytes):
    with pytest.raises(InvalidCall) as refused:
        evaluate(find("ctc"), call(**changes), block_bytes=block_bytes)
    detail = refused.value.errors[0]
    assert detail.at == at
    assert expected in detail.expected


def test_padding_that_would_be_out_of_proportion_is_refused_before_it_is_made():
    lengths = np.zeros(100_000, np.int64)
    lengths[0] = 100_000
    arrays = {
        "log_probs": np.zeros((1, 100_000, 2), np.float32), "targets": np.ones(100_000, np.int64),
        "input_lengths": np.ones(100_000, np.int64), "target_lengths": lengths,
    }  # fmt: skip
    tracemalloc.start()
    with pytest.raises(InvalidCall, match="symbols once padded"):
        evaluate(find("ctc"), Call(arrays))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000
