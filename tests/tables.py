"""The README's tables, made from the declarations: ``python -m tests.tables`` writes them."""

import json
import re
from pathlib import Path

from lossd.engine import Options
from lossd.losses import LOSSES
from lossd.settings import settings_table

README = Path(__file__).parent.parent / "README.md"


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
    rows = [
        f"| `{name}` | {'none' if field.default is None else f'`{json.dumps(field.default)}`'} | {field.description} |"
        for name, field in Options.model_fields.items()
    ]
    return "\n".join(["| option | default | meaning |", "|---|---|---|", *rows]) + "\n"


TABLES = {
    "options": options_table,
    "losses": losses_table,
    "aliases": aliases_table,
    "settings": settings_table,
}


def filled(text: str) -> str:
    """Return the README with its tables as the declarations have them."""
    for name, table in TABLES.items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
        text, found = re.subn(pattern, lambda m, t=table: m[1] + t() + m[2], text, flags=re.DOTALL)
        assert found == 1, name
    return text


if __name__ == "__main__":
    README.write_text(filled(README.read_text()))
