"""This file is what a loss is: one declaration, from which everything else derives.

A loss is a pure NumPy function under ``@loss``. Its signature is its specification:

* positional parameters are arrays, annotated with a `Role`; one with a default is optional;
* keyword-only parameters are settings, annotated as pydantic fields, or with a `Role` where the
  setting is itself a vector; `Differentiable` marks a real setting that has a gradient;
* the first line of the docstring is the summary.

What is missing or has a name that is taken is refused while the module loads.

The contract of a kernel:

* It sees every argument as ``(rows, *core)``: C-contiguous, of the computing dtype, one block of
  rows at a time. An argument shared by all rows comes as it is, an absent one as None.
* It returns `Terms`: the value of each row, and the partial derivatives of each row's value. Those
  that cost something are functions, called only when asked for.
* It never loops over rows, checks, casts, weights, masks or reduces: the engine does.
* It never writes to its arguments, but may reuse its own temporaries.

Where the rows of a batch affect each other (``coupled``), the kernel sees all rows at once, and its
derivatives are functions of ``upstream``, the gradient of the result with respect to each value.

A tuned form stands beside the kernel where the benchmark shows that it matters: `tuned`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple, Protocol, get_args, get_origin, get_type_hints

from lossd.losses.alias import Alias
from lossd.losses.domain import REAL, Domain
from lossd.losses.stable import times
from lossd.message import Array

Lazy = Array | Callable[..., Array]
Arguments = Mapping[str, Array | None]
Settings = Mapping[str, Any]

# Arrays and options that go with every loss, whatever it is: no argument or setting has such a name.
GENERAL_ARRAYS = ("sample_weight", "mask", "upstream", "hvp")
GENERAL_OPTIONS = (
    *("reduction", "gradient", "hessian", "axis", "denominator", "empty", "broadcast", "check_finite"),
    *("check_target", "dtype", "convention", "size_average", "reduce", "encoding"),
)


class Terms(NamedTuple):
    """What a kernel finds for a block of rows.

    Attributes:
        value: The loss of each row, ``(rows,)``.
        gradient: Argument or smooth setting to the partial derivative of each row's value, ``(rows, *shape)``
            with the argument's own core shape; for coupled losses, to a function of upstream that
            returns the gradient itself.
        hessian: The second derivative of each row's value with respect to each element of the
            first argument that has a gradient, in that argument's shape; for coupled losses, a function of
            upstream that returns the Hessian's diagonal of the values' sum weighed by it.
        product: The Hessian of each row's value times a direction of that argument's shape.
        weight: What `times` has multiplied all of it with.
        boosting: Argument to the gradient that boosting libraries use, where theirs is another subgradient.
    """

    value: Array
    gradient: Mapping[str, Lazy]
    hessian: Lazy | None = None
    product: Callable[[Array], Array] | None = None
    weight: Array | float = 1.0
    boosting: Mapping[str, Lazy] = {}

    def times(self, weight: Array | None) -> Terms:
        """Multiply the loss of each row by its ``weight``, an argument of that name; None means one.

        A row of weight 0 adds nothing, whatever its loss.
        """
        if weight is None:
            return self
        gradient = {name: _scaled(lazy, weight) for name, lazy in self.gradient.items()}
        hessian = None if self.hessian is None else _scaled(self.hessian, weight)
        return Terms(times(weight, self.value), {**gradient, "weight": self.value}, hessian, weight=weight)


Kernel = Callable[..., Terms]


@dataclass(frozen=True)
class Role:
    """What an array means to a loss.

    Attributes:
        shape: The shape as people read it; ``...`` stands for the batch.
        core: Names of the axes that belong to one row; all other axes are the batch.
        axes: Where the core axes stand in the caller's array (the last ones by default), or the
            name of the setting that says so. A place past the last axis means the last one.
        domain: What values it may hold.
        differentiable: Whether the maths gives it a gradient.
        extent: ``rows``: it has the batch's axes; ``shared``: it has none; ``broadcast``: it
            broadcasts against the batch.
        instead: Another form of the argument, told apart by its number of axes.
    """

    shape: str = "(...)"
    core: tuple[str, ...] = ()
    axes: tuple[int, ...] | str = ()
    domain: Domain = REAL
    differentiable: bool = True
    extent: Literal["rows", "shared", "broadcast"] = "rows"
    instead: Role | None = None

    @property
    def flat_core(self) -> bool:
        """Whether a setting chooses the core axes, any number of them, and a kernel sees them as one."""
        return isinstance(self.axes, str)


@dataclass(frozen=True, eq=False)
class Argument:
    """An array that a loss takes: its name, its role, and whether it may be left out."""

    name: str
    role: Role
    optional: bool

    @property
    def shape(self) -> str:
        """The shape as people read it."""
        return self.role.shape + (f" or {self.role.instead.shape}" if self.role.instead else "")

    @property
    def domain(self) -> str:
        """What values it may hold, as people read it."""
        return str(self.role.domain) + (f", or {self.role.instead.domain}" if self.role.instead else "")

    @property
    def differentiable(self) -> bool:
        """Whether it can have a gradient."""
        return self.role.differentiable or bool(self.role.instead and self.role.instead.differentiable)


class Differentiable:
    """Marks a real setting with respect to which a loss can be differentiated."""


class Example:
    """A worked example: by hand or from the source, never from our own kernel.

    Attributes:
        call: Arguments and settings by name.
        value: The unreduced loss.
    """

    def __init__(self, *, value: Any, **call: Any) -> None:
        self.call: Mapping[str, Any] = call
        self.value = value


class Mass(Protocol):
    """What each row adds to the denominator of the mean, and how that depends on an argument.

    It is linear in the argument that `of` names, so one function and its transpose say it all.
    """

    of: str

    def __call__(self, arguments: Arguments, settings: Settings) -> Array | None:
        """Return the mass of each row, ``(rows,)``, or None where each row counts as one."""

    def transpose(self, upstream: Array, arguments: Arguments, settings: Settings) -> Array:
        """Return the gradient with respect to the argument, for ``upstream`` per row."""


@dataclass(frozen=True)
class Boosting:
    """What gradient boosting libraries use where it is not the derivative itself.

    Attributes:
        library: Whose objective it is, for people; empty where no library has the loss.
        gradient: Factor on the gradient.
        hessian: Turns each row's second derivative, and the weight that is in it, into what the
            libraries divide by; for coupled losses, the diagonal of the weighed sum's Hessian, and 1.
    """

    library: str = ""
    gradient: float = 1.0
    hessian: Callable[[Array, Array | float], Array] = lambda hessian, weight: hessian


@dataclass(frozen=True, eq=False)
class Loss:
    """One loss and everything the service can say about it; `loss` explains the fields."""

    name: str
    family: str
    summary: str
    description: str
    formula: str
    source: str
    aliases: tuple[Alias, ...]
    arguments: tuple[Argument, ...]
    vectors: tuple[Argument, ...]
    settings: Mapping[str, tuple[Any, Any]]
    smooth: tuple[str, ...]
    example: Example
    kernel: Kernel
    gradient: tuple[str, ...]
    coupled: bool = False
    one_of: tuple[str, ...] = ()
    modulus: bool = False
    extended: bool = False
    mass: Mass | None = None
    mean_scale: Callable[[Arguments, Settings], Array | None] | None = None
    ignored: tuple[str, str] | None = None
    prepare: Callable[[Mapping[str, Array], Settings], Mapping[str, Array]] | None = None
    work: Callable[[Mapping[str, int], int], int] | None = None
    boosting: Boosting = Boosting()
    least_rows: Callable[[Mapping[str, int]], int] | None = None
    tuned: Tuned | None = field(default=None, init=False)
    alias: Alias | None = field(default=None, init=False)  # the name it is known as, if that changes anything

    @cached_property
    def tensors(self) -> frozenset[str]:
        """Names that hold arrays in a request."""
        return frozenset([*(a.name for a in self.arguments + self.vectors), *GENERAL_ARRAYS])

    @cached_property
    def differentiable(self) -> tuple[str, ...]:
        """Names of the arguments and settings that can have a gradient."""
        return (*(a.name for a in self.arguments + self.vectors if a.differentiable), *self.smooth)

    def known_as(self, alias: Alias) -> Loss:
        """Return the loss as the framework of ``alias`` means it."""
        if alias.is_plain:
            return self
        arguments = tuple(
            replace(argument, role=alias.forms.get(argument.name, argument.role))
            for argument in self.arguments
        )
        renamed = replace(self, arguments=arguments)
        for name, value in (("tuned", self.tuned), ("alias", alias)):
            object.__setattr__(renamed, name, value)  # once, while the catalogue is made
        return renamed


class Tuned(NamedTuple):
    """A kernel's tuned form.

    Attributes:
        kernel: The function; see `tuned`.
        accepts: The names it takes: a call that uses others goes to the kernel.
    """

    kernel: Callable[..., float]
    accepts: frozenset[str]


def loss(
    *,
    formula: str,
    source: str,
    example: Example,
    aliases: tuple[Alias, ...] = (),
    gradient: tuple[str, ...] = ("input",),
    **traits: Any,
) -> Callable[[Kernel], Loss]:
    """Declare the decorated kernel as a loss.

    Args:
        formula: The loss of one row, in LaTeX.
        source: The paper or the page that defines it.
        example: A worked example.
        aliases: Other frameworks' names for it.
        gradient: What ``gradient: true`` means: the arguments that the source differentiates.
        **traits: Fields of `Loss` that most losses leave alone: ``coupled`` (rows affect each other),
            ``one_of`` (exactly one of these arguments is given), ``modulus`` (a function of the
            residual's modulus, so complex arguments have a meaning), ``extended`` (its kernel runs in long double
            too, as that of any ``modulus`` does), ``mass`` and ``mean_scale`` (how
            the mean weighs rows), ``ignored`` (rows where this argument equals this setting take no part),
            ``prepare`` (brings the caller's arrays to the declared shapes), ``work`` (elements of the
            largest temporary, from the named sizes and the number of rows, where that exceeds the
            arguments), ``boosting`` (what ``convention: gbm`` makes of the derivatives), ``least_rows`` (rows
            of a block, from the named sizes, for a kernel that goes through the row in steps).
    """

    def declare(kernel: Kernel) -> Loss:
        arguments, vectors, settings, smooth = _read_signature(kernel)
        text = (inspect.getdoc(kernel) or "").replace("``", "`")  # as Markdown and JSON show code
        summary, _, description = text.partition("\n")
        declared = Loss(
            name=kernel.__name__,
            family=kernel.__module__.removeprefix("lossd.losses.").partition(".")[0],
            summary=summary,
            description=description.strip(),
            formula=formula,
            source=source,
            aliases=aliases,
            arguments=arguments,
            vectors=vectors,
            settings=settings,
            smooth=smooth,
            example=example,
            kernel=kernel,
            gradient=gradient,
            **traits,
        )
        for expected in _mistakes(declared):
            raise TypeError(f"{declared.name}: expected {expected}")
        return declared

    return declare


def tuned(declared: Loss) -> Callable[[Callable[..., float]], Callable[..., float]]:
    """Give ``declared`` the decorated function as its tuned form.

    It computes the same as the kernel in one pass over a block: it writes ``scale`` times the gradient
    to ``out`` and returns the sum of the values. It takes the arguments and settings that its signature
    names, with ``scale`` (a scalar of the computing dtype), ``out`` (a block of the argument's shape, one for each
    argument in ``gradient`` if there are several) and ``scratch`` (a `Scratch`). It may rely on the domains of its
    arguments. A call with an argument that it does not name, with another than the default of a setting it does not
    name, or with values that are not to be checked, is computed by the kernel. ``out`` may be the memory of the
    arguments themselves: what is still needed of an argument is read before its gradient is written. Where a
    result leaves the range of its type it may raise FloatingPointError, before it writes to ``out``: the block is then
    computed by the kernel, in a wider type if need be.
    """

    def attach(kernel: Callable[..., float]) -> Callable[..., float]:
        names = frozenset(inspect.signature(kernel).parameters)
        object.__setattr__(declared, "tuned", Tuned(kernel, names))  # once, while the module loads
        return kernel

    return attach


def _read_signature(
    kernel: Kernel,
) -> tuple[tuple[Argument, ...], tuple[Argument, ...], dict[str, tuple[Any, Any]], tuple[str, ...]]:
    """Split a kernel's parameters into arguments, vector settings, settings and smooth settings."""
    hints = get_type_hints(kernel, include_extras=True)
    arguments, vectors, settings, smooth = [], [], {}, []
    for name, parameter in inspect.signature(kernel).parameters.items():
        marks = _marks(hints.get(name))
        role = next((mark for mark in marks if isinstance(mark, Role)), None)
        required = parameter.default is parameter.empty
        keyword = parameter.kind is parameter.KEYWORD_ONLY
        if role is None and not keyword:
            raise TypeError(f"{kernel.__name__}: expected a Role such as Real on `{name}`")
        if role is None:
            if name not in hints:
                raise TypeError(f"{kernel.__name__}: expected a type such as float on the setting `{name}`")
            settings[name] = (hints[name], ... if required else parameter.default)
            if Differentiable in marks:
                smooth.append(name)
        elif keyword:
            vectors.append(Argument(name, replace(role, extent="shared"), not required))
        else:
            arguments.append(Argument(name, role, not required))
    return tuple(arguments), tuple(vectors), settings, tuple(smooth)


