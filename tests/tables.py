"""The tables of the README and of docs/, made from the declarations: ``python -m tests.tables`` writes them."""

import re
from pathlib import Path

from lossd.api.catalogue import describe
from lossd.api.telemetry.expiry import CERTIFICATE, KEY
from lossd.api.telemetry.exposition import BUILD, WORKERS
from lossd.api.telemetry.fields import LOG_FIELDS, STEPS
from lossd.api.telemetry.layout import declare
from lossd.loss_page import default_of, values_of
from lossd.losses import LOSSES
from lossd.settings import settings_table

ROOT = Path(__file__).parent.parent
README, TELEMETRY = ROOT / "README.md", ROOT / "docs" / "telemetry.md"


def losses_table() -> str:
    rows = [
        f"| `{x.name}` | {', '.join(f'`{a.name}`' for a in x.aliases) or 'none'} | {x.summary} |"
        for x in LOSSES.values()
    ]
    return "\n".join(["| loss | other names | what it measures |", "|---|---|---|", *rows]) + "\n"


def aliases_table() -> str:
    """List the names of each framework that differ from the loss in the same way."""
    groups: dict[tuple[str, str], list[str]] = {}
    for loss in LOSSES.values():
        for alias in loss.aliases:
            groups.setdefault((alias.framework, alias.difference), []).append(f"`{alias.name}`")
    rows = [
        f"| {framework} | {', '.join(names)} | {difference or 'Nothing.'} |"
        for (framework, difference), names in sorted(groups.items())
    ]
    return "\n".join(["| framework | names | what differs |", "|---|---|---|", *rows]) + "\n"


def options_table() -> str:
    """List the options of every loss, and those that only some have, which a loss over lists has all of."""
    over_lists = [loss for loss in LOSSES.values() if loss.ragged]
    only = {"group": f" Only for losses over lists: {', '.join(f'`{loss.name}`' for loss in over_lists)}."}
    options = describe(over_lists[0]).options
    of_all = {name: schema for name, schema in options.items() if name not in over_lists[0].directions}
    rows = [
        f"| `{name}` | {values_of(schema)} | {default_of(schema)} | {schema['description']}{only.get(name, '')} |"
        for name, schema in sorted(of_all.items(), key=lambda option: option[0] in only)
    ]
    return "\n".join(["| option | values | default | meaning |", "|---|---|---|---|", *rows]) + "\n"


def metrics_table() -> str:
    metrics = {
        metric.full_name: metric for metric in [*declare((), ()).values(), WORKERS, BUILD, KEY, CERTIFICATE]
    }
    rows = [
        f"| `{name}` | {metric.kind} | {', '.join(f'`{label}`' for label in metric.labels)} | {metric.help} |"
        for name, metric in metrics.items()
    ]
    return "\n".join(["| metric | type | labels | meaning |", "|---|---|---|---|", *rows]) + "\n"


def log_table() -> str:
    rows = [f"| `{name}` | {meaning} |" for name, meaning in LOG_FIELDS.items()]
    return "\n".join(["| field | meaning |", "|---|---|", *rows]) + "\n"


def steps_table() -> str:
    rows = [f"| `{name}` | {meaning} |" for name, meaning in STEPS.items()]
    return "\n".join(["| step | what it does |", "|---|---|", *rows]) + "\n"


TABLES = {
    README: {
        "options": options_table,
        "losses": losses_table,
        "aliases": aliases_table,
        "settings": settings_table,
    },
    TELEMETRY: {"metrics": metrics_table, "log": log_table, "steps": steps_table},
}


def filled(file: Path) -> str:
    """Return the text of a file with its tables as the declarations have them."""
    text = file.read_text()
    for name, table in TABLES[file].items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
        text, found = re.subn(pattern, lambda m, t=table: m[1] + t() + m[2], text, flags=re.DOTALL)
        assert found == 1, name
    return text


if __name__ == "__main__":
    for file in TABLES:
        file.write_text(filled(file))
