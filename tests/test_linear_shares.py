"""Probabilities of linear models of many features, against enumeration over every coalition."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dashboard.contracts import OutputSpace
from dashboard.data import evalset_from_frame
from dashboard.errors import ModelError
from dashboard.explainers.linear_shares import LINEAR_SHARES, LinearShares
from dashboard.explainers.subjects import Subject
from dashboard.explanation import ExplainOptions, explain_rows, plan_explanation
from dashboard.models import adapt
from tests.exact_shapley import coalitions, mixed, shapley

SHARE = OutputSpace.PROBABILITY


class Alone:
    def progress(self, done: int, total: int, sentence: str, /) -> None:
        return

    def check(self) -> None:
        return


def subject_of(native: Any, m: int, sources: Any = None, turn: Any = lambda p: p) -> Subject:
    """The model on `m` columns, of the features that `sources` names."""
    sources = np.arange(m) if sources is None else np.asarray(sources)
    binary = len(native.classes_) == 2

    def answer(rows: Any, space: OutputSpace) -> Any:
        found = turn(native.predict_proba(np.asarray(rows)))
        return found[:, 1:] if binary else found

    return Subject(
        estimator=native,
        prepare=lambda rows: rows,
        answer=answer,
        answer_prepared=answer,
        features=tuple(f"x{at}" for at in range(int(sources.max()) + 1)),
        sources=sources,
        output_names=("yes",) if binary else tuple(range(len(native.classes_))),
        spaces=(OutputSpace.LOG_ODDS, SHARE),
    )


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("sources", [[0, 1, 2, 3, 4], [0, 1, 1, 2, 0]])
def test_within_their_errors_of_enumeration(classes: int, sources: list[int]) -> None:
    rng = np.random.default_rng(classes)
    X = rng.normal(size=(200, 5))
    y = np.digitize(X @ [2.0, -1.5, 1.0, 0.5, 3.0], [-1.0, 1.5][: classes - 1])
    of = subject_of(LogisticRegression().fit(X, y), 5, sources)
    rows, background = X[:80], X[100:120]
    engine, options = LinearShares(least=0), {"draws": 24, "random_state": 1}
    assert engine.refuses(of, SHARE) == ""
    found = engine.explain(of, rows, background, SHARE, Alone(), options)
    f = len(of.features)
    columns = [tuple(np.flatnonzero(np.asarray(sources) == at).tolist()) for at in range(f)]
    worth = {}
    for each in coalitions(f):
        known = tuple(column for at in each for column in columns[at])
        answers = of.answer(mixed(rows, background, known), SHARE)
        worth[each] = answers.reshape(len(rows), len(background), -1).mean(axis=1)
    truth = np.moveaxis(shapley(worth, f), 0, 1)
    first = [own[0] for own in columns]
    off = np.abs(found.values[:, first] - truth)
    assert found.errors is not None
    assert (off <= 1.96 * found.errors[:, first] + 1e-12).mean() > 0.9
    assert np.sqrt((off**2).mean()) < 0.1 * np.sqrt((truth**2).mean())
    np.testing.assert_allclose(found.base, of.answer(background, SHARE).mean(axis=0))
    whole = found.base + found.values.sum(axis=1)
    np.testing.assert_allclose(whole, of.answer(rows, SHARE), atol=1e-12)
    again = engine.explain(of, rows[5:6], background, SHARE, Alone(), options)
    np.testing.assert_array_equal(again.values[0], found.values[5])  # whatever its block


def test_what_is_not_known_is_refused() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4))
    native = LogisticRegression().fit(X, X[:, 0] > 0)
    of = subject_of(native, 4)
    assert "the model itself is asked" in LINEAR_SHARES.refuses(of, SHARE)
    assert "explained exactly" in LINEAR_SHARES.refuses(of, OutputSpace.LOG_ODDS)
    rest = OneVsRestClassifier(LogisticRegression()).fit(X, X[:, 0] > 0)
    assert "no linear model" in LINEAR_SHARES.refuses(replace(of, estimator=rest), SHARE)
    calibrated = subject_of(native, 4, turn=lambda p: p**2)
    with pytest.raises(ModelError, match="not those of its linear sums"):
        LinearShares(least=0).explain(calibrated, X[:3], X[3:9], SHARE, Alone(), {})


def test_many_features_are_explained_in_the_time_that_was_promised() -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(150, 700))).add_prefix("f")
    y = np.where(X.iloc[:, :40].sum(axis=1) > 0, "yes", "no")
    native = make_pipeline(StandardScaler(), LogisticRegression(C=0.01)).fit(X, y)
    model, evalset = adapt(native), evalset_from_frame(X.assign(y=y), "y")
    plan = plan_explanation(model, evalset, ExplainOptions(space="probability"))
    best = plan.offer(200)
    assert best.key == "linear-shares" and plan.measured
    assert plan.seconds(200) < 60  # asking the model itself takes ten minutes and more
    one = explain_rows(model, evalset, "m", [3], plan.options, plan=plan)
    assert one.errors is not None and one.additivity_error < 1e-9
    assert one.errors.mean() < 0.05 * np.abs(one.values).max()
