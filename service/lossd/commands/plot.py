"""Draws curves of losses to a file: ``lossd plot``."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lossd.declaration.loss import Loss
    from lossd.page.samples import Samples

HELP = "draw losses, their gradients and curvatures to a file"
DESCRIPTION = """\
Draw one or several losses over each other: value, gradient and curvature under each other, as on their pages. A loss
of one number per row is drawn along that number; any other along one number of its worked example. Settings follow
the name behind a colon, as NAME:SETTING=VALUE,SETTING=VALUE; so do arrays that hold one number, as bce:target=0.

It needs matplotlib: pip install '.[plot]' in a clone of lossd. The ending of FILE says its format: .png, .svg, .pdf.
"""
EXAMPLES = """\
examples:
  lossd plot mse l1 huber:delta=0.1 huber:delta=1 huber:delta=10 -o outliers.png
  lossd plot bce_with_logits:target=1 bce_with_logits:target=0 -o bce.svg
  lossd plot cauchy:scale=2 --low -10 --high 10 -o cauchy.pdf
"""
USAGE = 2
SAMPLES = 401
_FEW_SAMPLES = 161  # where each takes a call
_WIDTH, _HEIGHTS = 7.2, {"value": 3.0, "gradient": 2.0, "curvature": 1.6}


@dataclass(frozen=True)
class _Curve:
    label: str
    loss: Loss
    settings: Mapping[str, Any]


class _OutOfRange(Exception):
    """A loss does not take some number of the axis that all curves share."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "losses", nargs="+", metavar="NAME[:SETTING=VALUE,...]", help="a loss, by name or alias"
    )
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="where to draw to")
    parser.add_argument(
        "--low", type=float, metavar="X", help="left end of the axis (default: as on the page)"
    )
    parser.add_argument("--high", type=float, metavar="X", help="right end of the axis")


def run(arguments: argparse.Namespace) -> int:
    """Draw the curves."""
    if find_spec("matplotlib") is None:
        print("lossd plot: needs matplotlib: pip install '.[plot]' in a clone of lossd", file=sys.stderr)
        return USAGE
    try:
        curves = [_read(text) for text in arguments.losses]
    except ValueError as error:
        print(f"lossd plot: {error}", file=sys.stderr)
        return USAGE
    pictures = [curve.loss.picture for curve in curves]
    low = arguments.low if arguments.low is not None else min(picture.low for picture in pictures)
    high = arguments.high if arguments.high is not None else max(picture.high for picture in pictures)
    if not low < high:
        print(f"lossd plot: expected --low below --high, got {low:g} and {high:g}", file=sys.stderr)
        return USAGE
    try:
        _draw(curves, low, high, Path(arguments.output))
    except _OutOfRange as error:
        print(f"lossd plot: {error}\n{_together(curves)}", file=sys.stderr)
        print("Or give --low and --high within what every loss takes.", file=sys.stderr)
        return USAGE
    except (OSError, ValueError) as error:  # the latter of a format that matplotlib does not write
        print(f"lossd plot: {arguments.output}: {error}", file=sys.stderr)
        return USAGE
    print(arguments.output)
    return 0


def _read(text: str) -> _Curve:
    """Read a loss with its settings.

    Raises:
        ValueError: A setting has no value, or is none of the loss.
    """
    from lossd.losses import find
    from lossd.page.samples import held_arrays

    name, _, given = text.partition(":")
    loss = find(name)
    settings: dict[str, Any] = {}
    known = {*loss.settings, *(held_arrays(loss) if loss.picture.kind == "curve" else ())}
    for part in filter(None, given.split(",")):
        setting, _, value = part.partition("=")
        if setting not in known or not value:
            raise ValueError(
                f"expected SETTING=VALUE of {', '.join(sorted(known)) or 'nothing'}, got {part!r}"
            )
        try:
            settings[setting] = json.loads(value)
        except json.JSONDecodeError:
            settings[setting] = value
    return _Curve(" ".join([loss.name, *filter(None, given.split(","))]), loss, settings)


def _samples(curve: _Curve, low: float, high: float) -> Samples:
    """Sample a curve.

    Raises:
        _OutOfRange: The loss does not take some number of the axis.
        InvalidCall: The loss does not take a setting.
    """
    from lossd.errors import InvalidCall
    from lossd.page.samples import sampled, spaced

    picture = curve.loss.picture
    count = SAMPLES if picture.kind == "curve" else _FEW_SAMPLES
    try:
        return sampled(curve.loss, spaced(low, high, count), curve.settings)
    except InvalidCall as error:
        if any(detail.at.partition("[")[0] == picture.argument for detail in error.errors):
            text = f"{curve.label} cannot be drawn from {low:g} to {high:g}: {error}"
            raise _OutOfRange(text) from None
        raise


def _together(curves: list[_Curve]) -> str:
    """Say of each of these curves which losses are drawn over the same axis."""
    from lossd.losses import LOSSES

    axes = {_axis_of(curve.loss): curve.loss.picture for curve in curves}
    parts = []
    for axis, picture in axes.items():
        names = [loss.name for loss in LOSSES.values() if _axis_of(loss) == axis]
        verb = "goes with no other" if len(names) == 1 else "go together"
        parts.append(f"{', '.join(names)} {verb} ({axis[1]}, from {picture.low:g} to {picture.high:g})")
    return "\n".join(parts)


def _axis_of(loss: Loss) -> tuple[str, str, float, float]:
    picture = loss.picture
    return picture.kind, picture.label or picture.argument, picture.low, picture.high


def _draw(curves: list[_Curve], low: float, high: float, file: Path) -> None:
    from matplotlib.figure import Figure

    drawn = [(curve.label, _samples(curve, low, high)) for curve in curves]
    panels = [key for key in _HEIGHTS if any(getattr(samples, key) for _, samples in drawn)]
    figure = Figure(figsize=(_WIDTH, sum(_HEIGHTS[key] for key in panels)), layout="constrained")
    axes = figure.subplots(
        len(panels), sharex=True, squeeze=False, height_ratios=[_HEIGHTS[key] for key in panels]
    )[:, 0]
    for panel, key in zip(axes, panels, strict=True):
        for label, samples in drawn:
            values = getattr(samples, key)
            if values:
                panel.plot(
                    samples.xs, [y if math.isfinite(y) else math.nan for y in values], label=label, lw=1.8
                )
        panel.set_ylabel("loss" if key == "value" else key)
        panel.grid(color="#e3e6eb", lw=0.8)
        panel.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False)
    axes[-1].set_xlabel(_axis(curves))
    axes[-1].set_xlim(low, high)
    figure.savefig(file, dpi=160)


def _axis(curves: list[_Curve]) -> str:
    """Return what the axis of all curves is, where they agree."""
    labels = {_axis_of(curve.loss)[1] for curve in curves}
    return labels.pop() if len(labels) == 1 else ""
