"""What is kept of calls is bounded in bytes, whatever they ask for."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from lossd.engine import prepare
from lossd.engine.template_cache import LARGEST_TEMPLATE, MOST_TEMPLATES, _template_of_zeros
from lossd.errors import LossdError
from lossd.losses import LOSSES
from lossd.message import Array, Call

MANY_REDUCTIONS = [*("none", "mean", "sum", "batchmean", "weighted_mean") * 6, "none", "mean"]


def kept_bytes(loss: str, arrays: Mapping[str, Array], options: Mapping[str, Any], calls: int) -> float:
    """Return the bytes that a template takes, of calls that differ in an option."""
    _template_of_zeros.cache_clear()
    prepare(LOSSES[loss], Call(arrays, options))  # makes what is kept of a loss
    gc.collect()
    tracemalloc.start()
    try:
        for number in range(calls):
            prepare(LOSSES[loss], Call(arrays, {**options, "denominator": 1.0 + number}))
        gc.collect()
        return tracemalloc.get_traced_memory()[0] / (_template_of_zeros.cache_info().currsize - 1)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("loss", LOSSES)
def test_a_template_of_every_loss_is_small(loss: str) -> None:
    example = LOSSES[loss].example.call
    arrays = {name: np.asarray(value) for name, value in example.items() if name in LOSSES[loss].array_names}
    settings = {name: value for name, value in example.items() if name not in arrays}
    names = [name for name in LOSSES[loss].gradient if name in arrays] * 8
    reductions = [name for name in MANY_REDUCTIONS if _is_taken(loss, arrays, settings, name)]
    options = {**settings, "reduction": reductions, "gradient": names[:32]}
    assert kept_bytes(loss, arrays, options, 20) < LARGEST_TEMPLATE


def _is_taken(loss: str, arrays: Mapping[str, Array], settings: Mapping[str, Any], reduction: str) -> bool:
    try:
        prepare(LOSSES[loss], Call(arrays, {**settings, "reduction": reduction, "denominator": 1.0}))
    except LossdError:
        return False
    return True


@pytest.mark.parametrize("elements", [1_000_000, 30_000_000])
def test_a_template_of_a_large_call_is_no_larger(elements: int) -> None:
    arrays = {name: np.zeros(elements, np.int8) for name in ("input", "target")}
    assert kept_bytes("mse", arrays, {"gradient": True}, 10) < LARGEST_TEMPLATE


def test_no_more_templates_are_kept_than_are_said() -> None:
    arrays = {name: np.zeros(3) for name in ("input", "target")}
    kept_bytes("mse", arrays, {}, MOST_TEMPLATES + 10)
    assert _template_of_zeros.cache_info().currsize == MOST_TEMPLATES
