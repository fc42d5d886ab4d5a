"""The properties of how arrays lie in memory, how work is cut and what was asked before: none changes an answer."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from copy import copy

import numpy as np

from lossd.engine import evaluate
from lossd.engine.blocks import BLOCK_BYTES
from lossd.message import Array, Call
from tests.losses.cases import REDUCTIONS, Case, ask, assert_close, assert_same_bits, with_arrays, with_names

FORCED_BLOCKS = 4 * 8  # bytes: four numbers, or one row of more


def check_layouts(case: Case) -> None:
    """Strided, reversed, Fortran, big-endian and unaligned arrays give the same bits as plain ones."""
    expected = ask(case, reduction=REDUCTIONS, gradient=case.differentiable)
    fast = ask(case, gradient=True)
    for change in LAYOUTS.values():
        call = with_arrays(
            case.call, {name: change(a) if a.ndim else a for name, a in case.call.arrays.items()}
        )
        assert_same_bits(ask(case, call, reduction=REDUCTIONS, gradient=case.differentiable), expected)
        assert_same_bits(ask(case, call, gradient=True), fast)


def check_inputs_are_not_written(case: Case) -> None:
    """Read-only arrays are welcome, and writable ones are left as they were."""
    before = {name: array.copy() for name, array in case.call.arrays.items()}
    for writable in (True, False):
        arrays = {name: array.copy() for name, array in before.items()}
        for array in arrays.values():
            array.flags.writeable = writable
        call = with_arrays(case.call, arrays)
        for asked in ({"reduction": REDUCTIONS, "gradient": case.differentiable}, {"gradient": True}):
            answer = ask(case, call, **asked)
            given = [gradient for found in answer.gradient.values() for gradient in found.values()]
            assert not any(
                np.shares_memory(gradient, array) for gradient in given for array in arrays.values()
            )
        for name, array in arrays.items():
            assert array.tobytes() == before[name].tobytes(), name


def check_block_size(case: Case) -> None:
    """The size of blocks changes no loss and no gradient of a row; sums change by their rounding alone."""
    call = with_names(_long(case), reduction=REDUCTIONS, gradient=case.differentiable)
    whole = evaluate(case.loss, call)
    for size in (1, FORCED_BLOCKS, 1000):
        cut = evaluate(case.loss, call, block_bytes=size)
        assert cut.loss["none"].tobytes() == whole.loss["none"].tobytes()
        assert_close(
            [cut.loss[r] for r in REDUCTIONS[1:]], [whole.loss[r] for r in REDUCTIONS[1:]], **_ROUNDING
        )
        for reduction, gradients in whole.gradient.items():
            for name, gradient in gradients.items():
                # relative to the largest: what all rows share is a sum of terms that may cancel
                spread = np.abs(gradient).max(initial=1)
                assert_close(cut.gradient[reduction][name] / spread, gradient / spread, **_ROUNDING, of=name)
    plain = evaluate(case.loss, _long(case)).loss["mean"]
    for size in (1, FORCED_BLOCKS, 1000):
        assert_close(evaluate(case.loss, _long(case), block_bytes=size).loss["mean"], plain, **_ROUNDING)


def check_threads(case: Case) -> None:
    """The number of threads changes no bit."""
    for asked in ({"reduction": REDUCTIONS, "gradient": case.differentiable}, {"gradient": True}, {}):
        call = with_names(_long(case), **asked)
        one = evaluate(case.loss, call, block_bytes=FORCED_BLOCKS)
        four = evaluate(
            case.loss, call, threads=4, block_bytes=FORCED_BLOCKS, checkpoint=_meeting_of_two_threads()
        )
        assert_same_bits(four, one)


def check_calls_before(case: Case) -> None:
    """What is kept of a call of the same shapes changes no bit of the next."""
    draw = case.rng().random
    another = with_arrays(case.call, case.draw(case.rng(), case.batch).arrays)
    for asked in ({"reduction": REDUCTIONS, "gradient": case.differentiable}, {"gradient": True}):
        for weighed in (
            {},
            {"sample_weight": np.asarray(draw(case.values))},
            {"mask": np.asarray(draw(case.batch if case.loss.whole_batch else case.values) < 0.5)},
        ):
            ask(
                case,
                another,
                empty="zero",
                **asked,
                **{name: np.asarray(np.flip(array)) for name, array in weighed.items()},
            )
            call = with_names(case.call, empty="zero", **asked, **weighed)
            unasked = copy(case.loss)  # nothing is kept of it
            assert_same_bits(evaluate(case.loss, call), evaluate(unasked, call))


def _meeting_of_two_threads() -> Callable[[], None]:
    """Return a checkpoint that holds the first thread until a second has come: small work leaves it none."""
    barrier, seen = threading.Barrier(2), set()

    def checkpoint() -> None:
        if len(seen) < 2 and threading.get_ident() not in seen:
            seen.add(threading.get_ident())
            with contextlib.suppress(threading.BrokenBarrierError):  # where there is but one block
                barrier.wait(0.2)

    return checkpoint


def _long(case: Case) -> Call:
    """Draw a call like the case's of 37 rows: several blocks, the last one short."""
    call = case.draw(case.rng(), (37, *case.batch[1:]))
    assert max(array.nbytes for array in call.arrays.values()) < BLOCK_BYTES
    return call


def _strided(array: Array) -> Array:
    wide = np.full((*array.shape[:-1], 2 * array.shape[-1]), 77).astype(array.dtype)
    wide[..., ::2] = array
    return wide[..., ::2]


def _reversed(array: Array) -> Array:
    return np.ascontiguousarray(array[::-1])[::-1]


def _unaligned(array: Array) -> Array:
    memory = np.zeros(array.nbytes + 1, np.uint8)
    memory[1:] = np.frombuffer(array.tobytes(), np.uint8)
    return np.frombuffer(memory.data, array.dtype, offset=1).reshape(array.shape)


LAYOUTS: Mapping[str, Callable[[Array], Array]] = {
    "strided": _strided,
    "reversed": _reversed,
    "fortran": np.asfortranarray,
    "big-endian": lambda array: array.astype(array.dtype.newbyteorder(">")),
    "unaligned": _unaligned,
}
# Sums of 37 float64 numbers in another order.
_ROUNDING = {"relative": 1e-13, "absolute": 1e-13}

PROPERTIES = (
    check_layouts,
    check_inputs_are_not_written,
    check_block_size,
    check_threads,
    check_calls_before,
)
