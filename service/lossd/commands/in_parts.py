"""``lossd eval`` over files that are larger than memory: by parts, here or on a cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lossd.commands.written_call import Misuse

if TYPE_CHECKING:
    import argparse

    from lossd.declaration.loss import Loss

LARGE = 256 << 20
"""Bytes of files from which on they are evaluated in parts without being asked to."""


def is_asked_for(arguments: argparse.Namespace) -> bool:
    """Return whether an option is given that only goes with parts."""
    return bool(arguments.in_parts or arguments.out or arguments.journal or arguments.scheduler)


def are_large(files: Mapping[str, str]) -> bool:
    """Return whether files, all of a format that is read in parts, are too large to be read whole."""
    from pathlib import Path

    from lossd.bulk.sources import FORMATS, parse_name

    paths = [Path(parse_name(text).path) for text in files.values()]
    if not all(path.suffix.lower() in FORMATS for path in paths):
        return False
    return sum(path.stat().st_size for path in paths if path.is_file()) > LARGE


def evaluate_files(
    arguments: argparse.Namespace, loss: Loss, files: Mapping[str, str], options: Mapping[str, Any]
) -> bytes:
    """Evaluate a loss over files and return the answer as JSON.

    Raises:
        Misuse: An output is given twice.
        UnusableFile: A file cannot be read or written in parts.
        NoScheduler: There is no cluster at the address.
        InvalidCall: The call is wrong, or has no parts.
    """
    from lossd.bulk import cluster, local, progress
    from lossd.bulk.journal import Journal
    from lossd.bulk.outputs import refuse_journal
    from lossd.bulk.plan import plan
    from lossd.bulk.sources import with_member
    from lossd.wire.json.text import dumps

    if arguments.scheduler:
        cluster.check_address(arguments.scheduler)
    outputs = _outputs(arguments.out)
    if arguments.journal:
        refuse_journal(arguments.journal, outputs, files)
    files = {name: with_member(text, name) for name, text in files.items()}
    job = plan(loss.known_name, files, options, outputs)
    show = progress.to_standard_error()
    with Journal(arguments.journal or "", job.identity()) as journal:
        if arguments.scheduler:
            found = cluster.run(job, journal, arguments.scheduler, show=show)
        else:
            found = local.run(job, journal, threads=arguments.threads, show=show)
    return b"".join(dumps(found))


def _outputs(words: Sequence[str]) -> dict[str, str]:
    """Return the files of the outputs, which the words ``WHAT=FILE`` name."""
    outputs: dict[str, str] = {}
    for word in words:
        output, _, path = word.partition("=")
        if output in outputs:
            raise Misuse(f"expected each output once, got --out {output} twice")
        outputs[output] = path
    return outputs
