"""Numbers and arrays as people read them; ``static/js/api.js`` writes them alike."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from markupsafe import Markup, escape

_DIGITS, _MORE_DIGITS = 4, 7
_FEW_DIGITS = 2  # so few are left of four by chance once in a hundred numbers
_STEPS = 9  # in which a cell's shade follows its size


def shown(value: Any) -> str:
    """Write a number in four significant digits, with a true minus sign; a word in code as it is.

    Where four digits would look exact and are not, there are seven: 999999.5 is not 1e6.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    number = float(value)
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "∞" if number > 0 else "−∞"
    if not number:
        return "0"
    short = _rounded(number, _DIGITS)
    digits = "".join(filter(str.isdigit, short.partition("e")[0])).strip("0")
    text = short if len(digits) > _FEW_DIGITS else _rounded(number, _MORE_DIGITS)
    return text.replace("-", "−")


def _rounded(number: float, digits: int) -> str:
    size = abs(number)
    # Ties go away from zero, as in JavaScript; Python's own formats round them to even.
    decimal = Context(prec=digits, rounding=ROUND_HALF_UP).create_decimal(Decimal(number)).normalize()
    power = f"{decimal:e}".replace("e+", "e")
    plain = f"{decimal:f}"
    long = size >= 1e5 and (size >= 10**digits or len(power) < len(plain))
    return power if long or size < 1e-4 else plain


def plain(value: Any) -> Any:
    """Return a value with whole numbers written as such, as JavaScript writes them."""
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def flat(value: Any) -> list[float]:
    """Return the numbers of nested lists."""
    if isinstance(value, list):
        return [number for part in value for number in flat(part)]
    return [float(value)]


def depth(value: Any) -> int:
    """Return how deep lists are nested."""
    return 1 + depth(value[0]) if isinstance(value, list) and value else int(isinstance(value, list))


def shade(value: Any, largest: float) -> str:
    """Return the class that shades a cell by sign and size: the page allows no inline style."""
    number = float(value)
    if not math.isfinite(number) or not number or not largest:
        return ""
    return f"{'neg' if number < 0 else 'pos'} m{max(1, math.ceil(_STEPS * abs(number) / largest))}"


def matrix(value: Any, label: str, shaded: bool = False) -> Markup:
    """Write an array of at most two axes in brackets, each number shaded by sign and size if asked.

    Of more axes those in front become rows.
    """
    rows = rows_of(value)
    largest = max((abs(x) for x in flat(value) if math.isfinite(x)), default=0)
    body = "".join(
        "<tr>"
        + "".join(f'<td class="{shade(x, largest) if shaded else ""}">{shown(x)}</td>' for x in row)
        + "</tr>"
        for row in rows
    )
    return Markup(  # numbers, and a label that is escaped
        f'<figure class="array"><figcaption>{escape(label)}</figcaption>'
        f'<div class="brackets"><table>{body}</table></div></figure>'
    )


def rows_of(value: Any) -> list[list[Any]]:
    """Return nested lists as rows: a list of numbers is a column."""
    if not isinstance(value, list):
        return [[value]]
    if depth(value) > 2:
        return [row for part in value for row in rows_of(part)]
    return [row if isinstance(row, list) else [row] for row in value]
