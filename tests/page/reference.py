"""Writes the reference from the declarations: ``python -m tests.page.reference``, or ``make reference``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import cleandoc
from pathlib import Path

from lossd.api import problems
from lossd.api.openapi import FAMILIES
from lossd.declaration.loss import Loss
from lossd.engine import request_model
from lossd.loss_page import default_of, values_of
from lossd.losses import LOSSES
from lossd.page.edges import EdgeCall, edge_calls
from lossd.page.frameworks import by_framework
from lossd.page.numbers import shown
from lossd.settings import settings_table
from tests.tables import options_table

DOCS = Path(__file__).parents[2] / "docs"
NOTE = "<!-- Written from the declarations by `make reference`. -->\n\n"


def losses() -> str:
    families = dict.fromkeys(loss.family for loss in LOSSES.values())
    parts = [
        "# Losses\n",
        "Each loss has a page at `/losses/NAME` of a server, with its formula and its curve.\n",
    ]
    for family in families:
        parts += [f"## {family.capitalize()}\n", f"{FAMILIES[family]}\n"]
        parts += [_loss(loss) for loss in LOSSES.values() if loss.family == family]
    return "\n".join(parts)


def _loss(loss: Loss) -> str:
    schema = request_model(loss).model_json_schema()["properties"]
    arguments = [f"| `{a.name}` | `{a.shape}` | {_cell(a.domain)} |" for a in loss.arguments]
    settings = [
        f"| `{name}` | {default_of(schema[name])} | {_cell(values_of(schema[name]))} | {schema[name]['description']} |"
        for name in loss.settings
    ]
    lines = [
        f"### {loss.name}\n",
        f"{loss.summary}\n",
        *([loss.description + "\n"] if loss.description else []),
        f"*Use it for:* {loss.use} *Not for:* {loss.avoid}\n",
        f"A mean divides by {loss.denominator}.\n",
        "\n".join(["| argument | shape | values |", "|---|---|---|", *arguments]) + "\n",
    ]
    if settings:
        lines.append(
            "\n".join(["| setting | default | values | meaning |", "|---|---|---|---|", *settings]) + "\n"
        )
    edges = [_edge(call) for call in edge_calls(loss)]
    lines.append("\n".join(["| where | loss | gradient | curvature |", "|---|---|---|---|", *edges]) + "\n")
    return "\n".join(lines)


def _edge(call: EdgeCall) -> str:
    numbers = ["refused", "", ""] if call.samples is None else [_number(x) for x in call.samples]
    return f"| {call.edge.label} | {' | '.join(numbers)} |"


def _number(x: float | None) -> str:
    return "" if x is None else shown(x)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def options() -> str:
    return f"# Options\n\nThey go with every loss.\n\n{options_table()}"


def settings() -> str:
    return f"# Settings of the server\n\nVariables of the environment of `lossd serve`.\n\n{settings_table()}"


def errors() -> str:
    rows = [
        f"| `{problems.PATH}{name}` | {error.status} | {cleandoc(error.__doc__ or '').partition(chr(10))[0]} |"
        for name, error in sorted(problems.kinds().items(), key=lambda item: (item[1].status, item[0]))
    ]
    table = "\n".join(["| type | status | meaning |", "|---|---|---|", *rows])
    return f"# Errors\n\nEvery error is `application/problem+json` (RFC 9457), with one of these types.\n\n{table}\n"


def frameworks() -> str:
    parts = [
        "# Names of other frameworks\n",
        "You used the name on the left. The path of a call takes it exactly as it is written here, as in\n"
        "`/v1/losses/MSELoss`: without the modules in front, such as `torch.nn.` or `keras.losses.`, unless the table\n"
        "has them. The error at a name with its modules says which name is that framework's.\n",
        "A name brings its framework's defaults, but not its names of arguments: `y_pred` and `y_true` of Keras and\n"
        "scikit-learn are `input` and `target` here, unless [the loss](reference/losses.md) has others.\n",
    ]
    for framework, names in by_framework().items():
        rows = [
            f"| `{n.name}` | [`{n.loss}`](reference/losses.md#{n.loss}) | {n.difference or 'Nothing.'} |"
            for n in names
        ]
        parts.append(
            "\n".join([f"## {framework}\n", "| there | here | what differs |", "|---|---|---|", *rows]) + "\n"
        )
    return "\n".join(parts)


PAGES: Mapping[str, Callable[[], str]] = {
    "reference/losses.md": losses,
    "reference/options.md": options,
    "reference/settings.md": settings,
    "reference/errors.md": errors,
    "frameworks.md": frameworks,
}


def main() -> None:
    for name, write in PAGES.items():
        (DOCS / name).write_text(NOTE + write())


if __name__ == "__main__":
    main()
