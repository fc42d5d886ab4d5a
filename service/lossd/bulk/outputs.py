"""The files of a job's results: written as ``NAME.TOKEN.part``, renamed when they are whole.

So a file under its own name has all its rows, and a job that fails leaves none. What a journal can go on with stays.
Each run has a token of its own, so that two with one output, or a task of a dead one, never write to the same file.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from lossd.bulk.errors import UnusableFile
from lossd.bulk.job import Job
from lossd.bulk.journal import Journal, OutputRecord
from lossd.bulk.regions import open_npy
from lossd.bulk.sinks import create_sink, unfinished
from lossd.bulk.sources import files_of, parse_name

_REMOVALS = 5  # of a folder that others are still writing to
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
    stores = [
        (Path(path).resolve(), name) for name, text in inputs.items() for path in files_of(parse_name(text))
    ]
    others: dict[str, Path] = {}
    for output, path in outputs.items():
        own = Path(path).resolve()
        names = [name for place, name in given if _is_same(place, path)]
        names += [name for store, name in stores if store.is_dir() and own.is_relative_to(store)]
        if names:
            text = inputs[names[0]]
            raise UnusableFile(path, f"a file for --out {output} that is no input", f"--{names[0]} {text}")
        for other, taken in others.items():
            if own.is_relative_to(taken) or taken.is_relative_to(own):
                raise UnusableFile(path, f"a file for --out {output} alone", f"that of --out {other}")
        others[output] = own


def refuse_journal(journal: str, outputs: Mapping[str, str], inputs: Mapping[str, str]) -> None:
    """Refuse a journal that is an input or an output, or lies in one.

    Raises:
        UnusableFile: The error names both.
    """
    taken = [
        (Path(path).resolve(), f"--{name} {text}")
        for name, text in inputs.items()
        for path in files_of(parse_name(text))
    ]
    taken += [(Path(path).resolve(), f"--out {name}={path}") for name, path in outputs.items()]
    own = Path(journal).resolve()
    for place, name in taken:
        if own.is_relative_to(place) or (own.exists() and _is_same(own, str(place))):
            raise UnusableFile(journal, "a journal that is no input and no output", name)


@contextmanager
def written(job: Job, journal: Journal) -> Iterator[Job]:
    """Make a job's outputs, or find those that its journal goes on with; give them their names at the end.

    Yields the job with the token of this run, by which its parts find the outputs.

    Raises:
        UnusableFile: One is missing or was changed since, or its name is taken.
    """
    job, whole = replace(job, token=journal.token()), len(journal.done()) == job.parts
    made: list[str] = []
    try:
        for output, path in job.outputs.items():
            if output in journal.outputs():
                _check_known(job, output, journal.outputs()[output], whole=whole)
                continue
            _check_name(job, output)
            made.append(unfinished(path, job.token))
            _make(job, output)
            journal.remember(output, OutputRecord(os.stat(made[-1]).st_ino))
        yield job
        for output, path in job.outputs.items():
            _finish(job, output, journal.outputs()[output])
            journal.remember(output, OutputRecord(os.stat(path).st_ino, _state(path)))
    except BaseException:
        if not journal.path:
            for place in made:
                _remove(place)
        raise


def _check_known(job: Job, output: str, record: OutputRecord, *, whole: bool) -> None:
    """Check that what a journal remembers is there: unfinished, or under its own name if all parts are done."""
    path = job.outputs[output]
    if _is_file(unfinished(path, job.token), record.inode):
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
    layout = job.layouts[output]
    create_sink(
        job.outputs[output], job.token, shape=layout.shape, dtype=layout.dtype, part_rows=job.part_rows
    )


def _finish(job: Job, output: str, record: OutputRecord) -> None:
    """Give an output its name; it has it where an earlier run was stopped after this.

    Raises:
        UnusableFile: It is not there any more, or the name was taken meanwhile.
    """
    path = job.outputs[output]
    part = unfinished(path, job.token)
    if _is_file(part, record.inode):
        _check_name(job, output)
        os.replace(part, os.path.realpath(path))
    elif not _is_file(path, record.inode):
        raise UnusableFile(path, f"the unfinished output {Path(part).name}", "none: it was removed meanwhile")


def _remove(path: str) -> None:
    """Remove an output; workers may still be writing to it, who find none under its name then."""
    if not os.path.lexists(path):
        return
    dead = f"{path}.removed"
    os.rename(path, dead)
    if not os.path.isdir(dead):
        os.unlink(dead)
    for _ in range(_REMOVALS):
        shutil.rmtree(
            dead, ignore_errors=True
        )  # a file that appears in the folder meanwhile is for the next time
        if not os.path.lexists(dead):
            return


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
