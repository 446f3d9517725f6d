from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, multilabel_confusion_matrix

from dashboard.contracts import Task
from dashboard.diagnostics.confusion import (
    NORMALISATIONS,
    compute_confusion,
    confusion_rows,
    decide,
)
from dashboard.errors import NotApplicable, ParameterError
from tests.drawn import (
    drawn_binary,
    drawn_multiclass,
    drawn_multilabel,
    drawn_regression,
    from_matrix,
    given,
)

# rows are true: a is right 6 of 10, taken for b 3 and for c 1; b right 4 of 5; c never seen
MATRIX = np.array([[6, 3, 1], [1, 4, 0], [0, 0, 0]])


@pytest.mark.parametrize("weighted", [False, True])
def test_counts_equal_scikit_learn_with_true_classes_in_rows(weighted: bool) -> None:
    weight = np.random.default_rng(0).random(200) if weighted else None
    p = drawn_multiclass(weight=weight)
    matrix = compute_confusion(p)
    expected = confusion_matrix(p.target.y, p.y_pred, sample_weight=weight)
    assert matrix.counts == pytest.approx(expected, abs=1e-12)
    assert matrix.labels == p.target.labels
    assert (matrix.n, matrix.weighted, matrix.threshold) == (200, weighted, None)
    for j in range(7):
        one = compute_confusion(p, label=j)
        expected = multilabel_confusion_matrix(p.target.y, p.y_pred, sample_weight=weight)[j]
        assert one.counts == pytest.approx(expected, abs=1e-12)
    assert one.labels == ("not g", "g")
    assert one.label == "g"


def test_two_classes_keep_the_order_of_the_labels_and_follow_the_threshold() -> None:
    p = drawn_binary(ties=True)
    for threshold in (0.0, 0.3, 0.5, 1.1):
        matrix = compute_confusion(p, threshold=threshold)
        expected = confusion_matrix(p.target.y, p.y_score >= threshold, labels=[0, 1])
        assert (matrix.counts == expected).all()
        assert matrix.threshold == threshold
    turned = replace(p, target=replace(p.target, y=1 - p.target.y, pos_label=0))
    assert (compute_confusion(turned).counts == compute_confusion(p).counts[::-1, ::-1]).all()
    assert compute_confusion(p).threshold == 0.5
    against = compute_confusion(turned, label=0)
    assert against.labels == ("not no", "no")
    assert (against.counts == compute_confusion(p).counts).all()


def test_multilabel_needs_a_label() -> None:
    p = drawn_multilabel()
    matrix = compute_confusion(p, label=2, threshold=[0.1, 0.2, 0.3, 0.4])
    expected = multilabel_confusion_matrix(p.target.y, p.y_score >= 0.3)[2]
    assert (matrix.counts == expected).all()
    assert matrix.threshold == 0.3
    assert matrix.labels == ("not tag 2", "tag 2")
    with pytest.raises(NotApplicable, match="choose one label"):
        compute_confusion(p)


def test_shares_by_hand() -> None:
    matrix = compute_confusion(from_matrix(MATRIX))
    assert matrix.shares("none").tolist() == MATRIX.tolist()
    assert matrix.shares("true") == pytest.approx(
        np.array([[0.6, 0.3, 0.1], [0.2, 0.8, 0], [0, 0, 0]])
    )
    assert matrix.shares("pred") == pytest.approx(
        np.array([[6 / 7, 3 / 7, 1], [1 / 7, 4 / 7, 0], [0, 0, 0]])
    )
    assert matrix.shares("all") == pytest.approx(MATRIX / 15)
    assert matrix.shares("errors") == pytest.approx(
        np.array([[0, 0.3, 0.1], [0.2, 0, 0], [0, 0, 0]])
    )
    with pytest.raises(ParameterError, match=", ".join(NORMALISATIONS)):
        matrix.shares("rows")


def test_shares_leave_the_counts_alone() -> None:
    matrix = compute_confusion(from_matrix(MATRIX))
    for how in NORMALISATIONS:
        matrix.shares(how)[:] = 99
    assert matrix.counts.tolist() == MATRIX.tolist()


def test_worst_mistake_by_hand() -> None:
    assert compute_confusion(from_matrix(MATRIX)).worst() == (0, 1, 3.0, pytest.approx(0.3))
    assert compute_confusion(from_matrix(np.diag([3, 4, 5]))).worst() is None


