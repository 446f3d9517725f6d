"""Folds from column roles: scikit-learn's own divisions, fair beginnings, what is said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

from dashboard.data import EvalSet, evalset_from_frame
from dashboard.data.evalsets import ALL_ROWS
from dashboard.errors import NotApplicable, ParameterError
from dashboard.learning import choose_folds


def _rows(n: int = 120, **columns: Any) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "a": rng.normal(size=n),
            "b": rng.normal(size=n),
            **columns,
            "target": rng.choice(["no", "yes"], n, p=[0.8, 0.2]),
        }
    )


def _classes(n: int = 120, **columns: Any) -> EvalSet:
    return evalset_from_frame(_rows(n, **columns), "target")


def _numbers(n: int = 60) -> EvalSet:
    frame = _rows(n)
    frame["target"] = np.random.default_rng(1).normal(size=n)
    return evalset_from_frame(frame, "target")


def test_classes_are_divided_as_scikit_learn_divides_them() -> None:
    data = _classes()
    folds = choose_folds(data, 4, 2, seed=7)
    assert (folds.kind, len(folds)) == ("stratified", 8)
    assert "classes" in folds.reason and "Repeated 2 times" in folds.reason
    for repeat in range(2):
        theirs = StratifiedKFold(4, shuffle=True, random_state=7 + repeat)
        for number, (train, test) in enumerate(theirs.split(np.zeros(120), data.target.y)):
            fold = folds.pairs[4 * repeat + number]
            assert (fold.repeat, fold.number) == (repeat, number)
            assert np.array_equal(np.sort(fold.train), train)
            assert np.array_equal(fold.validation, test)


def test_numbers_are_divided_as_scikit_learn_divides_them() -> None:
    folds = choose_folds(_numbers(), 3, seed=5)
    assert folds.kind == "k-fold"
    theirs = KFold(3, shuffle=True, random_state=5).split(np.zeros(60))
    for fold, (train, test) in zip(folds.pairs, theirs, strict=True):
        assert np.array_equal(np.sort(fold.train), train)
        assert np.array_equal(fold.validation, test)


def test_every_beginning_has_the_classes_in_proportion() -> None:
    data = _classes(400)
    for fold in choose_folds(data, 5).pairs:
        share = data.target.y[fold.train].mean()
        for n in (20, 50, 100, 200):
            assert abs(data.target.y[fold.train[:n]].mean() - share) <= 1.5 / n


def test_the_same_seed_gives_the_same_rows_and_another_gives_others() -> None:
    data = _classes()
    assert choose_folds(data, seed=1).digest() == choose_folds(data, seed=1).digest()
    assert choose_folds(data, seed=1).digest() != choose_folds(data, seed=2).digest()


def test_groups_stay_together() -> None:
    data = _classes(patient_id=np.repeat(np.arange(24), 5))
    folds = choose_folds(data, 4, seed=3)
    assert folds.kind == "group" and "patient_id" in folds.reason
    groups = np.repeat(np.arange(24), 5)
    theirs = StratifiedGroupKFold(4, shuffle=True, random_state=3)
    for fold, (train, test) in zip(
        folds.pairs, theirs.split(np.zeros(120), data.target.y, groups), strict=True
    ):
        assert not set(groups[fold.train]) & set(groups[fold.validation])
        assert np.array_equal(np.sort(fold.train), train)
        assert np.array_equal(fold.validation, test)
    assert any("only 24" in note for note in folds.notes)


def test_many_groups_are_learned_from_one_by_one() -> None:
    n = 400
    frame = _rows(n, patient_id=np.repeat(np.arange(100), 4))
    frame["target"] = np.random.default_rng(1).normal(size=n)
    data = evalset_from_frame(frame, "target")
    folds = choose_folds(data, 4, seed=3)
    groups = np.repeat(np.arange(100), 4)
    theirs = GroupKFold(4, shuffle=True, random_state=3).split(np.zeros(n), groups=groups)
    for fold, (_, test) in zip(folds.pairs, theirs, strict=True):
        assert np.array_equal(fold.validation, test)
        assert len(set(groups[fold.train[:40]])) == 10


def test_time_is_kept_and_a_random_split_of_it_is_found() -> None:
    day = pd.Timestamp("2024-01-01") + pd.to_timedelta(
        np.random.default_rng(0).permutation(120), "D"
    )
    data = _classes(date=day)
    folds = choose_folds(data, 4, 3)
    assert (folds.kind, len(folds), folds.findings) == ("time", 4, ())
    assert any("divided once" in note for note in folds.notes)
    for fold in folds.pairs:
        assert day[fold.train].max() < day[fold.validation].min()
        assert day[fold.train].is_monotonic_decreasing
        assert len(fold.validation) == 15 and len(fold.train) >= 60
    random = choose_folds(data, 4, kind="stratified")
    assert [one.code for one in random.findings] == ["random_split_of_time"]
    assert "date" in random.findings[0].sentence


def test_a_split_that_does_not_follow_the_time_is_found() -> None:
    day = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(120), "D")
    mixed = np.random.default_rng(0).permutation(np.repeat(["train", "test"], [90, 30]))

    def found(part: Any, **more: Any) -> list[str]:
        frame = _rows(date=day, split=part, **more)
        data = evalset_from_frame(frame, "target", split_value=ALL_ROWS)
        assert data.split is not None
        return [one.code for one in choose_folds(data, 4).findings]

    assert found(mixed) == ["split_ignores_time"]
    assert found(np.repeat(["train", "test"], [90, 30])) == []
    assert found(np.repeat(["test", "train"], [30, 90])) == ["split_ignores_time"]  # the past
    assert found(np.repeat(["train", "test"], [115, 5])[::-1]) == []  # too few to tell


def test_the_test_part_is_left_alone() -> None:
    part = np.repeat(["train", "test"], [90, 30])
    frame = _rows(split=part)
    data = evalset_from_frame(frame, "target", split_value=ALL_ROWS)
    folds = choose_folds(data, 3)
    used = np.concatenate([fold.validation for fold in folds.pairs])
    assert sorted(used.tolist()) == list(range(90)) == folds.rows.tolist()
    assert any("30 of 120 rows" in note for note in folds.notes)


def test_chosen_rows_are_all_that_is_used() -> None:
    rows = np.arange(0, 120, 2)
    folds = choose_folds(_classes(), 3, rows=rows)
    assert all(set(fold.train) | set(fold.validation) == set(rows) for fold in folds.pairs)
    with pytest.raises(ParameterError, match="different positions"):
        choose_folds(_classes(), 3, rows=[0, 0, 1])


def test_rare_classes_are_named() -> None:
    frame = _rows(40)
    frame["target"] = ["a"] * 25 + ["b"] * 12 + ["c"] * 3
    folds = choose_folds(evalset_from_frame(frame, "target"), 5)
    assert any("c (3 rows)" in note for note in folds.notes)


@pytest.mark.parametrize(
    ("n_splits", "kind", "error", "what"),
    [
        (1, "auto", ParameterError, "at least 2 folds"),
        (61, "k-fold", ParameterError, "cannot be divided into 61"),
        (5, "time", NotApplicable, "role time"),
        (5, "group", NotApplicable, "role group"),
        (5, "stratified", NotApplicable, "one column of classes"),
        (5, "odd", ParameterError, "no folds 'odd'"),
    ],
)
def test_what_cannot_be_divided(
    n_splits: int, kind: str, error: type[Exception], what: str
) -> None:
    with pytest.raises(error, match=what):
        choose_folds(_numbers(), n_splits, kind=kind)


def test_too_few_of_every_class_or_of_groups_or_of_time() -> None:
    frame = _rows(8)
    frame["target"] = ["a", "b"] * 4
    with pytest.raises(ParameterError, match="No class has 5 rows"):
        choose_folds(evalset_from_frame(frame, "target"), 5)
    with pytest.raises(ParameterError, match="3 groups cannot"):
        choose_folds(_classes(customer_id=np.repeat([1, 2, 3], 40)), 5)
    dated = _classes(9, date=pd.date_range("2024-01-01", periods=9))
    with pytest.raises(ParameterError, match="10 are needed"):
        choose_folds(dated, 5)
