"""Writes the formulas of the losses as MathML, by Temml: ``python -m tests.page.formulas``, or ``make formulas``."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from lossd.losses import LOSSES

HERE = Path(__file__).parent
FILE = HERE.parents[1] / "service" / "lossd" / "page" / "formulas.json"


def wanted() -> dict[str, list[str]]:
    """Return every piece of LaTeX in the declarations, as it stands on a page: on lines of its own, or in one."""
    losses = LOSSES.values()
    inline = {part for loss in losses for part in (*loss.where, *loss.symbol_names.values())}
    return {"display": sorted({loss.formula for loss in losses}), "inline": sorted(inline)}


def main() -> None:
    command = ["node", "formulas.mjs"]
    done = subprocess.run(
        command, cwd=HERE, input=json.dumps(wanted()), capture_output=True, text=True, check=True
    )
    FILE.write_text(done.stdout)


if __name__ == "__main__":
    main()
