"""The oracle of every loss, collected from the files that hold them by family; a new file is a line here."""

from __future__ import annotations

from tests.oracle import (
    cases_of_classes,
    cases_of_paths,
    cases_of_probabilities,
    cases_of_residuals,
    cases_of_scores,
    cases_of_sets,
    cases_of_structure,
    cases_of_vectors,
)
from tests.oracle.record import Oracle, Oracles

MODULES = (
    *(cases_of_residuals, cases_of_classes, cases_of_probabilities, cases_of_scores),
    *(cases_of_sets, cases_of_vectors, cases_of_paths, cases_of_structure),
)


def collected(*tables: dict[str, Oracle]) -> Oracles:
    """Return one table of several, which have no loss in common."""
    every = Oracles()
    for table in tables:
        twice = every.keys() & table.keys()
        assert not twice, f"expected one oracle for each loss, got two for {', '.join(twice)}"
        every.update(table)
    return every


ORACLES = collected(*(module.ORACLES for module in MODULES))
