"""Evaluates one call without a server, from a JSON request or from files: ``lossd eval``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lossd.commands.written_call import (
    Misuse,
    is_written_out,
    read_call,
    read_loss,
    read_option,
    words_by_option,
)

if TYPE_CHECKING:
    from lossd.declaration.loss import Loss

HELP = "evaluate a loss without a server"
DESCRIPTION = """\
Evaluate one call and print the answer as JSON. The call is either a JSON request, as POST /v1/losses/NAME
takes it, from FILE or standard input; or it is written out with one option per argument, setting and general
option. A value is a file, JSON, or else text; several values, or one with commas in it, make a list; no value
means true.

Files of arrays: .npy, .npz, .csv, .json, and .parquet if pyarrow is installed. FILE:NAME chooses an array of an
.npz, a member of a .json or a column of a table; without :NAME it is the one named as the option, else the
only array or the whole table. A first line of a .csv that is not all numbers is its header.

Files larger than memory are evaluated in parts, with the bits of one call: on request (--in-parts), or where they
have more than 256 MiB together. Then a name may be a pattern of shards, as in 'part-*.npy', formats are also
.safetensors, .h5, .zarr, .arrow and .feather, and what belongs to each row goes to files (--out): .npy, .zarr or
.parquet. Progress is on standard error: a bar on a terminal with tqdm, else a line after the first part of
each half minute.

The exit code is 1 if the call is invalid and 2 if a file cannot be read or the command line makes no sense.
"""
EXAMPLES = """\
examples:
  echo '{"loss": "huber", "input": [1, 2, 3], "target": [1, 2, 5]}' | lossd eval
  lossd eval request.json --loss huber
  lossd eval --loss huber --input a.npy --target b.npy --delta 2 --reduction mean none --gradient
  lossd eval --loss huber --input arrays.npz:prediction --target table.csv:price --gradient input,target
  lossd eval --loss mse --input 1,2 --target 0,0
  lossd eval --loss mse --input '[[1, 2], [3, 4]]' --target '[[0, 0], [0, 0]]'
"""
USAGE_LINE = """\
lossd eval [--loss NAME] [--threads N] [FILE]
       lossd eval --loss NAME [--threads N] --ARGUMENT VALUE ... [--SETTING VALUE ...]
       lossd eval --loss NAME [--in-parts] [--out WHAT=FILE] [--journal FILE] [--scheduler ADDRESS]
                  --ARGUMENT FILE ..."""
TAKES_MORE = True  # options beyond those declared are part of the call
USAGE = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options that are not part of the call."""
    parser.add_argument("--loss", metavar="NAME", help='the loss, unless the request has a "loss" of its own')
    parser.add_argument(
        "--threads", type=_count, default=1, metavar="N", help="threads to compute with (default: 1)"
    )
    parts = parser.add_argument_group("files larger than memory")
    parts.add_argument("--in-parts", action="store_true", help="read and evaluate the files in parts")
    parts.add_argument(
        "--out",
        action="append",
        default=[],
        metavar="WHAT=FILE",
        help="write a value for each row (WHAT is loss), or the rows' gradients (gradient.NAME)",
    )
    parts.add_argument("--journal", metavar="FILE", help="remember what is done, and go on from there")
    parts.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="compute on a Dask cluster, tcp://HOST:PORT, or local:N processes",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the answer."""
    return reporting(arguments, _evaluate)


def reporting(arguments: argparse.Namespace, work: Callable[[argparse.Namespace], int]) -> int:
    """Do what a command does with its call; where the command line makes no sense, say why."""
    from lossd.bulk.errors import NoScheduler, UnusableFile, one_line

    try:
        return work(arguments)
    except BrokenPipeError:
        raise  # what a reader does who has seen enough is no misuse
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}" if error.filename else one_line(error)
    except (Misuse, UnusableFile, NoScheduler) as error:
        reason = str(error)
    print(f"lossd {arguments.command}: {reason}", file=sys.stderr)
    return USAGE


def _evaluate(arguments: argparse.Namespace) -> int:
    from lossd.commands import in_parts
    from lossd.engine import evaluate
    from lossd.wire import CODECS

    if is_written_out(arguments) and (parts := _in_parts(arguments)):
        loss, files, options = parts
        sys.stdout.buffer.writelines([in_parts.evaluate_files(arguments, loss, files, options), b"\n"])
        sys.stdout.buffer.flush()
        return 0
    loss, call = read_call(arguments)
    answer = evaluate(loss, call, threads=arguments.threads)
    sys.stdout.buffer.writelines([*CODECS["application/json"].encode_answer(answer, call), b"\n"])
    sys.stdout.buffer.flush()  # while a closed pipe is still this command's
    return 0


def _count(text: str) -> int:
    """Read a number of threads."""
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"expected a whole number > 0, got {text!r}")
    return int(text)


def _in_parts(arguments: argparse.Namespace) -> tuple[Loss, dict[str, str], dict[str, Any]] | None:
    """Return loss, files and options of a call that is to be evaluated in parts; None where it is not."""
    from lossd.commands import in_parts

    loss = read_loss(arguments)
    words = words_by_option(arguments.more)
    files = {name: values[0] for name, values in words.items() if name in loss.array_names and values}
    if not in_parts.is_asked_for(arguments) and not in_parts.are_large(files):
        return None
    return (
        loss,
        files,
        {name: read_option(name, values) for name, values in words.items() if name not in files},
    )