def _mistakes(declared: Loss) -> Iterator[str]:
    """Yield what was expected where a declaration lacks something, or uses a name that is taken."""
    roles = [argument.role for argument in declared.arguments]
    own = {*(a.name for a in declared.arguments + declared.vectors), *declared.settings}
    replaced = {role.axes for role in roles if role.flat_core}  # a setting that chooses the core axes
    taken = own & ({*GENERAL_ARRAYS, *GENERAL_OPTIONS} - replaced)
    unknown = set(declared.gradient) - set(declared.differentiable)
    before = declared.kernel.__globals__.get(declared.name)
    if taken:
        yield f"a name that no general option has, got {_listed(taken)}"
    if unknown:
        yield f"`gradient` to name some of {_listed(declared.differentiable)}, got {_listed(unknown)}"
    if not declared.summary:
        yield "a docstring, whose first line is the summary"
    if isinstance(before, Loss) and before.kernel.__module__ == declared.kernel.__module__:
        yield f"one declaration of that name in {declared.kernel.__module__}, got two"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names)) or "nothing"


def forced(lazy: Lazy, *upstream: Array) -> Array:
    """Return a derivative, computed now if it was not yet; a coupled loss's is a function of ``upstream``."""
    return lazy(*upstream) if callable(lazy) else lazy


def _scaled(lazy: Lazy, weight: Array) -> Lazy:
    """Return a partial derivative times the weight of its row, still as lazy as it was."""
    return (lambda: times(weight, forced(lazy))) if callable(lazy) else times(weight, lazy)


def _marks(hint: Any) -> tuple[Any, ...]:
    """Return the metadata of an ``Annotated`` hint, also inside ``X | None``."""
    if hasattr(hint, "__metadata__"):
        return tuple(hint.__metadata__)
    if get_origin(hint) is None:
        return ()
    return tuple(mark for inner in get_args(hint) for mark in _marks(inner))
