import json
import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks import ratios, report
from benchmarks.__main__ import PARTS, main
from benchmarks.cases import SUBJECTS, Case, cases_of_sizes
from benchmarks.works import eager_work, limit_work, lossd_work, measure

TINY = list(cases_of_sizes((10, 100), ("float32", "float64"), (1,)))


def row(loss: str, ours: float, theirs: float, *, limit: float | None = None) -> ratios.Row:
    turns = {"lossd": [ours] * 3, "eager": [theirs] * 3}
    return ratios.Row(Case(loss, (10,), "float32", 1), turns, [] if limit is None else [limit], {})


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    readme = tmp_path / "README.md"
    readme.write_text(report.README.read_text())
    monkeypatch.setattr(report, "OUT", tmp_path)
    monkeypatch.setattr(report, "README", readme)
    return tmp_path


@pytest.mark.parametrize("case", TINY, ids=str)
def test_every_case_runs_and_differentiates_what_pytorch_does(case: Case) -> None:
    from lossd.engine import evaluate
    from lossd.losses import find
    from lossd.message import Call

    arrays = case.arrays()
    assert math.isfinite(lossd_work(case, arrays)())
    gradient = evaluate(find(case.loss), Call(arrays, {"gradient": True})).gradient["mean"]
    assert tuple(gradient) == SUBJECTS[case.loss].gradient


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")  # as kl_div's, of every element
@pytest.mark.parametrize("case", TINY, ids=str)
def test_both_sides_compute_the_same_loss(case: Case) -> None:
    pytest.importorskip("torch")
    arrays = case.arrays()
    ours, theirs = lossd_work(case, arrays)(), eager_work(case, arrays)().item()
    assert math.isclose(ours, theirs, rel_tol=1e-5 if case.dtype == "float32" else 1e-9)


def test_a_case_draws_the_same_numbers_in_every_process() -> None:
    for case in TINY:
        first, second = case.arrays(), case.arrays()
        assert all(np.array_equal(first[name], second[name]) for name in first)
        assert next(iter(first.values())).shape == case.shape


@pytest.mark.parametrize("size", [10, 200_000])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_limit_is_one_pass_over_all_elements(size: int, threads: int) -> None:
    case = Case("mse", (size,), "float32", threads)
    work = limit_work(case, case.arrays())
    assert work is not None
    assert measure(work, 0) > 0


def test_losses_without_one_call_as_their_limit_have_none() -> None:
    case = Case("nll", (1, 10), "float32", 1)
    assert limit_work(case, case.arrays()) is None


def test_the_summary_has_the_geometric_mean_and_every_row_that_is_slower() -> None:
    text = ratios.summary([row("mse", 1, 32), row("l1", 2, 1)], "eager")  # sqrt(32 / 2) = 4
    assert text == "- torch eager: geometric mean 4.00 over 2 rows; 1 below 1.0: l1 10 float32 1T 0.50\n"


def test_a_side_that_cannot_run_is_named_with_its_reason() -> None:
    failed = ratios.Row(Case("mse", (10,), "float32", 1), {"lossd": [1.0]}, [], {"compile": "no compiler"})
    assert ratios.summary([failed], "compile") == "- torch compile: not measured; no compiler\n"
    assert "compile unavailable (no compiler)" in ratios.line(failed)


def test_the_share_of_the_limit_is_its_part_of_our_time() -> None:
    assert row("mse", 2, 1, limit=1).share() == 0.5
    assert row("mse", 2, 1).share() is None


@pytest.mark.slow
@pytest.mark.torch
def test_a_quick_row_is_measured_against_pytorch_and_written(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    chosen = ["--only", "mse,ctc", "--sizes", "10", "--dtype", "float32", "--threads", "1"]
    main(["engine", *chosen, "--quick", "--rounds", "1", "--seconds", "0.001", "--write"])
    results = json.loads((out / "engine.json").read_text())["results"]
    assert [result["loss"] for result in results] == ["mse", "ctc"]
    assert all(result["ratio"]["eager"] > 0 for result in results)
    assert "mse, float32, 1T" in (out / "README.md").read_text()
    assert "geometric mean" in capsys.readouterr().out


def test_text_goes_between_its_own_markers() -> None:
    document = "a\n<!-- x: begin -->\nold\n<!-- x: end -->\n<!-- y: begin -->\nkept\n<!-- y: end -->\n"
    assert report.replaced(document, "x", "new\n") == document.replace("old", "new")
    with pytest.raises(ValueError, match="expected the markers of z once, got 0"):
        report.replaced(document, "z", "new\n")


def test_the_readme_has_a_place_for_every_part() -> None:
    for name in PARTS:
        report.replaced(report.README.read_text(), name, "")


def test_an_unknown_loss_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["engine", "--only", "mes"])
    assert "expected some of mse, l1" in capsys.readouterr().err
