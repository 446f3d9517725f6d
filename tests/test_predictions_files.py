"""Prediction files: which column says what, whose row it is, and what cannot be joined."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.contracts import Label, Predictions, ScoreKind, Task
from dashboard.data import (
    EvalSet,
    PredictionColumns,
    Table,
    evalset_and_predictions,
    evalset_from_frame,
    infer_prediction_columns,
    read_predictions,
    read_table,
)
from dashboard.errors import DataError, PredictionError

N = 12


def evalset(y: object = None, **more: object) -> EvalSet:
    """Twelve rows with text ids 001 … 012 and a target."""
    y = ["no", "yes", "no"] * 4 if y is None else y
    columns = {"id": [f"{i:03d}" for i in range(1, N + 1)], "x": np.arange(N) / 7, "y": y}
    return evalset_from_frame(pd.DataFrame({**columns, **more}), target="y", name="data")


def table(**columns: object) -> Table:
    return Table.from_frame("p.csv", pd.DataFrame(columns))


def columns_of(data: EvalSet, **columns: object) -> PredictionColumns:
    return infer_prediction_columns(table(**columns), data)


P = np.linspace(0.04, 0.96, N)
LABELS = ["no", "yes", "no", "yes"] * 3


# Which column says what


@pytest.mark.parametrize(
    "name",
    ["y_pred", "prediction", "Predicted Label", "yhat", "pred", "y_predicted", "PredictedClass"],
)
def test_label_columns(name: str) -> None:
    found = columns_of(evalset(), **{name: LABELS})
    assert found.label == name
    assert not found.scores


@pytest.mark.parametrize("name", ["y_pred_for_y", "pred_y", "y_hat", "predicted_y", "whatever"])
def test_label_columns_by_target_name_or_content(name: str) -> None:
    assert columns_of(evalset(), **{name: LABELS}).label == name


@pytest.mark.parametrize("name", ["y_score", "Score", "proba", "probability", "p", "risk_score"])
def test_score_columns(name: str) -> None:
    found = columns_of(evalset(), **{name: P})
    assert found.scores == {name: None}
    assert found.label is None


def test_unbounded_scores_are_known_by_name() -> None:
    logit = columns_of(evalset(), logit=np.log(P / (1 - P)))
    assert (logit.scores, logit.kind) == ({"logit": None}, ScoreKind.LOGIT)
    decision = columns_of(evalset(), decision_no=-P, decision_yes=P)
    assert decision.scores == {"decision_no": "no", "decision_yes": "yes"}
    assert decision.kind is ScoreKind.DECISION


@pytest.mark.parametrize(
    "form",
    ["{}", "proba_{}", "p_{}", "P({})", "probability {}", "{}_prob", "score[{}]", "prob_class_{}"],
)
@pytest.mark.parametrize(
    "labels", [("no", "yes"), ("a", "b", "c"), (0, 1), (3, 5, 8), ("<=50K", ">50K"), (False, True)]
)
def test_class_columns(form: str, labels: tuple[Label, ...]) -> None:
    data = evalset(y=[labels[i % len(labels)] for i in range(N)])
    names = {form.format(label): label for label in labels}
    found = columns_of(data, **dict.fromkeys(reversed(list(names)), P))
    assert found.scores == names
    assert found.label is None


def test_labels_and_scores_together() -> None:
    found = columns_of(evalset(), id=range(N), y_pred=LABELS, proba_yes=P, note=["x"] * N)
    assert (found.label, found.scores) == ("y_pred", {"proba_yes": "yes"})


def test_numbered_columns_follow_the_class_order() -> None:
    data = evalset(y=["a", "b", "c"] * 4)
    for start in (0, 1):
        found = columns_of(data, **{f"proba_{start + i}": P for i in range(3)})
        assert list(found.scores.values()) == ["a", "b", "c"]
        assert any("order of the classes" in note for note in found.notes)
    assert not columns_of(data, proba_0=P, proba_1=P).scores


def test_array_of_scores() -> None:
    data = evalset(y=["a", "b", "c"] * 4)
    stream = io.BytesIO()
    scores = np.random.default_rng(0).dirichlet([1, 1, 1], N)
    np.save(stream, scores)
    raw = read_predictions(read_table(stream.getvalue(), "scores.npy"), data)
    np.testing.assert_array_equal(raw.scores, scores)
    assert raw.classes == ["a", "b", "c"]


def test_a_prediction_of_fractions_is_a_score() -> None:
    assert columns_of(evalset(), prediction=P).scores == {"prediction": None}
    assert columns_of(evalset(y=[0, 1] * 6), y_pred=[0.0, 1.0] * 6).label == "y_pred"


def test_features_in_the_file_are_not_predictions() -> None:
    found = columns_of(evalset(), id=range(N), x=P, y=LABELS, out=P)
    assert found.scores == {"out": None}
    submission = columns_of(evalset(), id=[f"{i:03d}" for i in range(1, N + 1)], y=P)
    assert submission.scores == {"y": None}
    assert submission.id == "id"


def test_regression_columns() -> None:
    data = evalset(y=P * 100)
    assert columns_of(data, price=P).label == "price"
    assert columns_of(data, id=range(N), y_pred=P, std=P).label == "y_pred"
    raw = read_predictions(table(y_pred=P), data)
    np.testing.assert_array_equal(raw.labels, P)
    assert raw.scores is None


def test_several_outputs() -> None:
    given = pd.DataFrame({"x": range(N), "u": P, "v": P * 2})
    data = evalset_from_frame(given, target=["u", "v"])
    raw = read_predictions(table(pred_v=P + 1, pred_u=P), data)
    assert raw.classes == ["v", "u"]
    done = Predictions.normalise(raw, data.target, name="m")
    assert done.y_pred is not None
    np.testing.assert_allclose(done.y_pred, np.column_stack([P, P + 1]))


def test_multilabel_columns() -> None:
    given = pd.DataFrame({"x": range(N), "rain": [0, 1, 1] * 4, "wind": [1, 1, 0] * 4})
    data = evalset_from_frame(given, target=["rain", "wind"])
    assert data.target.task is Task.MULTILABEL
    scores = read_predictions(table(proba_wind=P, proba_rain=1 - P), data)
    assert scores.classes == ["wind", "rain"]
    labels = read_predictions(table(pred_wind=[1, 1, 0] * 4, pred_rain=[0, 0, 1] * 4), data)
    done = Predictions.normalise(labels, data.target, name="m")
    assert done.y_pred is not None
    np.testing.assert_array_equal(done.y_pred[:, 0], [0, 0, 1] * 4)
    both = PredictionColumns(scores={"a": "rain", "b": "wind"}, labels={"c": "wind", "d": "rain"})
    raw = read_predictions(table(a=P, b=1 - P, c=[1] * N, d=[0] * N), data, both)
    assert raw.classes == ["wind", "rain"]
    np.testing.assert_array_equal(raw.scores[:, 0], 1 - P)  # type: ignore[index]
    with pytest.raises(PredictionError, match="same labels"):
        read_predictions(table(a=P, b=P, c=[1] * N), data, replace(both, labels={"c": "wind"}))


def test_a_mapping_can_be_corrected() -> None:
    data = evalset()
    file = table(first=P, second=1 - P)
    raw = read_predictions(file, data, PredictionColumns(scores={"second": "yes", "first": "no"}))
    assert raw.classes == ["yes", "no"]
    done = Predictions.normalise(raw, data.target, name="m")
    np.testing.assert_allclose(done.y_score, 1 - P)  # type: ignore[arg-type]
    with pytest.raises(PredictionError, match="no column 'third'"):
        read_predictions(file, data, PredictionColumns(label="third"))


def test_nothing_that_looks_like_a_prediction() -> None:
    file = table(a=["p", "q"] * 6, b=["r"] * N)
    with pytest.raises(PredictionError, match=r"No column of p.csv looks like.*'a' and 'b'"):
        read_predictions(file, evalset())


def test_text_as_scores() -> None:
    file = table(s=["high", "low"] * 6)
    with pytest.raises(PredictionError, match=r"Column 's' .*high"):
        read_predictions(file, evalset(), PredictionColumns(scores={"s": None}))


# Whose row it is


@settings(max_examples=60, deadline=None)
@given(order=st.permutations(range(N)), keep=st.integers(1, N))
def test_join_by_id_in_any_order(order: list[int], keep: int) -> None:
    data = evalset()
    rows = order[:keep]
    file = table(id=[f"{i + 1:03d}" for i in rows], y_score=P[rows])
    raw = read_predictions(file, data)
    expected = np.where(np.isin(np.arange(N), rows), P, np.nan)
    np.testing.assert_array_equal(np.ravel(raw.scores), expected)  # type: ignore[arg-type]
    said = any(f"{N - keep} of 12 evaluated rows have no prediction" in n for n in raw.notes)
    assert said == (keep < N)


@pytest.mark.parametrize(
    ("data_ids", "file_ids"),
    [
        (list(range(N)), [float(i) for i in range(N)]),
        (list(range(N)), [str(i) for i in range(N)]),
        ([f"k{i}" for i in range(N)], pd.Categorical([f"k{i}" for i in range(N)])),
    ],
)
def test_ids_of_different_types_join(data_ids: list[object], file_ids: object) -> None:
    data = evalset(id=data_ids)
    raw = read_predictions(table(id=file_ids, y_pred=LABELS), data)
    assert list(raw.labels) == LABELS  # type: ignore[call-overload]


def test_leading_zeros_matter() -> None:
    with pytest.raises(PredictionError, match=r"12 ids in 'id' that data does not have .*first: 1"):
        read_predictions(table(id=range(1, N + 1), y_pred=LABELS), evalset())


def test_an_id_by_another_name() -> None:
    data = evalset_from_frame(
        pd.DataFrame({"PassengerId": range(N), "x": P, "y": LABELS}), target="y"
    )
    assert columns_of(data, passenger_id=range(N), y_pred=LABELS).id == "passenger_id"
    assert columns_of(data, id=range(N), y_pred=LABELS).id == "id"
    assert columns_of(data, id=range(50, 50 + N), y_pred=LABELS).id is None


def test_rows_left_out_of_the_evaluation_may_have_predictions() -> None:
    labels = pd.Series(["no", "yes", None] * 4, dtype="str")
    data = evalset(y=labels)
    assert data.n == 8
    by_id = read_predictions(table(id=data.all_ids, y_score=P), data)
    by_position = read_predictions(table(y_score=P), data)
    evaluated_only = read_predictions(table(y_score=P[data.row_numbers]), data)
    for raw in (by_id, by_position, evaluated_only):
        np.testing.assert_array_equal(np.ravel(raw.scores), P[data.row_numbers])  # type: ignore[arg-type]


def test_wrong_length() -> None:
    data = evalset(y=pd.Series(["no", "yes", None] * 4, dtype="str"))
    message = r"p.csv has 5 rows; data has 12, 8 of them evaluated.*id column"
    with pytest.raises(PredictionError, match=message):
        read_predictions(table(y_score=P[:5]), data)


def test_bad_ids() -> None:
    data = evalset()
    ids = [f"{i:03d}" for i in range(1, N + 1)]

    def refuse(match: str, **columns: object) -> None:
        with pytest.raises(PredictionError, match=match):
            read_predictions(table(**columns), data)

    refuse("1 id in 'id' more than once .*first: 001", id=["001", *ids[:-1]], y_score=P)
    refuse(
        "2 ids in 'id' that data does not have .*first: u, v", id=["u", "v", *ids[2:]], y_score=P
    )
    refuse("no id in 1 row", id=[None, *ids[1:]], y_score=P)
    repeated = pd.DataFrame({"id": ["a", "a", *ids[2:]], "x": P, "y": LABELS})
    roles = replace(data.roles, id="id", features=("x",))
    twice = evalset_from_frame(repeated, roles=roles)
    with pytest.raises(PredictionError, match=r"1 id in 'id' more than once .*first: a"):
        read_predictions(table(id=ids[2:], y_score=P[2:]), twice)


def test_no_prediction_for_the_evaluated_rows() -> None:
    data = evalset(split=["train"] * 6 + ["test"] * 6)
    with pytest.raises(PredictionError, match="no prediction for any of the 6 evaluated rows"):
        read_predictions(table(id=[f"{i:03d}" for i in range(1, 7)], y_score=P[:6]), data)


def test_a_file_in_another_order_is_noticed() -> None:
    data = evalset()
    raw = read_predictions(table(y=["yes", "no", "no"] * 4, y_pred=LABELS), data)
    assert any("8 of 12 rows: the rows may be in another order" in note for note in raw.notes)
    same = read_predictions(table(y=["no", "yes", "no"] * 4, y_pred=LABELS), data)
    assert not any("another order" in note for note in same.notes)


def test_missing_values_stay_missing() -> None:
    raw = read_predictions(
        table(y_pred=["no", None, *LABELS[2:]], proba_yes=[np.nan, *P[1:]]), evalset()
    )
    assert raw.labels is not None
    assert raw.labels[1] is None
    assert np.isnan(np.ravel(raw.scores)[0])  # type: ignore[arg-type]


def test_integer_and_boolean_labels_keep_their_type() -> None:
    whole = read_predictions(table(y_pred=[0, 1] * 6), evalset(y=[0, 1, 1] * 4))
    assert np.asarray(whole.labels).dtype.kind == "i"
    flags = read_predictions(table(y_pred=[True, False] * 6), evalset(y=[True, False, True] * 4))
    assert list(np.asarray(flags.labels)) == [True, False] * 6


# One file with the truth and the predictions


def test_one_file_with_one_model() -> None:
    data, answers = evalset_and_predictions(
        table(y_true=LABELS, y_pred=["no"] * N, proba_no=1 - P, proba_yes=P, age=range(N))
    )
    assert list(answers) == ["p"]
    assert data.roles.features == ("age",)
    assert data.roles.target == ("y_true",)
    raw = answers["p"]
    assert raw.classes == ["no", "yes"]
    assert list(np.asarray(raw.labels)) == ["no"] * N


def test_one_file_with_several_models() -> None:
    _, answers = evalset_and_predictions(
        table(label=LABELS, score_Forest=P, score_Linear=1 - P, Forest_pred=LABELS, x=range(N))
    )
    assert list(answers) == ["Forest", "Linear"]
    assert list(np.asarray(answers["Forest"].labels)) == LABELS
    np.testing.assert_array_equal(np.ravel(answers["Linear"].scores), 1 - P)  # type: ignore[arg-type]


def test_one_file_with_models_and_classes() -> None:
    _, answers = evalset_and_predictions(
        table(target=["a", "b", "c"] * 4, **{f"proba_{m}_{c}": P for m in "uv" for c in "abc"})
    )
    assert {name: raw.classes for name, raw in answers.items()} == {
        "u": ["a", "b", "c"],
        "v": ["a", "b", "c"],
    }


def test_one_file_of_a_regression() -> None:
    data, answers = evalset_and_predictions(
        table(price=P * 9, pred_tree=P, pred_forest=P * 2, credit_score=range(N)), target="price"
    )
    assert data.target.task is Task.REGRESSION
    assert list(answers) == ["tree", "forest"]
    assert data.roles.features == ("credit_score",)


def test_one_file_without_truth_or_without_predictions() -> None:
    with pytest.raises(DataError, match="named like the truth"):
        evalset_and_predictions(table(a=LABELS, y_pred=LABELS))
    with pytest.raises(PredictionError, match="named like a prediction"):
        evalset_and_predictions(table(y_true=LABELS, a=LABELS))
