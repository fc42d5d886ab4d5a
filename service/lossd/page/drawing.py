"""Curves as SVG: the small one of a card, and the panels that stand until the page's script draws them again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

from markupsafe import Markup

from lossd.declaration.loss import Loss
from lossd.page.samples import Samples, held_arrays, sampled, spaced

_CARD = (96.0, 44.0)
_CARD_SAMPLES = {"curve": 121}  # many at once in one call; other kinds take a call for each
_FEW_SAMPLES = 41
OVERLAY = (720.0, 372.0)
PANELS = (("value", 220), ("gradient", 110), ("curvature", 80))


class Range(NamedTuple):
    """An interval of an axis."""

    low: float
    high: float


def path(xs: Sequence[float], ys: Sequence[float], x: Range, y: Range, width: float, height: float) -> str:
    """Return an SVG path; a sample that is not finite lifts the pen, one far out of range is cut off."""
    parts, drawing = [], False
    reach = 2 * (y.high - y.low)
    for at, value in zip(xs, ys, strict=True):
        if not math.isfinite(value):
            drawing = False
            continue
        held = min(max(value, y.low - reach), y.high + reach)
        across, down = (at - x.low) / (x.high - x.low), (held - y.low) / (y.high - y.low)
        parts.append(f"{'L' if drawing else 'M'}{across * width:.1f} {height - down * height:.1f}")
        drawing = True
    return "".join(parts)


def limits(ys: Sequence[float]) -> Range:
    """Return the range to show: all of it, unless the ends run away."""
    finite = sorted(y for y in ys if math.isfinite(y))
    if not finite:
        return Range(-1, 1)
    cut = len(finite) // 14
    inner_low, inner_high = finite[cut], finite[-1 - cut]
    span = max(inner_high - inner_low, 1e-9)
    low = finite[0] if inner_low - finite[0] < span else inner_low
    high = finite[-1] if finite[-1] - inner_high < span else inner_high
    return Range(low, high) if high > low else Range(low - 1, high + 1)


@cache  # one for each loss: pages of what does not exist are rendered anew, and show cards
def card(loss: Loss) -> Markup:
    """Draw the small curve of a loss; where labels say which of two branches holds, both."""
    picture = loss.picture
    xs = spaced(picture.low, picture.high, _CARD_SAMPLES.get(picture.kind, _FEW_SAMPLES))
    drawn = [sampled(loss, xs, chosen).value for chosen in _card_settings(loss)]
    width, height = _CARD
    top = _card_top(loss, drawn)
    bottom = min(0.0, *(y for ys in drawn for y in ys if math.isfinite(y)))
    y = Range(bottom - 0.04 * (top - bottom), top)
    lines = "".join(
        f'<path class="value{" second" if i else ""}" '
        f'd="{path(xs, ys, Range(xs[0], xs[-1]), y, width, height)}"/>'
        for i, ys in enumerate(drawn)
    )
    zero = height - (0 - y.low) / (y.high - y.low) * height
    middle = f"M{width * -picture.low / (picture.high - picture.low):.1f} 0V{height:g}"
    axis = f"M0 {zero:.1f}H{width:g}{middle if picture.low < 0 < picture.high else ''}"
    return Markup(
        f'<svg class="spark" viewBox="0 0 {width:g} {height:g}" aria-hidden="true">'
        f'<path class="axis" d="{axis}"/>{lines}</svg>'
    )


def _card_settings(loss: Loss) -> list[dict[str, float]]:
    """Return what the curves of a card hold: both labels, three quantiles, or what is usual."""
    if loss.picture.kind != "curve":
        return [{}]
    for name, held in held_arrays(loss).items():
        if held.slider is None:
            continue
        if (held.slider.low, held.slider.high) in ((0, 1), (-1, 1)):
            return [{name: held.slider.high}, {name: held.slider.low}]
        if held.shared:
            return [{name: 0.1}, {name: 0.5}, {name: 0.9}]
    return [{}]


def _card_top(loss: Loss, drawn: Sequence[Sequence[float]]) -> float:
    """Return the height of a card: one for all losses of the residual, so that they compare."""
    if loss.of_residual:
        return 8.0
    highest = max(limits(ys).high for ys in drawn)
    return highest if highest > 0 else 1.0


def still(samples: Samples) -> Markup:
    """Draw value, gradient and curvature under each other, as they stand without a script."""
    x = Range(samples.xs[0], samples.xs[-1])
    panels = []
    for key, height in PANELS:
        ys = getattr(samples, key)
        d = path(samples.xs, ys, x, limits(ys), 720, height - 16)
        name = "loss" if key == "value" else key
        panels.append(
            f'<p class="panel-name {key}">{name}</p><svg class="panel" viewBox="0 -8 720 {height}" '
            f'preserveAspectRatio="none" role="img" aria-label="{name}">'
            f'<path class="line {key}" vector-effect="non-scaling-stroke" d="{d}"/></svg>'
        )
    return Markup("".join(panels))


def overlay(lines: Mapping[str, Samples], y: Range) -> Markup:
    """Draw losses over each other, each under its class, as they stand until the page's script draws them again."""
    width, height = OVERLAY
    paths = []
    for name, samples in lines.items():
        d = path(samples.xs, samples.value, Range(samples.xs[0], samples.xs[-1]), y, width, height)
        paths.append(f'<path class="line s-{name}" vector-effect="non-scaling-stroke" d="{d}"/>')
    return Markup(
        f'<svg class="overlay" viewBox="0 0 {width:g} {height:g}" preserveAspectRatio="none" role="img" '
        f'aria-label="Losses against the residual">{"".join(paths)}</svg>'
    )
