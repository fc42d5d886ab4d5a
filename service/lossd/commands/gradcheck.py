"""Checks the gradient of one call without a server: ``lossd gradcheck``."""

from __future__ import annotations

import argparse

from lossd.commands import eval as eval_command
from lossd.commands.written_call import read_call

HELP = "check a gradient against differences of the loss"
DESCRIPTION = """\
Compare the gradient of one call with extrapolated differences of its loss, in float64, and print the largest deviation
and where it is. The call is written as for 'lossd eval'; its gradient is what is checked: all that the loss's
source differentiates, or what --gradient names.

The exit code is 1 if the call is invalid, the largest deviation is above --tolerance or no number could be compared.
"""
EXAMPLES = """\
examples:
  echo '{"loss": "huber", "input": [1, 2, 3], "target": [1, 2, 5]}' | lossd gradcheck
  lossd gradcheck --loss huber --input a.npy --target b.npy --gradient input,delta
  lossd gradcheck --loss ctc --logits logits.npy --targets '[[1, 2]]' --input_lengths 5 --target_lengths 2 --json
"""
USAGE_LINE = """\
lossd gradcheck [--loss NAME] [--tolerance X] [--json] [FILE]
       lossd gradcheck --loss NAME [--tolerance X] [--json] --ARGUMENT VALUE ... [--SETTING VALUE ...]"""
TAKES_MORE = True  # options beyond those declared are part of the call


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options that are not part of the call."""
    parser.add_argument("--loss", metavar="NAME", help='the loss, unless the request has a "loss" of its own')
    parser.add_argument(
        "--tolerance",
        type=float,
        default=1e-6,
        metavar="X",
        help="deviation that is too large, relative to the gradient's largest number (default: 1e-6)",
    )
    parser.add_argument(
        "--json", action="store_true", help="print JSON, as POST /v1/losses/NAME/gradcheck has it"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the check."""
    return eval_command.reporting(arguments, _check)


def _check(arguments: argparse.Namespace) -> int:
    from lossd.api.gradcheck import entry
    from lossd.engine import check_gradient

    check = check_gradient(*read_call(arguments))
    largest = check.largest
    passed = largest is not None and largest.deviation <= arguments.tolerance
    if arguments.json:
        print(entry(check).model_dump_json(indent=2))
        return int(not passed)
    evaluated = "unreduced loss" if check.reduction == "none" else check.reduction
    print(
        f"{_count(check.elements, 'number')} moved, {_count(check.evaluations, 'evaluation')} of the {evaluated}"
    )
    for name, each in check.by_argument.items():
        print(
            f"{name}: largest deviation {each.deviation:.2g} at {each.at}, "
            f"{each.analytic:.9g} against {each.numerical:.9g} by differences"
        )
    if check.kink_count:
        print(f"not compared at {_count(check.kink_count, 'kink')}: {', '.join(check.kinks)}")
    if check.unmoved:
        print(f"not compared at {_count(check.unmoved, 'number')} that cannot be moved to both sides")
    if check.undecided:
        print(
            f"not decided at {_count(check.undecided, 'number')}, too near a kink or a border for exact differences"
        )
    failure = (
        f"failed: above {arguments.tolerance:g}"
        if largest
        else "nothing compared: move the numbers off the kinks"
    )
    print("passed" if passed else failure)
    return int(not passed)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
