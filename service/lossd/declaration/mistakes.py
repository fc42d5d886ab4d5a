"""What is wrong with the declaration of a loss: something that it lacks, or a name that is taken or unknown.

Such a declaration is refused when its module is imported.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from lossd.declaration.general_names import GENERAL_ARRAYS, GENERAL_OPTIONS
from lossd.declaration.result import Kernel, one_per_row
from lossd.declaration.signature import PLACING

if TYPE_CHECKING:
    from lossd.declaration.loss import Loss


def mistakes_of(declared: Loss, described: Mapping[str, str], kernel: Kernel) -> Iterator[str]:
    """Yield what was expected where a declaration lacks something, or uses a name that is taken."""
    own = {*declared.by_name, *declared.settings}
    taken = own & {*GENERAL_ARRAYS, *GENERAL_OPTIONS, "group"}
    unknown = set(declared.gradient) - set(declared.differentiable)
    silent = set(declared.settings) - set(described) - set(PLACING)
    strange = set(described) - set(declared.settings)
    before = vars(sys.modules[kernel.__module__]).get(declared.name)
    if taken:
        yield f"a name that no general option has, got {_listed(taken)}"
    if unknown:
        yield f"`gradient` to name some of {_listed(declared.differentiable)}, got {_listed(unknown)}"
    strange_stops = {*declared.stop_gradient} - {*declared.settings} | {
        name for names in declared.stop_gradient.values() for name in names if name not in declared.by_name
    }
    if strange_stops:
        yield f"`stop_gradient` to map settings to arguments, got {_listed(strange_stops)}"
    if declared.normalizer not in (None, one_per_row) and declared.denominator.counts == "value":
        yield "`denominator` to say what `normalizer` counts"
    if not declared.summary:
        yield "a docstring, whose first line is the summary"
    placed = {at for edge in declared.edges for at in (edge.at, *edge.given) if isinstance(at, str)}
    named = {declared.picture.argument, *declared.picture.held, *declared.symbols, *placed}
    if named - own:
        yield f"`picture`, `edges` and `symbols` to name arguments and settings, got {_listed(named - own)}"
    if silent:
        yield f"a line under Settings: in the docstring for {_listed(silent)}"
    if strange:
        yield f"only settings under Settings:, got {_listed(strange)}"
    if isinstance(before, type(declared)) and before.kernel.__module__ == kernel.__module__:
        yield f"one declaration of that name in {kernel.__module__}, got two"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names)) or "nothing"
