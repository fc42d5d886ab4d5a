"""What a call asks for: its reductions, and the derivatives of each. It follows from shapes and options alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from lossd.engine.bind import Bound
from lossd.engine.reductions import REDUCTIONS, legacy_reduction
from lossd.engine.request import Request, field_name
from lossd.errors import invalid
from lossd.spelling import did_you_mean
from lossd.wording import quoted

Kind = Literal["gradient", "hessian", "hvp"]


@dataclass(frozen=True)
class Wanted:
    """The reductions that a call asks for, and the derivatives of each, by names of arguments and settings.

    Attributes:
        reductions: The reductions, each once, in the order asked for.
        gradient: What to differentiate with respect to.
        hessian: Arguments whose diagonal of the Hessian is wanted.
        hvp: Arguments that the call gives a direction for; the Hessian of all of them together is multiplied with them.
        places: Argument to where the call gives its direction: ``hvp``, or ``hvp.`` and its name.
        warnings: What the caller should know of how it asked.
    """

    reductions: tuple[str, ...]
    gradient: tuple[str, ...]
    hessian: tuple[str, ...]
    hvp: tuple[str, ...]
    places: Mapping[str, str]
    warnings: tuple[str, ...] = ()

    @cached_property
    def all(self) -> list[tuple[Kind, str]]:
        """Every derivative: its kind, and the argument or setting."""
        kinds: list[tuple[Kind, str]] = [("gradient", name) for name in self.gradient]
        kinds += [("hessian", name) for name in self.hessian]
        kinds += [("hvp", name) for name in self.hvp]
        return kinds


def wanted_of(request: Request, bound: Bound) -> Wanted:
    """Return the reductions and the derivatives that a call asks for.

    Raises:
        InvalidCall: A reduction does not go with the call's options, a name is none of those that the loss can be
            differentiated with respect to, or a direction is not of its argument's shape.
    """
    options, loss = request.options, bound.loss
    reductions, warnings = _reductions(request)
    gbm = options.convention == "gbm"
    given = [name for name in loss.gradient if name in bound.arrays]
    possible = [n for n in loss.differentiable if n in loss.differentiable_settings or _is_real(n, bound)]
    arguments = [name for name in possible if name in bound.arrays]
    hessian = options.hessian or gbm
    named = {each for each in request.directions if field_name(f"hvp.{each}") in options.model_fields_set}
    places = {name: f"hvp.{name}" if name in named else "hvp" for name in request.directions}
    for name, direction in request.directions.items():
        at = places[name]
        if name not in arguments:
            raise invalid(at, f"a direction for one of {', '.join(arguments)}", f"one for {name}")
        shape = bound.arrays[name].array.shape
        if direction.shape != shape:
            raise invalid(at, f"the shape of {name}, {shape}", direction.shape)
    return Wanted(
        reductions,
        tuple(given) if gbm else _names(options.gradient, "gradient", tuple(given), possible, bound),
        _names(hessian, "hessian", tuple(given[:1]), arguments, bound),
        tuple(request.directions),
        places,
        warnings,
    )


def _is_real(name: str, bound: Bound) -> bool:
    given = bound.arrays.get(name)
    return given is not None and given.role.domain.kind == "real"


def _names(
    asked: bool | str | list[str], option: Kind, default: tuple[str, ...], possible: list[str], bound: Bound
) -> tuple[str, ...]:
    """Return the names that an option asks for: ``default`` if it is true, none if it is false."""
    if isinstance(asked, bool):
        return default if asked else ()
    names = [asked] if isinstance(asked, str) else asked
    for place, name in enumerate(names):
        if name not in possible:
            expected = f"one of {', '.join(possible)}"
            if names is asked:
                found = f"{quoted(name)}{_hint(name, possible, bound)}"
                raise invalid(f"{option}[{place}]", expected, found)
            found = f"{quoted(name)}{_hint(name, [*possible, 'true', 'false'], bound)}"
            raise invalid(option, f"true, false or {expected}", found)
    return tuple(dict.fromkeys(names))


def _hint(name: str, possible: list[str], bound: Bound) -> str:
    """Say why a name that the loss has elsewhere is not possible here, or which one it resembles."""
    if name in bound.loss.by_name and name not in bound.arrays:
        return ", which the call does not have"
    return did_you_mean(name, possible)


def _reductions(request: Request) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the reductions asked for, each once, and what to warn of.

    Raises:
        InvalidCall: None is asked for, PyTorch's old spelling asks for one that an alias does not take, or
            ``upstream`` is given where no reduction uses it.
    """
    names, warnings = _asked(request)
    if request.upstream is not None and not any(REDUCTIONS[name].keeps_values for name in names):
        raise invalid("upstream", "the reduction none, which alone it goes with", f"only {', '.join(names)}")
    return names, warnings


def _asked(request: Request) -> tuple[tuple[str, ...], tuple[str, ...]]:
    options, alias = request.options, request.loss.alias
    if options.convention == "gbm":
        return ("sum",), ()
    average, reduce = options.size_average, options.reduce
    if average is not None or reduce is not None:
        name = legacy_reduction(average, reduce)
        if alias is not None and alias.reductions and name not in alias.reductions:
            at = "reduce" if reduce is not None else "size_average"
            raise invalid(
                at, f"a reduction of {' or '.join(alias.reductions)} under the name {alias.name}", name
            )
        return (name,), (
            f"size_average and reduce are PyTorch's old spelling; use reduction: {quoted(name)}",
        )
    asked = options.reduction
    if isinstance(asked, str):
        return (asked,), ()
    if not asked:
        raise invalid("reduction", "at least one name", "an empty list")
    return tuple(dict.fromkeys(asked)), ()
