"""The committed MathML is that of the declarations; Temml, which wrote it, is not needed to know."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree

import pytest

from tests.page.formulas import FILE, wanted

WRITTEN = json.loads(FILE.read_text())


@pytest.mark.declarations
@pytest.mark.parametrize("mode", ["display", "inline"])
def test_every_formula_of_the_declarations_is_written_and_no_other(mode: str) -> None:
    assert sorted(WRITTEN[mode]) == wanted()[mode], "make formulas writes them"


@pytest.mark.parametrize("mode", ["display", "inline"])
def test_a_formula_is_well_formed_and_needs_no_style_of_its_own(mode: str) -> None:
    for latex, mathml in WRITTEN[mode].items():
        assert ElementTree.fromstring(mathml).tag.endswith("math"), latex
        assert not re.search(r"\sstyle=", mathml), "the page's Content-Security-Policy refuses it"
        assert "tml-error" not in mathml
