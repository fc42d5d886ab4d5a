"""What the site does to the pages of docs/: the nav takes in every page, and links out of docs/ become text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[2] / "docs"
OPERATION = (
    "access.md",
    "telemetry.md",
    "operations.md",
    "scaling.md",
    "reliability.md",
    "open-inference.md",
    "bulk.md",
)
_LINK = re.compile(r"\[([^\]]+)\]\(((?:\.\./)+[^)]+)\)")


def on_config(config: Any) -> Any:
    """Add the pages for operators, of those that there are, and any page that the nav does not name."""
    there = [name for name in OPERATION if (DOCS / name).is_file()]
    named = set(re.findall(r"[\w/-]+\.md", str(config.nav)))
    other = sorted(
        {str(file.relative_to(DOCS)) for file in DOCS.rglob("*.md") if "decisions" not in file.parts}
        - named
        - set(there)
    )
    config.nav.insert(-2, {"Operation": there + other})
    return config


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Keep the text of links to files of the repository, which the site does not have."""

    def kept(link: re.Match[str]) -> str:
        target = (DOCS / page.file.src_uri).parent / link[2].partition("#")[0]
        inside = target.resolve().is_relative_to(DOCS) and "decisions" not in target.parts
        return link[0] if inside else link[1]

    markdown = re.sub(r"\[([^\]]+)\]\(decisions/[^)]*\)", r"\1", markdown)
    return _LINK.sub(kept, markdown)
