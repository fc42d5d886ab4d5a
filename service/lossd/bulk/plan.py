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
    wanted = _options(options, outputs)
    fingerprints = {text: fingerprint(parse_name(text)) for text in files.values()}
    states = {text: state_of(found) for text, found in fingerprints.items()}
    sources = {name: source_of(text, states[text]) for name, text in files.items()}
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
        declared.name,
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


def _options(options: Mapping[str, Any], outputs: Mapping[str, str]) -> dict[str, Any]:
    """Return the options of the parts: with what the outputs ask for.

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
    names += [asked] if isinstance(asked, str) else list(asked or [])
    reductions = options.get("reduction", "mean")
    reductions = [reductions] if isinstance(reductions, str) else list(reductions)
    if "none" in reductions:
        raise invalid("reduction", "reductions to a number; rows have theirs by --out loss=FILE", "none")
    if len(reductions) > 1 and names:
        raise invalid("reduction", "one reduction, where gradients are asked for", str(reductions))
    if "loss" in outputs:
        reductions.append("none")
    return {**options, "reduction": reductions, "gradient": list(dict.fromkeys(names)) or False}


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
    weighed = job.options if averages else {**job.options, "reduction": ["mean"]}
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
        parts.append(weigh_part(loss, Call(arrays, weighed), first=first))
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
