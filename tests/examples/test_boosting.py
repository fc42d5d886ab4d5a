"""The boosted trees are LightGBM's own, which is shown by growing them here again without the service."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable

import pytest

try:
    import lightgbm
except (
    ImportError,
    OSError,
) as missing:  # OSError: LightGBM is there, the OpenMP library of the system is not
    pytest.skip(f"LightGBM does not load: {missing}", allow_module_level=True)
from sklearn.datasets import load_breast_cancer, load_diabetes

Run = Callable[..., "subprocess.CompletedProcess[str]"]

BUILT_IN = {
    "mse": (load_diabetes, {"objective": "regression"}),
    "bce_with_logits": (load_breast_cancer, {"objective": "binary"}),
    "huber": (load_diabetes, {"objective": "huber", "alpha": 40.0}),
}


def size_of(loss: str) -> tuple[int, int]:
    """Return how many splits and leaves LightGBM's own 50 trees have."""
    data, objective = BUILT_IN[loss]
    settings = {"num_leaves": 15, "boost_from_average": False, "deterministic": True, "verbosity": -1}
    fixed = {"num_threads": 1, "force_row_wise": True}
    rows = lightgbm.Dataset(*data(return_X_y=True))
    grown = str(lightgbm.train(settings | fixed | objective, rows, num_boost_round=50).dump_model())
    return grown.count("split_feature"), grown.count("leaf_value")


@pytest.mark.slow
def test_boosting_grows_the_trees_of_the_built_in_objectives(run: Run) -> None:
    result = run("boosting")
    assert result.returncode == 0, result.stderr
    told = re.findall(r"(?m)^(\w+): 50 trees, (\d+) splits as .*, (\d+) leaves within (\S+)$", result.stdout)
    assert {loss: (int(splits), int(leaves)) for loss, splits, leaves, _ in told} == {
        loss: size_of(loss) for loss in BUILT_IN
    }
    assert all(float(apart) < 1e-6 for *_, apart in told)
    assert "50/50  huber: loss" in result.stderr


@pytest.mark.slow
def test_other_derivatives_grow_other_trees(run_code: Run, server: str) -> None:
    """Shown so that the comparison of the example can be seen to fail."""
    code = "import boosting as b; b.CASES = [b.CASES[0]._replace(loss='huber', settings={'delta': 40.0})]; b.main()"
    result = run_code(code, url=server)
    assert result.returncode == 1
    assert "expected the trees of regression, got others" in result.stderr
