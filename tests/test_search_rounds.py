"""Searches in rounds: who was given more, what was dropped by chance, and how it is drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingGridSearchCV
from sklearn.tree import DecisionTreeClassifier

from dashboard.contracts import SearchParameter, SearchResults, SearchScore
from dashboard.diagnostics.search_rounds import compute_rounds, find_in_rounds
from dashboard.diagnostics.searches import find_in_search
from dashboard.errors import NotApplicable
from dashboard.figures import plot_search_rounds
from dashboard.learning.gathered import Learning
from dashboard.logs.search_logs import read_search
from dashboard.report_learning import render_learning

FILES = Path(__file__).parent / "searches"


@pytest.fixture(scope="module")
def halving() -> HalvingGridSearchCV:
    asked = {"max_depth": [1, 2, 3], "min_samples_leaf": [1, 5, 9]}
    tree = DecisionTreeClassifier(random_state=0)
    X, y = load_iris(return_X_y=True)
    return HalvingGridSearchCV(tree, asked, cv=3, random_state=0, min_resources=15).fit(X, y)


@pytest.fixture(scope="module")
def results(halving: HalvingGridSearchCV) -> SearchResults:
    content = pd.DataFrame(halving.cv_results_).to_csv(index=False).encode()
    return read_search({"halving.csv": content})


def test_rounds_are_scikit_learns(halving: HalvingGridSearchCV, results: SearchResults) -> None:
    rounds = compute_rounds(results)
    assert rounds.levels.tolist() == halving.n_resources_ == [15, 45, 135]
    assert rounds.counts == halving.n_candidates_ == [9, 3, 1]
    assert rounds.level.tolist() == halving.cv_results_["iter"].tolist()
    assert rounds.name == "rows"
    assert rounds.sentence == "9 candidates with 15 rows, 3 with 45 and 1 with 135."
    told = halving.cv_results_["params"]
    for path in rounds.paths:
        assert all(told[at] == told[path[0]] for at in path)
        assert rounds.level[path].tolist() == list(range(len(path)))
    assert sorted(np.concatenate(rounds.paths).tolist()) == list(range(len(told)))


def test_every_trial_is_drawn_and_the_candidates_that_went_on_are_joined(
    results: SearchResults,
) -> None:
    rounds = compute_rounds(results)
    figure = plot_search_rounds(results, rounds, theme="dark")
    lines = {trace.name: trace for trace in figure.data}
    last, dropped = lines["reached the last round"], lines["dropped before"]
    drawn = [float(v) for one in (last, dropped) for v in one.y if np.isfinite(v)]
    assert sorted(drawn) == pytest.approx(sorted(results.score().validation), abs=1e-6)
    assert [v for v in last.x if np.isfinite(v)] == [15, 45, 135]
    assert np.isnan(np.asarray(dropped.y, dtype=float)).sum() == 8
    best = results.best()
    assert best is not None
    assert lines["best"].y[0] == pytest.approx(results.score().validation[best])
    caption = figure.layout.meta["caption"]
    first = results.score().validation[:9]
    start = next(path for path in rounds.paths if best in path)[0]
    ahead = int((first > first[start]).sum())
    assert f"it was {'first' if not ahead else f'number {ahead + 1}'} of 9" in caption
    assert figure.layout.xaxis.type == "log"


def test_rounds_of_a_parameter_and_of_hyperband_and_of_none() -> None:
    X, y = load_iris(return_X_y=True)
    forest = RandomForestClassifier(random_state=0)
    asked = {"max_depth": [1, 2, 3, None]}
    search = HalvingGridSearchCV(
        forest, asked, resource="n_estimators", max_resources=8, min_resources=2, factor=2, cv=2
    ).fit(X, y)
    table = pd.DataFrame(search.cv_results_).to_csv(index=False).encode()
    found = read_search({"trees.csv": table})
    rounds = compute_rounds(found)
    assert rounds.name == "n_estimators" and rounds.counts == search.n_candidates_
    assert any("had fewer n_estimators" in note for note in found.notes)
    band = read_search({"hyperband.zip": FILES / "hyperband.zip"})
    rounds = compute_rounds(band)
    assert rounds.sentence == "5 candidates with 3 epochs and 5 with 8."
    joined = [[band.trials[at] for at in path] for path in rounds.paths if len(path) > 1]
    assert joined == [["0001", "0005"], ["0002", "0006"]]
    assert find_in_rounds(band, band.score()) == []  # one score a trial
    optuna = read_search({"optuna.csv": FILES / "optuna.csv"}, larger_is_better=True)
    with pytest.raises(NotApplicable, match="given the same"):
        compute_rounds(optuna)


def _folds(second: float) -> SearchResults:
    """Three candidates with 10 rows, of which the first goes on to 30."""
    wobble = np.array([-0.02, 0.0, 0.01, 0.01])
    folds = np.array([0.9 + wobble, second - wobble, 0.5 + wobble / 2, 0.95 + wobble])
    score = SearchScore("accuracy", True, folds.mean(axis=1), folds=folds)
    return SearchResults(
        "made",
        "scikit-learn halving search",
        ("0", "1", "2", "3"),
        ("partial", "partial", "partial", "complete"),
        (SearchParameter("depth", (1, 2, 3, 1)),),
        (score,),
        resource=np.array([10.0, 10.0, 10.0, 30.0]),
        resource_name="rows",
    )


@pytest.mark.parametrize(
    ("second", "code", "close"),
    [(0.88, "dropped_by_chance", 1), (0.7, "rounds_told_apart", 0)],
)
def test_what_was_dropped_is_judged_by_the_folds(second: float, code: str, close: int) -> None:
    made = _folds(second)
    folds = made.score().folds
    assert folds is not None
    gap = folds[0] - folds[1]
    reach = stats.t.ppf(0.975, 3) * np.sqrt((1 / 4 + 1 / 3) * gap.var(ddof=1))
    assert (gap.mean() - reach <= 0) == bool(close)
    (found,) = [one for one in find_in_search(made) if one.code == code]
    assert found.evidence["as_good"] == close and found.evidence["dropped"] == 2
    assert "with 10 rows" in found.sentence


def test_the_report_has_the_rounds(results: SearchResults) -> None:
    found = Learning(searches=[results])
    said = render_learning(found, "text").decode()
    assert "Round by round: 9 candidates with 15 rows" in said
    assert "round by round" in render_learning(found, "html").decode()