def test_most_confused_classes_are_kept_in_order_and_counted() -> None:
    counts = np.diag([50] * 5)
    counts[1, 3], counts[3, 1], counts[4, 0] = 7, 2, 1
    matrix = compute_confusion(from_matrix(counts, tuple("abcde")))
    few = matrix.most_confused(2)
    assert few.labels == ("b", "d")
    assert few.counts.tolist() == [[50, 7], [2, 50]]
    assert few.note == (
        "The 2 most confused of 5 classes are shown; they hold 90% of the mistakes."
    )
    assert matrix.most_confused(5) is matrix
    with pytest.raises(ParameterError, match="at least 1"):
        matrix.most_confused(0)


def test_frame_has_one_row_a_cell() -> None:
    frame = compute_confusion(from_matrix(MATRIX, ("a", "b", "c"))).frame()
    assert list(frame) == ["true", "predicted", "count", "row_share", "column_share", "share"]
    row = frame[(frame["true"] == "a") & (frame["predicted"] == "b")].iloc[0]
    assert (row["count"], row["row_share"]) == (3, pytest.approx(0.3))
    assert row["column_share"] == pytest.approx(3 / 7)
    assert len(frame) == 9


@pytest.mark.parametrize("label", [None, 3])
def test_rows_of_a_cell_are_positions_in_the_evaluation_set(label: int | None) -> None:
    p = drawn_multiclass()
    p = replace(p, rows=np.arange(p.n) * 2 + 1, n_given=2 * p.n + 1)
    matrix = compute_confusion(p, label=label)
    seen: list[Any] = []
    for i in range(len(matrix.labels)):
        for j in range(len(matrix.labels)):
            rows = confusion_rows(p, i, j, label=label)
            assert len(rows) == matrix.counts[i, j]
            seen += rows.tolist()
    assert sorted(seen) == p.rows.tolist()
    if label is None:
        rows = (confusion_rows(p, 2, 4) - 1) // 2
        assert (p.target.y[rows] == 2).all()
        assert (p.y_pred[rows] == 4).all()


def test_rows_follow_the_threshold() -> None:
    p = drawn_binary()
    for threshold in (0.2, 0.8):
        rows = confusion_rows(p, 0, 1, threshold=threshold)
        assert (
            rows.tolist() == np.flatnonzero((p.target.y == 0) & (p.y_score >= threshold)).tolist()
        )
    tagged = drawn_multilabel()
    rows = confusion_rows(tagged, 1, 0, threshold=0.6, label=1)
    missed = (tagged.target.y[:, 1] == 1) & (tagged.y_score[:, 1] < 0.6)
    assert rows.tolist() == np.flatnonzero(missed).tolist()


def test_one_class_of_many_can_be_decided_by_its_own_score() -> None:
    p = drawn_multiclass()
    for threshold in (0.2, [0.9, 0.9, 0.9, 0.2, 0.9, 0.9, 0.9]):
        matrix = compute_confusion(p, label=3, threshold=threshold)
        expected = confusion_matrix(p.target.y == 3, p.y_score[:, 3] >= 0.2)
        assert (matrix.counts == expected).all()
        assert matrix.threshold == 0.2
        rows = confusion_rows(p, 0, 1, threshold, 3)
        assert len(rows) == expected[0, 1]


def test_what_is_decided_without_a_threshold() -> None:
    p = drawn_binary()
    # labels that disagree with the scores: the rule of the scores is the one rule of the app
    both = replace(p, y_pred=1 - (p.y_score >= 0.5))
    assert (decide(both) == (p.y_score >= 0.5)).all()
    only_labels = replace(both, y_score=None, score_kind=None)
    assert (decide(only_labels, 0.9) == both.y_pred).all()
    assert compute_confusion(only_labels, threshold=0.9).threshold is None
    three = drawn_multiclass()
    assert (decide(replace(three, y_pred=None)) == three.y_score.argmax(axis=1)).all()


def test_float32_scores_meet_the_threshold_that_a_person_reads() -> None:
    p = given(
        Task.BINARY, [0, 1], y_score=np.array([0.69, 0.7], np.float32), labels=(0, 1), pos_label=1
    )
    assert decide(p, 0.7).tolist() == [0, 1]


def test_what_has_no_matrix_says_why() -> None:
    with pytest.raises(NotApplicable, match="values, not classes"):
        compute_confusion(drawn_regression())
    for p in (drawn_binary(), drawn_multiclass()):
        with pytest.raises(NotApplicable, match="neither labels nor scores"):
            compute_confusion(replace(p, y_pred=None, y_score=None))
    with pytest.raises(ParameterError, match="label must be from 0 to 6, got 7"):
        compute_confusion(drawn_multiclass(), label=7)
    with pytest.raises(ParameterError, match="there is no 9"):
        confusion_rows(drawn_multiclass(), 0, 9)
    with pytest.raises(ParameterError, match="one number for two classes"):
        compute_confusion(drawn_binary(), threshold=[0.1, 0.2])
