"""The memory of one large call: at most its inputs, its gradient and 16 MiB more.

Each loss is measured in a process of its own: what is resident before its inputs are drawn, then the most
that was ever resident until its answer is there (``VmHWM``, reset once the inputs are drawn).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cases import Array
from benchmarks.report import save, table
from benchmarks.sides import ENVIRONMENT

HELP = "the memory of one large call"
ELEMENTS = 16_000_000
MIB = 2**20
ALLOWANCE = 16 * MIB
CLASSES = 1000
LOSSES = ("mse", "huber", "bce_with_logits", "cross_entropy", "dice")
# Large enough to import, to load and to start all that a call needs.
WARMING = 10_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", type=lambda text: text.split(","), default=LOSSES, metavar="mse,dice")
    parser.add_argument("--elements", type=lambda text: int(float(text)), default=ELEMENTS)
    parser.add_argument("--threads", type=int, nargs="+", default=(1, 2))


def run(arguments: argparse.Namespace) -> None:
    results = []
    for loss in arguments.only:
        for threads in arguments.threads:
            results.append(measured(loss, arguments.elements, threads))
            print(" | ".join(_cells(results[-1])), flush=True)
    save("memory", results, render(results))


def measured(loss: str, elements: int, threads: int) -> dict[str, Any]:
    """Measure one loss in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.memory", loss, str(elements), str(threads)]
    done = subprocess.run(
        command, env={**os.environ, **ENVIRONMENT}, stdout=subprocess.PIPE, check=True, text=True
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def measure(loss: str, elements: int, threads: int) -> dict[str, Any]:
    """Measure one loss here."""
    from lossd.engine import evaluate
    from lossd.losses import find
    from lossd.message import Call

    declared, options = find(loss), {"gradient": True}
    evaluate(declared, Call(_arrays(loss, WARMING), options), threads=threads)
    before = _resident("VmRSS")
    arrays = _arrays(loss, elements)
    Path("/proc/self/clear_refs").write_text("5")
    answer = evaluate(declared, Call(arrays, options), threads=threads)
    peak = _resident("VmHWM") - before
    inputs = sum(array.nbytes for array in arrays.values())
    gradient = sum(array.nbytes for array in answer.gradient["mean"].values())
    beyond = peak - inputs - gradient
    return {
        "loss": loss,
        "elements": elements,
        "threads": threads,
        "inputs": inputs,
        "gradient": gradient,
        "peak": peak,
        "beyond": beyond,
        "passed": beyond <= ALLOWANCE,
    }


def render(results: list[dict[str, Any]]) -> str:
    header = [
        "loss, threads",
        "inputs, MiB",
        "gradient, MiB",
        "peak, MiB",
        "beyond both, MiB",
        "at most 16 MiB",
    ]
    return table(header, map(_cells, results))


def _cells(result: Mapping[str, Any]) -> list[str]:
    sizes = [f"{result[name] / MIB:.1f}" for name in ("inputs", "gradient", "peak", "beyond")]
    return [f"{result['loss']}, {result['threads']}", *sizes, "pass" if result["passed"] else "FAIL"]


def _arrays(loss: str, elements: int) -> dict[str, Array]:
    rng = np.random.default_rng(0)
    if loss == "cross_entropy":
        shape = (elements // CLASSES, CLASSES)
        return {"input": rng.standard_normal(shape, np.float32), "target": rng.integers(0, CLASSES, shape[0])}
    return {name: rng.random(elements, np.float32) for name in ("input", "target")}


def _resident(name: str) -> int:
    """Return a line of the process's status, in bytes."""
    found = re.search(rf"(?m)^{name}:\s+(\d+) kB$", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
