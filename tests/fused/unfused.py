"""A loss without its fused kernels: what they compute is compared with what its own kernel does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lossd.declaration.loss import Loss
from lossd.declaration.result import Result
from lossd.fused import FUSED


def unfused(loss: Loss) -> Loss:
    """Return the loss with a kernel that the table of fused ones does not know."""

    def kernel(**arguments: Any) -> Result:
        return loss.kernel(**arguments)

    assert kernel not in FUSED
    return replace(loss, kernel=kernel)
