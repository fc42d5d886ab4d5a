"""The names of arrays and options that go with every loss, whatever it is: no argument or setting has such a name."""

from __future__ import annotations

GENERAL_ARRAYS = ("sample_weight", "mask", "upstream", "hvp")
GENERAL_OPTIONS = (
    *("reduction", "gradient", "hessian", "axis", "denominator", "empty", "broadcast", "check_finite"),
    *("check_target", "dtype", "convention", "size_average", "reduce", "encoding", "partial"),
)
