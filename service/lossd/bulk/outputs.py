"""The files of a job's results: written as ``NAME.part``, renamed when they are whole.

So a file under its own name has all its rows, and a job that fails leaves none. What a journal can go on with stays.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lossd.bulk.errors import UnusableFile
from lossd.bulk.job import Job
from lossd.bulk.journal import Journal, OutputRecord
from lossd.bulk.regions import open_npy
from lossd.bulk.sinks import create_sink, unfinished
from lossd.bulk.sources import files_of, parse_name

_WHAT_CAN_GO_ON = "the output that the journal remembers; remove the journal to begin anew"


def refuse_overlaps(outputs: Mapping[str, str], inputs: Mapping[str, str]) -> None:
    """Refuse an output that is an input, by whatever path or link, or that is another output or lies in it.

    Raises:
        UnusableFile: The error names both.
    """
    given = [
        (place, name)
        for name, text in inputs.items()
        for path in files_of(parse_name(text))
        for place in (Path(path), *Path(path).absolute().parents)
    ]
    others: dict[str, list[Path]] = {}
    for output, path in outputs.items():
        names = [name for place, name in given if _is_same(place, path) or _is_same(place, unfinished(path))]
        if names:
            text = inputs[names[0]]
            raise UnusableFile(path, f"a file for --out {output} that is no input", f"--{names[0]} {text}")
        for other, places in others.items():
            if any(_overlap(place, taken) for place in _places(path) for taken in places):
                raise UnusableFile(path, f"a file for --out {output} alone", f"that of --out {other}")
        others[output] = _places(path)


def refuse_journal(journal: str, outputs: Mapping[str, str], inputs: Mapping[str, str]) -> None:
    """Refuse a journal that is an input or an output, finished or not, or lies in one.

    Raises:
        UnusableFile: The error names both.
    """
    taken = [
        (Path(path).resolve(), f"--{name} {text}")
        for name, text in inputs.items()
        for path in files_of(parse_name(text))
    ]
    taken += [(place, f"--out {name}={path}") for name, path in outputs.items() for place in _places(path)]
    own = Path(journal).resolve()
    for place, name in taken:
        if own.is_relative_to(place) or (own.exists() and _is_same(own, str(place))):
            raise UnusableFile(journal, "a journal that is no input and no output", name)


@contextmanager
def written(job: Job, journal: Journal) -> Iterator[None]:
    """Make a job's outputs, or find those that its journal goes on with; give them their names at the end.

    Raises:
        UnusableFile: One is missing or was changed since, or its name is taken.
    """
    known, whole = journal.outputs(), len(journal.done()) == job.parts
    made: list[str] = []
    try:
        for output, path in job.outputs.items():
            if output in known:
                _check_known(path, known[output], whole=whole)
                continue
            _check_name(job, output)
            _make(job, output)
            made.append(unfinished(path))
            journal.remember(output, OutputRecord(os.stat(unfinished(path)).st_ino))
        yield
    except BaseException:
        if not journal.path:
            for place in made:
                _remove(place)
        raise
    for output, path in job.outputs.items():
        _finish(path)
        journal.remember(output, OutputRecord(os.stat(path).st_ino, _state(path)))


def _check_known(path: str, record: OutputRecord, *, whole: bool) -> None:
    """Check that what a journal remembers is there: unfinished, or under its own name if all parts are done."""
    if _is_file(unfinished(path), record.inode):
        return
    if not os.path.exists(path):
        raise UnusableFile(path, _WHAT_CAN_GO_ON, "no file")
    if not _is_file(path, record.inode) or record.state not in ("", _state(path)):
        raise UnusableFile(path, _WHAT_CAN_GO_ON, "a file that has changed since")
    if not whole:
        raise UnusableFile(path, _WHAT_CAN_GO_ON, "one that is finished, from files that have changed since")


def _check_name(job: Job, output: str) -> None:
    """Check that what is under an output's name may be replaced: a .npy file of the same shape and type."""
    path, layout = job.outputs[output], job.layouts[output]
    if not os.path.lexists(path):
        return
    if Path(path).suffix != ".npy" or Path(path).is_dir():
        raise UnusableFile(path, f"no {Path(path).suffix} of that name; remove it or name another", "one")
    try:
        found = open_npy(path)
    except UnusableFile:
        raise UnusableFile(path, "an array to write over, or no file", "a file of another kind") from None
    if (found.shape, found.dtype) != (layout.shape, layout.dtype):
        expected = f"{layout.dtype} of shape {layout.shape}, or no file"
        raise UnusableFile(path, expected, f"{found.dtype} of shape {found.shape}")


def _make(job: Job, output: str) -> None:
    """Make an unfinished output beside one that another job left, which has another inode then."""
    path, layout = unfinished(job.outputs[output]), job.layouts[output]
    left = _left(path)
    if os.path.lexists(path):
        os.rename(path, left)
    try:
        create_sink(job.outputs[output], layout.shape, layout.dtype, job.part_rows)
    except BaseException:
        _remove(path)
        if os.path.lexists(left):
            os.rename(left, path)
        raise
    _remove(left)


def _finish(path: str) -> None:
    """Give an output its name; it has it where an earlier run was stopped after this."""
    if os.path.lexists(unfinished(path)):
        os.replace(unfinished(path), os.path.realpath(path))


def _remove(path: str) -> None:
    if os.path.isdir(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def _left(path: str) -> str:
    """Return where an unfinished output of another job is, while one is made in its place."""
    return f"{path}.left"


def _places(path: str) -> list[Path]:
    """Return where an output is at any time."""
    part = unfinished(path)
    return [Path(path).resolve(), Path(part), Path(_left(part))]


def _overlap(one: Path, other: Path) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)


def _is_same(place: Path, path: str) -> bool:
    return os.path.exists(path) and os.path.samefile(place, path)


def _is_file(path: str, inode: int) -> bool:
    return os.path.exists(path) and os.stat(path).st_ino == inode


def _state(path: str) -> str:
    """Return what tells one state of an output from another: sizes and times of the last change of its files."""
    files = sorted(place for place in Path(path).rglob("*") if place.is_file()) or [Path(path)]
    found = [place.stat() for place in files]
    size, newest = sum(each.st_size for each in found), max(each.st_mtime_ns for each in found)
    return f"{len(files)} {size} {newest}"
