"""Plans a job: looks at its files, and finds what the derivatives divide by. Nothing is written yet."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from lossd.bulk.errors import UnusableFile
from lossd.bulk.job import Job, Layout, read_rows
from lossd.bulk.kept import source_of, state_of
from lossd.bulk.outputs import refuse_overlaps
from lossd.bulk.sinks import stored_dtype
from lossd.bulk.sources import Source, fingerprint, parse_name
from lossd.declaration.loss import Loss
from lossd.engine import Prepared, prepare
from lossd.engine.combine import combine
from lossd.engine.cuts import rows_per_block
from lossd.engine.parts import weigh_part, weighing
from lossd.engine.reductions import REDUCTIONS
from lossd.errors import invalid
from lossd.losses import find
from lossd.message import Call

PART_BYTES = 16 << 20
_WEIGHED_ROWS = 1 << 16
_OLD_REDUCTIONS = ("size_average", "reduce")  # PyTorch's, which would take the place of the reductions


def plan(loss: str, files: Mapping[str, str], options: Mapping[str, Any], outputs: Mapping[str, str]) -> Job:
    """Look at the files, find the denominator if derivatives need it, and say what the results are.

    Args:
        loss: What to evaluate.
        files: Argument, ``mask`` or ``sample_weight`` to a file, a pattern of files, or an array in them.
        options: Settings and options.
        outputs: ``loss`` or ``gradient.NAME`` to a file for what belongs to each row.

    Raises:
        UnusableFile: A file cannot be read, or written, in parts.
        InvalidCall: The call has no parts, or is wrong in itself.
    """
    declared = find(loss)
    refuse_overlaps(outputs, files)
    names = _differentiated(options, outputs)
    fingerprints = {text: fingerprint(parse_name(text)) for text in files.values()}
    states = {text: state_of(found) for text, found in fingerprints.items()}
    sources = {name: source_of(text, states[text]) for name, text in files.items()}
    wanted = _options(declared, sources, options=options, outputs=outputs, names=names)
    prepared = prepare(declared, _zeros(sources, {**wanted, "denominator": 1.0}))
    shared = {name for name in files if _is_shared(name, prepared)}
    rows = _count_rows(
        {name: source for name, source in sources.items() if name not in shared}, files, prepared
    )
    step = rows_per_block(declared, _zeros(sources, {**wanted, "denominator": 1.0}))
    widest = max(
        math.prod(sources[name].shape[1:]) * sources[name].dtype.itemsize
        for name in files
        if name not in shared
    )
    job = Job(
        declared.known_name,
        {name: text for name, text in files.items() if name not in shared},
        {name: text for name, text in files.items() if name in shared},
        wanted,
        outputs,
        rows,
        step * max(1, PART_BYTES // (step * max(widest, 1))),
        fingerprints=fingerprints,
        states=states,
    )
    return _weighed(replace(job, layouts=_layouts(job, sources, prepared)), declared)


def _differentiated(options: Mapping[str, Any], outputs: Mapping[str, str]) -> list[str]:
    """Return what has a gradient: what the outputs ask for, and what all rows share.

    Raises:
        InvalidCall: An output is none that belongs to rows, or a kind of derivative has no output.
    """
    for name in ("hessian", "hvp", "axis"):
        if options.get(name) not in (None, False):
            raise invalid(name, "no such option for data in parts", str(options[name]))
    names = []
    for output in outputs:
        kind, _, name = output.partition(".")
        if output != "loss" and (kind != "gradient" or not name):
            raise invalid(f"out {output}", "loss=FILE or gradient.NAME=FILE", output)
        names += [name] if name else []
    asked = options.get("gradient", [])
    if asked is True:
        raise invalid(
            "gradient",
            "the names of what all rows share; for those of rows drop --gradient and write "
            "--out gradient.NAME=FILE, as in --out gradient.input=FILE",
            "true",
        )
    return list(dict.fromkeys([*names, *([asked] if isinstance(asked, str) else asked or [])]))


def _options(
    loss: Loss,
    sources: Mapping[str, Source],
    *,
    options: Mapping[str, Any],
    outputs: Mapping[str, str],
    names: list[str],
) -> dict[str, Any]:
    """Return the options of the parts: with the reductions of the whole call, and what the outputs ask for.

    Raises:
        InvalidCall: A reduction has no output, or the losses of rows are none of this call's.
    """
    asked = {**options, "gradient": False, "denominator": 1.0}
    template = prepare(loss, _zeros(sources, asked)).template
    reductions = list(template.wanted.reductions)
    if "none" in reductions and "loss" not in outputs:
        raise invalid("reduction", "reductions to a number; rows have theirs by --out loss=FILE", "none")
    if names and (len(reductions) > 1 or "none" in reductions):
        expected = "one reduction to a number, where gradients are asked for"
        raise invalid("reduction", expected, ", ".join(reductions))
    if "loss" in outputs and template.request.options.convention == "gbm":
        raise invalid("out loss", "another convention, whose rows have losses of their own", "gbm")
    if "loss" in outputs:
        reductions = list(dict.fromkeys([*reductions, "none"]))
    kept = {name: value for name, value in options.items() if name not in _OLD_REDUCTIONS}
    return {**kept, "reduction": reductions, "gradient": names or False}


def _zeros(sources: Mapping[str, Source], options: Mapping[str, Any]) -> Call:
    """Return a call of all rows that takes no memory, for what follows from shapes and types."""
    zeros = {
        name: np.broadcast_to(np.zeros((), source.dtype), source.shape) for name, source in sources.items()
    }
    return Call(zeros, options)


def _is_shared(name: str, prepared: Prepared) -> bool:
    """Return whether all rows share an array."""
    given = prepared.template.bound.arrays.get(name)
    return given is not None and given.rows is None


def _count_rows(sources: Mapping[str, Source], files: Mapping[str, str], prepared: Prepared) -> int:
    """Return the number of rows that all files have, along the first axis.

    Raises:
        UnusableFile: One has another number, or its rows do not lie along the first axis.
    """
    rows = next((source.shape[0] for source in sources.values()), 0)
    for name, source in sources.items():
        given = prepared.template.bound.arrays.get(name)
        if given is not None and 0 in given.core:
            raise UnusableFile(files[name], "rows along the first axis", f"another axis of {name} there")
        if source.shape[0] != rows:
            raise UnusableFile(
                files[name], f"{rows} rows, as in {next(iter(files.values()))}", str(source.shape[0])
            )
    return rows


def _weighed(job: Job, loss: Loss) -> Job:
    """Find whether some rows take no part, and what the derivatives divide by: a pass over what is narrow."""
    averages = [name for name in job.options["reduction"] if REDUCTIONS[name].divisor is not None]
    needs_denominator = "denominator" not in job.options and (job.options["gradient"] or not averages)
    through = [name for name in job.options["gradient"] or () if name in loss.normalized_by]
    if averages and needs_denominator and through:
        expected = f"a sum, or a denominator: {averages[0]} divides by what depends on {through[0]}"
        raise invalid("reduction", expected, averages[0])
    narrow = weighing(loss) & {*job.files, *job.shared}
    if not narrow and not needs_denominator:
        return job
    step = -(-_WEIGHED_ROWS // job.part_rows) * job.part_rows if narrow else max(job.rows, 1)
    parts = []
    for first in range(0, max(job.rows, 1), step):
        arrays = read_rows(job, first, min(first + step, job.rows), narrow)
        parts.append(weigh_part(loss, Call(arrays, job.options), first=first))
    found = combine(parts, "nan")
    if not needs_denominator:
        return replace(job, selected=found.selected)
    divided = next(iter(found.denominators.values()))
    if not averages:
        return replace(job, selected=found.selected, denominator=divided)
    return replace(job, selected=found.selected, options={**job.options, "denominator": divided})


def _layouts(job: Job, sources: Mapping[str, Source], prepared: Prepared) -> dict[str, Layout]:
    """Return what each output holds."""
    bound, found = prepared.template.bound, {}
    for output, path in job.outputs.items():
        _, _, name = output.partition(".")
        if name and (name not in sources or name in job.shared):
            raise invalid(
                f"out {output}", f"one of {', '.join(job.files)}, which has a row of its own for each", name
            )
        shape = sources[name].shape if name else bound.unreduced
        dtype = bound.storage if name in bound.complex else bound.real
        found[output] = Layout(tuple(shape), stored_dtype(path, np.dtype(dtype)))
    return found
