"""One job: which rows of which files, what to compute of them, and where the results go."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from lossd.bulk.journal import Identity
from lossd.bulk.kept import memory, source_of, whole
from lossd.bulk.origins import Origins
from lossd.bulk.sinks import write_rows
from lossd.bulk.sources import Fingerprint, parse_name, place_of
from lossd.engine.combine import combine
from lossd.engine.parts import evaluate_part
from lossd.errors import ErrorDetail, InvalidCall
from lossd.losses import find
from lossd.message import Array, Call, Part


class Layout(NamedTuple):
    """What an output holds."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True, slots=True)
class Job:
    """A loss over files.

    Attributes:
        loss: Its name, or the alias that it is asked by.
        files: Argument to the name of its rows' source.
        shared: Argument to the source of an array that all rows share, which is read whole.
        options: Settings and options, with the ``denominator`` that the derivatives need.
        outputs: ``loss`` or ``gradient.NAME`` to where each row's goes.
        rows: How many rows there are.
        part_rows: How many make a part: whole blocks of the engine.
        selected: Whether some values take no part.
        denominator: What a mean would divide by, which the answer reports where nothing is averaged.
        layouts: The names of the outputs to what is written there.
        fingerprints: The names of the sources to paths, sizes and times of their files, taken before these are opened:
            a journal must not keep parts of a file as if they were of one that replaces it meanwhile.
        states: The names of the sources to digests of these, which are all that a worker needs.
        token: What the unfinished outputs of this run have in their names, and those of no other.
    """

    loss: str
    files: Mapping[str, str]
    shared: Mapping[str, str]
    options: Mapping[str, Any]
    outputs: Mapping[str, str] = field(default_factory=dict)
    rows: int = 0
    part_rows: int = 0
    selected: bool = False
    denominator: float = 1.0
    layouts: Mapping[str, Layout] = field(default_factory=dict)
    fingerprints: Mapping[str, Fingerprint] = field(default_factory=dict)
    states: Mapping[str, str] = field(default_factory=dict)
    token: str = ""

    @property
    def parts(self) -> int:
        """The number of parts; no rows are one."""
        return max(-(-self.rows // self.part_rows), 1)

    def bounds(self, number: int) -> tuple[int, int]:
        """Return the first row of a part, and the one behind its last."""
        return number * self.part_rows, min(self.rows, (number + 1) * self.part_rows)

    def rows_in(self, parts: Iterable[int]) -> int:
        """Return how many rows some parts have together: the last one may be shorter."""
        return sum(stop - first for first, stop in map(self.bounds, parts))

    def identity(self) -> Identity:
        """Return what a journal must agree with."""
        origins = {
            name: Origins(source_of(text, self.states[text]), self.fingerprints[text])
            for name, text in self.files.items()
        }

        def inputs(number: int) -> dict[str, Any]:
            return {name: each.between(*self.bounds(number)) for name, each in origins.items()}

        about = {
            "loss": self.loss,
            "files": {name: each.files for name, each in origins.items()},
            "shared": {name: self.fingerprints[text] for name, text in self.shared.items()},
            "members": {
                name: parse_name(text).member for name, text in {**self.files, **self.shared}.items()
            },
            "options": dict(self.options),
            "selected": self.selected,
            "part_rows": self.part_rows,
            "outputs": {
                name: [path, self.layouts[name].shape, str(self.layouts[name].dtype)]
                for name, path in self.outputs.items()
            },
        }
        return Identity(about, inputs)


def run_part(job: Job, number: int, threads: int = 1) -> Part:
    """Compute one part, write its rows, and return what it adds to the answer.

    Raises:
        InvalidCall: The errors name files and rows.
    """
    first, stop = job.bounds(number)
    call = Call(read_rows(job, first, stop), job.options, owned=True)
    try:
        found = evaluate_part(find(job.loss), call, first=first, selected=job.selected, threads=threads)
    except InvalidCall as error:
        raise InvalidCall(errors=[_of_file(job, first, detail) for detail in error.errors]) from None
    by_name = {
        name: array  # the convention gbm adds a Hessian
        for (kind, reduction, name), array in found.derivatives.items()
        if kind == "gradient" and reduction != "none"
    }
    for output, path in job.outputs.items():
        values = found.values if output == "loss" else by_name[output.partition(".")[2]]
        assert values is not None
        write_rows(path, job.token, first, values.astype(job.layouts[output].dtype, copy=False))
    return replace(found, values=None, derivatives={})


def answer(job: Job, parts: Mapping[int, Part]) -> dict[str, Any]:
    """Put the parts of a job together: the answer as one call has it, without what belongs to each row."""
    found = combine([*parts.values()], job.options.get("empty", "error"))
    gradient: dict[str, dict[str, Array]] = {}
    for (kind, reduction, name), array in found.shared.items():
        if kind == "gradient":
            gradient.setdefault(reduction, {})[name] = array
    divided = next(iter(found.denominators.values()), job.options.get("denominator", job.denominator))
    answer = {"loss": dict(found.loss), "gradient": gradient, "count": found.count, "denominator": divided}
    return {name: value for name, value in answer.items() if value != {}}


def read_rows(job: Job, first: int, stop: int, names: frozenset[str] | None = None) -> dict[str, Array]:
    """Read the rows of a part, and what all rows share; of arrays that are not among ``names`` only their shape."""
    arrays: dict[str, Array] = {}
    for name, text in job.files.items():
        source = source_of(text, job.states[text])
        shape = (stop - first, *source.shape[1:])
        if names is not None and name not in names:
            arrays[name] = np.broadcast_to(np.zeros((), source.dtype), shape)
            continue
        rows = max(job.part_rows, stop - first)
        room = memory(name, (rows, *source.shape[1:]), source.dtype)
        arrays[name] = room[: stop - first]
        source.read(first, arrays[name])
    return arrays | {name: whole(text, job.states[text]) for name, text in job.shared.items()}


def _of_file(job: Job, first: int, detail: ErrorDetail) -> ErrorDetail:
    """Name the file and the row of what is wrong, where it is in one: ``target[3]`` of a part is in a row of it."""
    found = re.match(r"(?P<name>[A-Za-z_0-9]+)\[(?P<row>\d+)(?P<rest>.*)", detail.at)
    if found is None or found["name"] not in job.files:
        return detail
    text = job.files[found["name"]]
    path, row = place_of(parse_name(text), first + int(found["row"]))
    return detail._replace(at=f"{found['name']}[{row}{found['rest']} of {path}")
