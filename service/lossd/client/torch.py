"""The bridge to PyTorch: a module whose loss, and whose gradient, a lossd server computes.

    criterion = RemoteLoss("cross_entropy", weight=class_weights)
    criterion(model(images), labels).backward()

Tensors travel in their own type, by way of the CPU's memory, and come back to the device of the first. Under autocast
they are widened to float32 first, as for PyTorch's own losses.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

if find_spec("torch") is None:  # no part of the client brings it
    raise ModuleNotFoundError("lossd.client.torch needs PyTorch: pip install torch", name="torch")

import torch

from lossd.client.blocking import LossClient
from lossd.client.catalogue import LossEntry
from lossd.client.failure import ServiceError, Unreachable
from lossd.client.methods import ALIASES, ARRAYS, OBJECTIVES
from lossd.client.ranges import allows
from lossd.client.retries import STATUSES
from lossd.client.torch_autograd import Call, Evaluation, to_numpy, to_torch
from lossd.loss_page import values_of
from lossd.spelling import did_you_mean

__all__ = ["RemoteLoss", "to_numpy", "to_torch"]

REDUCTIONS = ("none", "mean", "sum", "batchmean", "weighted_mean")
OF_THE_BRIDGE = frozenset({"gradient", "upstream", "hessian", "hvp", "convention"})
"""Options that are no one's to set here: the bridge asks for what autograd needs."""


class RemoteLoss(torch.nn.Module):
    """A loss that a server computes, to be used as PyTorch's own losses are.

    It is called with the loss's arguments, in their order or by name. Whatever requires a gradient gets the
    service's: input, target, weights, and settings that the loss can be differentiated by. Under ``none`` the
    gradient is asked for when it is known what follows the loss, in a second call; else it comes with the value.

    Args:
        loss: Name or alias of the loss: ``cross_entropy``, ``CrossEntropyLoss``; not that of a boosting objective,
            whose derivatives need not be those of its value.
        client: Where it is computed: a client, or the address of a server; by default that of `LossClient`.
        reduction: One reduction.
        **settings: The loss's settings and the general options. A parameter of PyTorch is trained with the
            module, any other tensor is a buffer and moves with it.

    Raises:
        ServiceError: The server has no such loss. Where no server answers, the first call says so.
        TypeError: The loss is not given by its name, or it has no such setting; the latter is said by the first
            call where no server answers yet.
        ValueError: The reduction, or the address, is none; or a setting is outside its range, which also the first
            call says where no server answers yet.
    """

    def __init__(
        self, loss: str, *, client: LossClient | str | None = None, reduction: str = "mean", **settings: Any
    ) -> None:
        super().__init__()
        if not isinstance(loss, str):
            kind = type(loss).__name__
            raise TypeError(
                f"expected the name of a loss, such as 'huber', got a value of type {kind} - at `loss`"
            )
        if reduction not in REDUCTIONS:
            raise ValueError(f"expected one of {', '.join(REDUCTIONS)}, got {reduction!r} - at `reduction`")
        if loss in OBJECTIVES:
            named = ALIASES[loss]
            raise ValueError(
                f"expected a loss such as {named}, got the boosting objective {loss!r} - at `loss`"
            )
        for name in OF_THE_BRIDGE & settings.keys():
            raise ValueError(
                f"expected a setting of the loss, got {name}, which autograd decides - at `{name}`"
            )
        self.loss = loss
        self.reduction = reduction
        self.client = _client_of(client)
        self._entry = _entry_of(self.client, loss)
        if self._entry is not None:
            _check_settings(self._entry, settings)
        self.options: dict[str, Any] = {}
        self._tensors: list[str] = []
        for name, value in settings.items():
            if not isinstance(value, torch.Tensor):
                self.options[name] = value
                continue
            self._tensors.append(name)
            if isinstance(value, torch.nn.Parameter):
                self.register_parameter(name, value)
            else:
                self.register_buffer(name, value)

    @torch.compiler.disable
    def forward(self, *arguments: torch.Tensor, **named: torch.Tensor) -> torch.Tensor:
        """Return the loss, with a gradient for every tensor that requires one."""
        positions = self._positions()
        if len(arguments) > len(positions):
            raise TypeError(f"expected at most {', '.join(positions)}, got {len(arguments)} arguments")
        own = {name: getattr(self, name) for name in self._tensors}
        given = own | dict(zip(positions, arguments, strict=False)) | named
        tensors = {name: _widened(value) for name, value in given.items() if isinstance(value, torch.Tensor)}
        options = {**self.options, "reduction": self.reduction}
        options |= {name: value for name, value in given.items() if not isinstance(value, torch.Tensor)}
        call = Call(self.client, self.loss, options, tuple(tensors), torch.is_grad_enabled())
        result: torch.Tensor = Evaluation.apply(call, *tensors.values())
        return result

    def _positions(self) -> tuple[str, ...]:
        """Return the names of the arguments, in order; the server knows those of a loss newer than this client."""
        if (known := ARRAYS.get(ALIASES.get(self.loss, self.loss))) is not None:
            return known
        self._entry = self._entry or self.client.describe(self.loss)
        return tuple(argument.name for argument in self._entry.arguments)

    def extra_repr(self) -> str:
        """Show the loss and its settings."""
        shown = {"reduction": self.reduction, **self.options}
        return ", ".join([repr(self.loss), *(f"{name}={value!r}" for name, value in shown.items())])


def _client_of(client: LossClient | str | None) -> LossClient:
    if client is None or isinstance(client, str):
        return LossClient(client)
    if not isinstance(client, LossClient):
        kind = type(client).__name__
        raise TypeError(f"expected a LossClient or an address, got a value of type {kind} - at `client`")
    return client


def _entry_of(client: LossClient, loss: str) -> LossEntry | None:
    """Return what the server says about a loss; None where no server answers now."""
    try:
        return client.describe(loss, retry_for=0)
    except Unreachable:
        return None
    except ServiceError as error:
        if error.status in STATUSES:
            return None
        raise


def _check_settings(entry: LossEntry, settings: Mapping[str, Any]) -> None:
    """Check that a loss has these settings, in their range; its arguments may be given beforehand, too."""
    own = [each.name for each in entry.arguments if each.optional] + list(entry.settings)
    known = [*own, *(each.name for each in entry.arguments), *entry.options]
    schemas = {**entry.options, **entry.settings}
    for name, value in settings.items():
        if name not in known:
            raise TypeError(
                f"expected a setting of {entry.name} ({', '.join(own)}) or a general option, "
                f"got {name!r}{did_you_mean(name, known)} - at `{name}`"
            )
        if value is not None and not allows(schemas.get(name), value):
            expected = values_of(schemas[name]).replace("`", "")
            raise ValueError(f"expected {expected}, got {value!r} - at `{name}`")


def _widened(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor as PyTorch's losses take it under autocast: float32 where it is narrower."""
    device = tensor.device.type
    if not torch.amp.is_autocast_available(device) or not torch.is_autocast_enabled(device):
        return tensor
    return tensor.float() if tensor.is_floating_point() and tensor.dtype != torch.float64 else tensor
