"""Second derivatives by dual numbers cost what their products take: they are counted before the call runs."""

from __future__ import annotations

import numpy as np
import pytest

from lossd.declaration.loss import Loss
from lossd.declaration.samples import forms, sample_call
from lossd.declaration.second import by_hand
from lossd.engine import evaluate, prepare
from lossd.errors import InvalidCall
from lossd.losses import LOSSES
from lossd.message import Call

every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


def _asking(loss: Loss, kind: str, rows: int = 8) -> Call:
    call = sample_call(loss, np.random.default_rng(0), form=forms(loss)[0], batch=(rows,))
    first = next(name for name in loss.gradient if name in call.arrays)
    if kind == "hvp":
        direction = np.ones_like(call.arrays[first])
        return Call({**call.arrays, "hvp": direction}, {**call.options, "reduction": "sum"})
    return Call(call.arrays, {**call.options, "reduction": "sum", "hessian": first})


@every_loss
@pytest.mark.parametrize("kind", ["hessian", "hvp"])
def test_every_run_of_a_kernel_is_counted(loss: Loss, kind: str) -> None:
    """A kernel that runs for each product is run no oftener than the estimate says."""
    call, runs = _asking(loss, kind), 0
    defaults = {name: default for name, (_, default) in loss.settings.items()}
    hand = by_hand(loss, {**defaults, **call.options})
    kernel = loss.kernel

    def counted(*args: object, **settings: object) -> object:
        nonlocal runs
        runs += 1
        return kernel(*args, **settings)

    object.__setattr__(loss, "kernel", counted)
    try:
        evaluate(loss, call)
    except InvalidCall:
        pytest.skip("not offered")
    finally:
        object.__setattr__(loss, "kernel", kernel)
    estimate = prepare(loss, call).estimate
    first = next(name for name in loss.gradient if name in call.arrays)
    if runs > 1:
        assert first not in (hand.hessian if kind == "hessian" else hand.product)
        assert estimate.work > 8e5 * (runs - 1)  # a run with dual numbers takes about a millisecond
    else:
        assert first in hand.hessian | hand.product


class _Stopped(Exception):
    pass


@pytest.mark.parametrize("name", ["supcon", "giou"])
def test_a_diagonal_may_be_stopped_between_its_products(name: str) -> None:
    calls = 0

    def checkpoint() -> None:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise _Stopped

    with pytest.raises(_Stopped):
        evaluate(LOSSES[name], _asking(LOSSES[name], "hessian"), checkpoint=checkpoint)
