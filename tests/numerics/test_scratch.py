"""Buffers of fused kernels: the memory is reused, a shape is what was asked for, and little is kept."""

from __future__ import annotations

import numpy as np

from lossd.numerics.scratch import Scratch


def test_a_buffer_is_reused_in_any_shape():
    scratch = Scratch()
    first = scratch.of_shape("a", (3, 4), np.float32)
    assert np.shares_memory(scratch.empty("a", first), first)
    assert np.shares_memory(scratch.of_shape("a", (6,), np.float32), first)
    assert not np.shares_memory(scratch.of_shape("b", (6,), np.float32), first)
    assert scratch.empty("a", first, bool).dtype == bool


def test_a_buffer_that_is_replaced_by_a_larger_one_is_given_up():
    scratch = Scratch()
    small = scratch.of_shape("a", (4,), np.float64)
    large = scratch.of_shape("a", (8,), np.float64)
    assert np.shares_memory(scratch.of_shape("a", (4,), np.float64), large)
    assert not np.shares_memory(small, large)


def test_neither_a_large_buffer_nor_many_constants_are_kept():
    scratch = Scratch()
    large = scratch.of_shape("a", ((3 << 17) + 1,), np.float64)
    assert not np.shares_memory(scratch.empty("a", large), large)
    like = np.empty(5, np.float32)
    for value in range(100):
        assert (scratch.full(value, like) == value).all()
    assert len(scratch._constants) == 16
    for size in range(100):
        assert scratch.of_shape("b", (size,), np.float32).shape == (size,)
    assert len(scratch._views) <= 64
