"""One evaluation in PyTorch's graph of gradients, and tensors as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import ml_dtypes
import numpy as np
import torch

from lossd.client.blocking import LossClient
from lossd.client.result import Result
from lossd.message import Array

_DIVIDING = frozenset({"weight", "sample_weight"})  # by which a mean may divide
_OF_REDUCTIONS = frozenset({"axis", "denominator", "empty"})  # options that the reduction none has no use for


@dataclass(frozen=True)
class Call:
    """What is asked, but for the tensors' values, which autograd keeps."""

    client: LossClient
    loss: str
    options: Mapping[str, Any]
    names: tuple[str, ...]
    differentiates: bool

    @property
    def reduction(self) -> str:
        """The reduction."""
        return str(self.options["reduction"])

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes of the unreduced loss that are reduced, where they are named."""
        axis = self.options.get("axis")
        if axis is None or self.reduction == "none":
            return ()
        return tuple(axis) if isinstance(axis, list | tuple) else (axis,)

    def with_each_row(self) -> Call:
        """Return the call with the unreduced loss beside the reduced one."""
        return replace(self, options={**self.options, "reduction": [self.reduction, "none"]})

    def of_each_row(self, wanted: list[str]) -> Call:
        """Return the call without its reduction, through which autograd's gradient is handed.

        Raises:
            NotImplementedError: What is differentiated divides the mean, too.
        """
        dividing = sorted(_DIVIDING.intersection(wanted))
        if self.axes and self.reduction != "sum" and dividing:
            raise NotImplementedError(
                "expected reduction 'none' or 'sum' along an axis where "
                f"gradients of {', '.join(dividing)} are asked for, got {self.reduction!r}"
            )
        options = {name: value for name, value in self.options.items() if name not in _OF_REDUCTIONS}
        return replace(self, options={**options, "reduction": "none"})

    def to_each_row(self, upstream: Array, reduced: Result) -> Array:
        """Return the gradient with respect to each unreduced loss, ``upstream`` being that of the reduced one."""
        if not self.axes:
            return upstream
        if self.reduction != "sum":
            upstream = upstream / np.asarray(reduced.denominator).astype(upstream.dtype)
        return np.broadcast_to(np.expand_dims(upstream, self.axes), reduced["none"].value.shape)

    def evaluate(self, tensors: tuple[torch.Tensor, ...], **more: Any) -> Result:
        """Send the call, with more options."""
        values = dict(zip(self.names, tensors, strict=True))
        return self.client.evaluate(self.loss, **self.options, **values, **more)


class Evaluation(torch.autograd.Function):
    """One evaluation in autograd's graph."""

    @staticmethod
    def forward(ctx: Any, call: Call, *tensors: torch.Tensor) -> torch.Tensor:
        """Return the loss, and keep its gradients or what they are to be asked for with."""
        ctx.call = call
        ctx.wanted = [
            name for name, needed in zip(call.names, ctx.needs_input_grad[1:], strict=True) if needed
        ]
        # A gradient for each of several reduced losses would be a matrix: it is asked for as that of each row.
        ctx.at_once = call.reduction != "none" and not call.axes
        asked = ctx.wanted if call.differentiates and ctx.at_once else []
        first = call.with_each_row() if call.axes and ctx.wanted and call.differentiates else call
        result = first.evaluate(tensors, **({"gradient": asked} if asked else {}))
        if not ctx.at_once:
            ctx.result = result
            ctx.save_for_backward(*tensors)
        elif asked:
            ctx.save_for_backward(*_gradients(result, call.names, tensors))
        # JSON has one type of number: the value is of the type that PyTorch would give it.
        return to_torch(result[call.reduction].value, like=tensors[0]).to(_type_of_result(tensors))

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the gradient with respect to each tensor."""
        if torch.is_grad_enabled():  # create_graph=True: else the gradient would pass for a constant
            raise NotImplementedError("expected one derivative of a RemoteLoss, got create_graph=True")
        saved = ctx.saved_tensors
        if ctx.at_once:
            return None, *(None if each is None else each * upstream.to(each) for each in saved)
        call: Call = ctx.call
        result = call.of_each_row(ctx.wanted).evaluate(
            saved, gradient=ctx.wanted, upstream=call.to_each_row(to_numpy(upstream), ctx.result)
        )
        return None, *_gradients(result, call.names, saved)


def to_numpy(tensor: torch.Tensor) -> Array:
    """View a tensor as an array, or copy it where it lies on a device."""
    tensor = tensor.detach().cpu().contiguous().resolve_conj().resolve_neg()
    if tensor.dtype == torch.bfloat16:  # which NumPy does not know
        return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)  # type: ignore[no-any-return]
    return tensor.numpy()  # type: ignore[no-any-return]


def to_torch(array: Array, *, like: torch.Tensor) -> torch.Tensor:
    """Turn an array into a tensor on the device of ``like``."""
    native = np.require(array, array.dtype.newbyteorder("="), ["ALIGNED", "WRITEABLE", "C"])
    if native.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(native.view(np.int16)).view(torch.bfloat16).to(like.device)
    return torch.from_numpy(native).to(like.device)


def _gradients(
    result: Result, names: tuple[str, ...], tensors: tuple[torch.Tensor, ...]
) -> list[torch.Tensor | None]:
    """Return the gradient of each tensor, in its shape, type and place, or None where none was asked for."""
    return [
        to_torch(result.gradient[name], like=tensor).to(tensor.dtype).reshape(tensor.shape)
        if name in result.gradient
        else None
        for name, tensor in zip(names, tensors, strict=True)
    ]


def _type_of_result(tensors: tuple[torch.Tensor, ...]) -> torch.dtype:
    """Return the real type that PyTorch would compute in: the widest of the arrays, else of the scalars."""
    inexact = [each for each in tensors if each.is_floating_point() or each.is_complex()]
    counting = [each for each in inexact if each.ndim] or inexact
    widest = counting[0].dtype if counting else torch.get_default_dtype()
    for each in counting[1:]:
        widest = torch.promote_types(widest, each.dtype)
    return widest.to_real()
