"""A loss, declared once: everything else about it derives from its declaration.

A loss is a pure NumPy function under ``@loss``, or under the decorator of a family in `families`. Its signature is its
specification:

* a parameter annotated with a `Role` is an array; with a default it is optional;
* any other parameter is keyword-only and a setting, annotated as a pydantic field; `Differentiable` marks a real
  setting that has a gradient;
* the first line of the docstring is the summary, paragraphs ``Use:`` and ``Avoid:`` say what the loss is for and what
  not, and a section ``Settings:`` describes every setting.

The contract of a kernel:

* It sees every batched argument as ``(rows, *core)``: C-contiguous, of the computing dtype, one block of rows at a
  time. An argument without a batch comes as it is, an absent one as None. Without a batch in any argument
  the kernel sees the whole batch at once.
* It returns a `Result`: the value of each row, and derivatives. Those that cost something are functions, called only
  when asked for.
* It never loops over rows, checks, casts, masks, weighs or reduces: the engine does.
* It never writes to its arguments, but may reuse its own temporaries.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from lossd.declaration.alias import Alias
from lossd.declaration.boosting import AS_DERIVED, Boosting
from lossd.declaration.constraint import Constraint
from lossd.declaration.cost import BY_PATTERNS, Cost
from lossd.declaration.denominator import Denominator, usual
from lossd.declaration.domain import WEIGHT, Domain
from lossd.declaration.edge import Edge, edges_of
from lossd.declaration.example import Example
from lossd.declaration.general_names import GENERAL_ARRAYS
from lossd.declaration.mistakes import mistakes_of
from lossd.declaration.pattern import Pattern, parse
from lossd.declaration.picture import Picture, Slider, curve
from lossd.declaration.result import Kernel, Normalizer, one_per_row, taking_weight
from lossd.declaration.role import Role
from lossd.declaration.signature import Argument, read_docstring, read_signature
from lossd.declaration.symbols import symbol_of, symbols_in

Settings = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Loss:
    """One loss and everything the service can say about it; `loss` explains the fields."""

    name: str
    family: str
    summary: str
    description: str
    use: str
    avoid: str
    formula: str
    where: tuple[str, ...]
    source: str
    aliases: tuple[Alias, ...]
    arguments: tuple[Argument, ...]
    settings: Mapping[str, tuple[Any, Any]]
    differentiable_settings: tuple[str, ...]
    setting_domains: Mapping[str, Domain]
    sliders: Mapping[str, Slider]
    example: Example
    kernel: Kernel
    gradient: tuple[str, ...]
    value: Pattern
    picture: Picture
    edges: tuple[Edge, ...]
    denominator: Denominator
    symbols: Mapping[str, str] = field(default_factory=dict)
    one_of: tuple[str, ...] = ()
    normalizer: Callable[..., Normalizer | None] | None = None
    constraints: tuple[Constraint, ...] = ()
    cost: Cost = BY_PATTERNS
    boosting: Boosting = AS_DERIVED
    of_residual: bool = False
    long_double: bool = False
    stop_gradient: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    alias: Alias | None = field(default=None)  # the name it is known as, if that changes anything

    @cached_property
    def by_name(self) -> Mapping[str, Argument]:
        """Arguments by name."""
        return {argument.name: argument for argument in self.arguments}

    @cached_property
    def array_names(self) -> frozenset[str]:
        """Names that hold arrays in a request."""
        group = ["group"] if self.ragged else []
        return frozenset([*self.by_name, *GENERAL_ARRAYS, *self.directions, *group])

    @cached_property
    def ragged(self) -> str:
        """The letter of the axis along which rows may differ in length; "" if there is none."""
        letters = (form.pattern.ragged for a in self.arguments for form in a.role.forms)
        return next(filter(None, letters), "")

    @cached_property
    def concatenated(self) -> tuple[Argument, ...]:
        """Arguments whose rows may come one after the other."""
        return tuple(argument for argument in self.arguments if argument.role.lengths)

    @cached_property
    def directions(self) -> Mapping[str, str]:
        """Names under which a request holds directions for a Hessian-vector product, to the arguments they move."""
        return {f"hvp.{a.name}": a.name for a in self.arguments if a.differentiable}

    @cached_property
    def differentiable(self) -> tuple[str, ...]:
        """Names of the arguments and settings that can have a gradient."""
        return (*(a.name for a in self.arguments if a.differentiable), *self.differentiable_settings)

    @cached_property
    def whole_batch(self) -> bool:
        """Whether the kernel sees the whole batch at once, since its items affect each other."""
        return not any(form.pattern.batched for a in self.arguments for form in a.role.forms)

    @property
    def ignored(self) -> tuple[str, str] | None:
        """The argument and the setting whose value in it leaves a row out."""
        return self.denominator.ignored

    @cached_property
    def symbol_names(self) -> Mapping[str, str]:
        """Argument or setting to its symbol, of those that the formula has."""
        written = symbols_in((self.formula, *self.where))
        found = {name: symbol_of(name, self.symbols) for name in (*self.by_name, *self.settings)}
        return {name: symbol for name, symbol in found.items() if symbols_in([symbol]) & written}

    @cached_property
    def normalized_by(self) -> tuple[str, ...]:
        """Names of the arguments that the normalizer depends on."""
        return () if self.normalizer is None else tuple(inspect.signature(self.normalizer).parameters)

    def stop_gradient_under(self, settings: Settings) -> frozenset[str]:
        """Return the arguments that derivatives take for constants under these settings."""
        return frozenset(
            name for setting, names in self.stop_gradient.items() if settings[setting] for name in names
        )

    @property
    def known_name(self) -> str:
        """The name by which it is found as it is: that of its alias, where it has one."""
        return self.name if self.alias is None else self.alias.name

    def known_as(self, alias: Alias) -> Loss:
        """Return the loss as the framework of ``alias`` means it."""
        return self if alias.is_plain else replace(self, alias=alias)


def loss(
    *,
    formula: str,
    source: str,
    example: Example,
    picture: Picture | None = None,
    where: tuple[str, ...] = (),
    symbols: Mapping[str, str] | None = None,
    aliases: tuple[Alias, ...] = (),
    gradient: tuple[str, ...] = ("input",),
    value: str = "(...)",
    weight: Literal["sum", "count"] | None = None,
    normalizer: Callable[..., Normalizer | None] | None = None,
    denominator: Denominator | None = None,
    edges: tuple[Edge, ...] = (),
    one_of: tuple[str, ...] = (),
    constraints: tuple[Constraint, ...] = (),
    cost: Cost = BY_PATTERNS,
    boosting: Boosting = AS_DERIVED,
    of_residual: bool = False,
    long_double: bool = False,
    stop_gradient: Mapping[str, tuple[str, ...]] | None = None,
) -> Callable[[Kernel], Loss]:
    """Declare the decorated kernel as a loss.

    Args:
        formula: The loss of one row, in LaTeX.
        source: The paper or the page that defines it.
        example: A worked example.
        picture: How it is drawn; along its first argument if absent.
        where: What the formula's parts stand for, in LaTeX.
        symbols: Argument or setting to its symbol, where that is not the usual one.
        aliases: Other frameworks' names for it.
        gradient: What ``gradient: true`` means: the arguments that the source differentiates.
        value: The pattern of the unreduced loss.
        weight: Offers an argument ``weight``, a factor on each row; the mean divides by its sum, or by the count.
        normalizer: What the mean divides by; a function of arguments by name, ``(rows,)`` or without a batch.
        denominator: What the normalizer counts; without a normalizer it follows from the rest.
        edges: Where the loss is worth knowing, besides the usual places; one of these at the same place replaces it.
        one_of: Optional arguments of which exactly one is given.
        constraints: What must hold between arguments.
        cost: What the patterns do not say about memory and time.
        boosting: What ``convention: gbm`` makes of the derivatives.
        of_residual: Whether it is a function of the absolute residual, so that complex arguments have a meaning and
            what underflows on the way may be scaled up again.
        long_double: Whether its kernel runs in long double too, as that of any loss of the residual does.
        stop_gradient: Boolean setting to the arguments that derivatives take for constants where it is true; a kernel
            gives their derivatives all the same.

    Raises:
        TypeError: The declaration lacks something, or uses a name that is taken.
    """

    def declare(kernel: Kernel) -> Loss:
        said = read_docstring(kernel)
        signature = read_signature(kernel, said.settings)
        arguments = signature.arguments
        if weight is not None:
            arguments += (Argument("weight", Role(domain=WEIGHT), optional=True),)
        drawn = picture or curve(-4, 4, arguments[0].name, argument=arguments[0].name)
        left_out = next(((a.name, a.role.ignored) for a in arguments if a.role.ignored), None)
        counted = replace(denominator or usual(value, weighs=weight == "sum"), ignored=left_out)
        declared = Loss(
            name=kernel.__name__,
            family=kernel.__module__.removeprefix("lossd.losses.").partition(".")[0],
            summary=said.summary,
            description=said.description,
            use=said.use,
            avoid=said.avoid,
            formula=formula,
            where=where,
            source=source,
            aliases=aliases,
            arguments=arguments,
            settings=signature.settings,
            differentiable_settings=signature.differentiable,
            setting_domains=signature.domains,
            sliders=signature.sliders,
            example=example,
            kernel=taking_weight(kernel) if weight is not None else kernel,
            gradient=gradient,
            value=parse(value),
            picture=drawn,
            edges=edges_of(edges, drawn, signature, example, counted),
            denominator=counted,
            symbols=symbols or {},
            one_of=one_of,
            normalizer=one_per_row if weight == "sum" else normalizer,
            constraints=constraints,
            cost=cost,
            boosting=boosting,
            of_residual=of_residual,
            long_double=long_double or of_residual,
            stop_gradient=stop_gradient or {},
        )
        for expected in mistakes_of(declared, said.settings, kernel):
            raise TypeError(f"{declared.name}: expected {expected}")
        return declared

    return declare
