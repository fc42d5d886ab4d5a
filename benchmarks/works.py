"""What is timed: one call of the engine, of PyTorch, and of the limit."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

import numpy as np

from benchmarks.cases import SUBJECTS, Array, Case

Work = Callable[[], Any]
LEAST_CALLS = 3
LONG_SECONDS = 1.0


def lossd_work(case: Case, arrays: Mapping[str, Array]) -> Work:
    """Return a call of the engine as the service makes it, from a request's validation to the answer."""
    from lossd.engine import evaluate
    from lossd.losses import find
    from lossd.message import Call

    loss = find(case.loss)
    options = {"gradient": True}

    def work() -> Any:
        return evaluate(loss, Call(arrays, options), threads=case.threads).loss["mean"]

    return work


def eager_work(case: Case, arrays: Mapping[str, Array]) -> Work:
    """Return forward and backward in PyTorch, as a training loop does them."""
    import torch

    function = getattr(torch.nn.functional, SUBJECTS[case.loss].torch)
    return _torch_work(torch, function, case, arrays)


def compiled_work(case: Case, arrays: Mapping[str, Array]) -> Work:
    """Return the same, compiled for the very shapes of the case."""
    import torch

    torch._dynamo.reset()
    function = getattr(torch.nn.functional, SUBJECTS[case.loss].torch)
    return _torch_work(torch, torch.compile(function, dynamic=False), case, arrays)


def _torch_work(torch: Any, function: Any, case: Case, arrays: Mapping[str, Array]) -> Work:
    torch.set_num_threads(case.threads)
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    variables = [tensors[name].requires_grad_() for name in SUBJECTS[case.loss].gradient]

    def work() -> Any:
        for variable in variables:
            variable.grad = None
        value = function(**tensors)
        value.backward()
        return value

    return work


SIDES: Mapping[str, Callable[[Case, Mapping[str, Array]], Work]] = {
    "lossd": lossd_work,
    "eager": eager_work,
    "compile": compiled_work,
}


def limit_work(case: Case, arrays: Mapping[str, Array]) -> Callable[[], object] | None:
    """Return the one NumPy call that the loss cannot do without, its result in memory that is there."""
    name = SUBJECTS[case.loss].limit
    if name is None:
        return None
    function = getattr(np, name)
    operands = [arrays["input"].reshape(-1)]
    if name == "subtract":
        operands.append(arrays["target"].reshape(-1))
    out = np.empty_like(operands[0])

    def part(first: int, last: int) -> None:
        function(*(operand[first:last] for operand in operands), out=out[first:last])

    # Waking a thread costs more than a small array.
    if case.threads == 1 or case.size < 100_000:
        return lambda: function(*operands, out=out)
    edges = np.linspace(0, case.size, case.threads + 1).astype(int).tolist()
    pool = ThreadPoolExecutor(case.threads)
    return lambda: list(pool.map(part, edges[:-1], edges[1:]))


def measure(work: Callable[[], object], seconds: float) -> float:
    """Call for some seconds, three times unless that takes long, and return the median seconds of one call."""
    times: list[float] = []
    taken = 0.0
    collecting = gc.isenabled()
    gc.disable()
    try:
        while not times or taken < seconds or (len(times) < LEAST_CALLS and taken < LONG_SECONDS):
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
            taken += times[-1]
    finally:
        if collecting:
            gc.enable()
    return median(times)
