"""XGBoost, LightGBM and CatBoost: native files, pickles, skops; equal to the library itself."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import catboost
import joblib
import lightgbm
import numpy as np
import pandas as pd
import pytest
import skops.io
import xgboost
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, VotingClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from dashboard.contracts import Predictions, RawPredictions, ScoreKind
from dashboard.data import evalset_from_frame
from dashboard.errors import ModelError, ParameterError
from dashboard.models import BoosterModel, adapt, identify, load_model, load_native

N = 120
RNG = np.random.default_rng(0)
TABLE = pd.DataFrame(  # as a table from a file: categories are text
    {
        "age": RNG.normal(size=N),
        "city": RNG.choice(["Oslo", "Rome", "Bern"], N).astype(object),
        "net income": RNG.normal(size=N),
    }
)
SIGNAL = TABLE["age"] + (TABLE["city"] == "Rome")
TABLE.loc[[3, 50], ["age", "city"]] = np.nan
TYPED = TABLE.astype({"city": "category"})
NUMBERS = TABLE[["age", "net income"]]
ARRAY = NUMBERS.to_numpy()
BINARY = (SIGNAL > 0.3).astype(int).to_numpy()
WORDS = np.where(BINARY == 1, "yes", "no")
CODES = np.digitize(SIGNAL, [-0.3, 0.8])
THREE = np.array(["high", "low", "mid"])[CODES]
VALUES = (2 * SIGNAL).to_numpy()
LABELS = np.column_stack([BINARY, TABLE["net income"] > 0]).astype(int)
OUTPUTS = np.column_stack([VALUES, -VALUES])


def xgb(kind: str = "Classifier", **settings: Any) -> Any:
    return getattr(xgboost, f"XGB{kind}")(
        n_estimators=4, n_jobs=1, enable_categorical=True, **settings
    )


def lgb(kind: str = "Classifier", **settings: Any) -> Any:
    return getattr(lightgbm, f"LGBM{kind}")(
        n_estimators=4, n_jobs=1, min_child_samples=5, verbose=-1, **settings
    )


def cat(kind: str = "Classifier", **settings: Any) -> Any:
    return getattr(catboost, f"CatBoost{kind}")(
        iterations=4, depth=3, verbose=0, thread_count=1, allow_writing_files=False, **settings
    )


def raw_of(model: Any, features: Any, form: str, folder: Path) -> bytes:
    """The model as a file of one form."""
    if form == "pickle":
        return pickle.dumps(model)
    if form == "joblib":
        buffer = io.BytesIO()
        joblib.dump(model, buffer, compress=3)
        return buffer.getvalue()
    if form == "skops":
        return skops.io.dumps(model)
    if form in ("json", "ubj"):
        return bytes(model.get_booster().save_raw(form))
    if form == "txt":
        return model.booster_.model_to_string().encode()
    path = folder / "model"
    if form == "cat-json":
        pool = catboost.Pool(features, cat_features=model.get_cat_feature_indices())
        model.save_model(str(path), format="json", pool=pool)
    else:
        model.save_model(str(path), format="cbm")
    return path.read_bytes()


def answers(raw: RawPredictions) -> Any:
    return np.asarray(raw.labels if raw.scores is None else raw.scores)


def native_answers(model: Any, features: Any) -> Any:
    """Probabilities of a classifier, values of a regressor, by the library itself."""
    if not hasattr(model, "predict_proba"):
        return np.asarray(model.predict(features))
    return np.asarray(model.predict_proba(features))


def assert_equal(ours: Any, native: Any, tolerance: float = 1e-12) -> None:
    if ours.ndim == 1 and native.ndim == 2:
        native = native[:, -1]
    np.testing.assert_allclose(ours, native, rtol=0, atol=tolerance)


CASES: dict[str, tuple[Callable[[], Any], Any, Any]] = {
    "xgboost, binary": (lambda: xgb(), TYPED, BINARY),
    "xgboost, three classes": (lambda: xgb(), TYPED, CODES),
    "xgboost, softmax": (lambda: xgb(objective="multi:softmax"), TYPED, CODES),
    "xgboost, regression": (lambda: xgb("Regressor"), TYPED, VALUES),
    "xgboost, counts": (lambda: xgb("Regressor", objective="count:poisson"), TYPED, CODES),
    "xgboost, labels": (lambda: xgb(), NUMBERS, LABELS),
    "xgboost, outputs": (lambda: xgb("Regressor"), ARRAY, OUTPUTS),
    "xgboost, trees of outputs": (
        lambda: xgb("Regressor", multi_strategy="multi_output_tree"),
        NUMBERS,
        OUTPUTS,
    ),
    "xgboost, dart": (lambda: xgb(booster="dart"), TYPED, BINARY),
    "xgboost, linear": (lambda: xgb("Regressor", booster="gblinear"), NUMBERS.fillna(0), VALUES),
    "xgboost, random forest": (lambda: xgb("RFClassifier"), ARRAY, BINARY),
    "lightgbm, binary": (lambda: lgb(), TYPED, WORDS),
    "lightgbm, three classes": (lambda: lgb(), TYPED, THREE),
    "lightgbm, one against the rest": (lambda: lgb(objective="multiclassova"), TYPED, THREE),
    "lightgbm, regression": (lambda: lgb("Regressor"), TYPED, VALUES),
    "lightgbm, counts": (lambda: lgb("Regressor", objective="poisson"), ARRAY, CODES),
    "lightgbm, array": (lambda: lgb(), ARRAY, BINARY),
    "catboost, binary": (lambda: cat(cat_features=["city"]), TABLE.fillna({"city": "nan"}), WORDS),
    "catboost, three classes": (
        lambda: cat(cat_features=["city"]),
        TABLE.fillna({"city": "nan"}),
        THREE,
    ),
    "catboost, regression": (
        lambda: cat("Regressor", cat_features=["city"]),
        TABLE.fillna({"city": "nan"}),
        VALUES,
    ),
    "catboost, labels": (lambda: cat(loss_function="MultiLogloss"), NUMBERS, LABELS),
    "catboost, outputs": (lambda: cat("Regressor", loss_function="MultiRMSE"), ARRAY, OUTPUTS),
    "catboost, array": (lambda: cat(), ARRAY, BINARY),
}
NATIVE = {"xgboost": ("json", "ubj"), "lightgbm": ("txt",), "catboost": ("cbm", "cat-json")}
KINDS = {"pickle": "pickle", "joblib": "joblib", "skops": "skops"}


@pytest.mark.parametrize("case", list(CASES))
def test_answers_equal_the_library_in_every_form(case: str, tmp_path: Path) -> None:
    make, features, target = CASES[case]
    native = make().fit(features, target)
    expected = native_answers(native, features)
    library = case.partition(",")[0]
    tolerance = 1e-6 if library == "xgboost" else 1e-12  # XGBoost computes in single precision
    # What is evaluated has text and gaps as a table from a file has them.
    given = TABLE[list(features.columns)] if features is TYPED else features
    given = TABLE if isinstance(features, pd.DataFrame) and "city" in features else given
    for form in (*NATIVE[library], "pickle", "joblib", "skops"):
        if form == "cat-json" and target is OUTPUTS:
            continue  # CatBoost writes no JSON for these
        content = raw_of(native, features, form, tmp_path)
        assert identify(content, "model.bin") == KINDS.get(form, library)
        model = load_native(content, "model.bin")
        raw = model.predict(given)
        assert_equal(answers(raw), expected, tolerance)
        assert model.info.task_hint == ("classifier" if case_classifies(native) else "regressor")
        if isinstance(features, pd.DataFrame):
            names = tuple(name.replace(" ", "_") for name in features)
            assert model.info.feature_names in (tuple(features), names)
        else:
            assert (model.info.feature_names, model.info.n_features) in ((None, 2), (None, None))


def case_classifies(native: Any) -> bool:
    return hasattr(native, "predict_proba")


@pytest.mark.parametrize("form", ["ubj", "txt", "cbm", "cat-json"])
def test_native_files_through_the_confined_worker(form: str, tmp_path: Path) -> None:
    library = {"ubj": "xgboost", "txt": "lightgbm"}.get(form, "catboost")
    make, features, target = CASES[f"{library}, binary"]
    native = make().fit(features, target)
    model = load_model(raw_of(native, features, form, tmp_path), f"model.{form}")
    raw = model.predict(TABLE)
    assert_equal(answers(raw), native_answers(native, features), 1e-6)
    assert model.info.format == library


def test_native_answers_are_understood_beside_the_truth() -> None:
    table = TABLE.assign(truth=WORDS)
    target = evalset_from_frame(table, target="truth").target
    booster = lgb().fit(TYPED, WORDS).booster_.model_to_string().encode()
    model = load_native(booster, "loans.txt")
    assert "does not keep the names of the classes" in model.info.notes[0]
    assert model.info.kind == "LightGBM booster, 4 rounds, objective binary"
    found = Predictions.normalise(model.predict(TABLE), target, name="loans")
    expected = lgb().fit(TYPED, WORDS).predict_proba(TYPED)[:, 1]
    np.testing.assert_array_equal(found.y_score, expected)
    assert "Labels 0, 1 are read as codes" in found.notes[0]
    wide = load_native(raw_of(xgb().fit(TYPED, CODES), TYPED, "ubj", Path()), "x.ubj")
    three = evalset_from_frame(TABLE.assign(truth=THREE), target="truth").target
    scores = Predictions.normalise(wide.predict(TABLE), three, name="x").y_score
    np.testing.assert_allclose(scores, xgb().fit(TYPED, CODES).predict_proba(TYPED), atol=1e-6)


@pytest.mark.parametrize(
    ("objective", "kind"),
    [
        ("binary:logistic", ScoreKind.PROBABILITY),
        ("binary:logitraw", ScoreKind.LOGIT),
        ("binary:hinge", None),
    ],
)
def test_the_objective_says_what_the_answers_mean(objective: str, kind: ScoreKind | None) -> None:
    rows = xgboost.DMatrix(NUMBERS, BINARY)
    booster = xgboost.train({"objective": objective, "nthread": 1}, rows, num_boost_round=3)
    raw = load_native(bytes(booster.save_raw("json")), "m.json").predict(NUMBERS)
    assert raw.score_kind is kind
    np.testing.assert_array_equal(answers(raw), booster.predict(rows))
    assert (raw.labels is None) is (kind is not None)
    same = adapt(booster).predict(NUMBERS)
    np.testing.assert_array_equal(answers(same), answers(raw))


def test_labels_of_several_kinds_are_independent() -> None:
    content = raw_of(xgb().fit(NUMBERS, LABELS), NUMBERS, "ubj", Path())
    assert load_native(content, "m.ubj").predict(NUMBERS).score_kind is ScoreKind.INDEPENDENT
    ova = lgb(objective="multiclassova").fit(NUMBERS, THREE).booster_
    assert adapt(ova).predict(NUMBERS).score_kind is None


def test_early_stopping_is_kept() -> None:
    half = {"eval_set": [(NUMBERS[::-1], BINARY)], "verbose": False}
    native = xgboost.XGBClassifier(
        n_estimators=60, early_stopping_rounds=3, learning_rate=1.0, n_jobs=1
    ).fit(NUMBERS, BINARY, **half)
    assert native.best_iteration + 1 < native.get_booster().num_boosted_rounds()
    model = load_native(raw_of(native, NUMBERS, "ubj", Path()), "m.ubj")
    assert_equal(answers(model.predict(NUMBERS)), native.predict_proba(NUMBERS), 1e-6)
    assert model.info.notes[0].startswith(f"Early stopping chose {native.best_iteration + 1:,} of")


@pytest.mark.parametrize("form", ["ubj", "txt", "pickle"])
def test_values_never_seen_count_as_missing_and_are_said(form: str) -> None:
    native = (lgb() if form == "txt" else xgb()).fit(TYPED, BINARY)
    model = load_native(raw_of(native, TYPED, form, Path()), "m")
    new = TABLE.assign(city=TABLE["city"].where(TABLE["city"] != "Bern", "Lima"))
    raw = model.predict(new)
    unseen = int((TABLE["city"] == "Bern").sum())
    assert raw.notes == (
        f"{unseen} values of city were never seen in training; they count as missing.",
    )
    gone = TYPED.assign(city=TYPED["city"].where(TYPED["city"] != "Bern"))
    assert_equal(answers(raw), native_answers(native, gone), 1e-6)


def test_categories_are_matched_by_value_whatever_their_order_and_type() -> None:
    native = xgb().fit(TYPED, BINARY)
    model = load_native(raw_of(native, TYPED, "json", Path()), "m.json")
    expected = native_answers(native, TYPED)
    turned = TABLE.assign(city=pd.Categorical(TABLE["city"], ["Rome", "Oslo", "Bern"]))
    assert_equal(answers(model.predict(turned)), expected, 1e-6)
    assert_equal(answers(model.predict(TABLE.convert_dtypes())), expected, 1e-6)
    floor = RNG.integers(0, 3, N)
    typed = NUMBERS.assign(floor=pd.Categorical(floor))
    for made in (xgb(), lgb()):
        counted = made.fit(typed, BINARY)
        loaded = load_native(pickle.dumps(counted), "m.pkl")
        for written in (floor, floor.astype(float), floor.astype(str)):
            ours = answers(loaded.predict(NUMBERS.assign(floor=written)))
            assert_equal(ours, native_answers(counted, typed), 1e-6)


def test_values_that_are_no_category_are_named() -> None:
    for made, features in (
        (xgb(), TYPED),
        (cat(cat_features=["city"]), TABLE.fillna({"city": ""})),
    ):
        model = adapt(made.fit(features, BINARY), "m")
        odd = TABLE.assign(city=pd.Series([["a"], {"b": 1}] * (N // 2), dtype=object))
        with pytest.raises(ModelError, match="m reads city as categories, and it holds lists"):
            model.predict(odd)


def test_codes_without_their_categories_are_not_guessed() -> None:
    content = json.loads(raw_of(xgb().fit(TYPED, BINARY), TYPED, "json", Path()))
    trees = content["learner"]["gradient_booster"]["model"]
    trees["cats"] = {"enc": [], "feature_segments": [], "sorted_idx": []}  # as before 3.1
    old = load_native(json.dumps(content).encode(), "old.json")
    with pytest.raises(ModelError, match=r"does not record which number stands for which.*3\.1"):
        old.predict(TABLE)
    codes = TABLE.assign(city=TYPED["city"].cat.codes.replace(-1, np.nan))
    expected = native_answers(xgb().fit(TYPED, BINARY), TYPED)
    assert_equal(answers(old.predict(codes)), expected, 1e-6)


def test_histogram_boosting_reads_text_as_the_categories_of_its_training() -> None:
    native = HistGradientBoostingClassifier(max_iter=4).fit(TYPED, BINARY)
    ours = load_native(pickle.dumps(native), "m.pkl").predict(TABLE)
    np.testing.assert_array_equal(ours.scores, native.predict_proba(TYPED))


def test_missing_categories_of_catboost_are_text_and_said() -> None:
    native = cat(cat_features=["city"]).fit(TABLE.fillna({"city": "nan"}), BINARY)
    raw = adapt(native).predict(TABLE)
    assert raw.notes == ('Missing values of city are given as the text "nan".',)
    floor = np.where(np.arange(N) % 7 == 0, np.nan, np.arange(N) % 3)
    words = pd.Series(floor).map({0.0: "0", 1.0: "1", 2.0: "2"}).fillna("nan")
    counted = cat(cat_features=["floor"]).fit(NUMBERS.assign(floor=words), BINARY)
    ours = adapt(counted).predict(NUMBERS.assign(floor=floor))
    expected = counted.predict_proba(NUMBERS.assign(floor=words))
    np.testing.assert_array_equal(ours.scores, expected)


INSIDE: dict[str, tuple[Callable[[], Any], Any]] = {
    "xgboost behind encoders": (
        lambda: make_pipeline(
            make_column_transformer((OneHotEncoder(), ["city"]), remainder="passthrough"), xgb()
        ),
        BINARY,
    ),
    "lightgbm behind encoders": (
        lambda: make_pipeline(
            make_column_transformer((OrdinalEncoder(), ["city"]), remainder="passthrough"), lgb()
        ),
        THREE,
    ),
    "catboost behind encoders": (
        lambda: make_pipeline(
            make_column_transformer((OneHotEncoder(), ["city"]), remainder="passthrough"),
            cat("Regressor"),
        ),
        VALUES,
    ),
    "a search over xgboost": (
        lambda: GridSearchCV(xgb("Regressor"), {"max_depth": [2, 3]}, cv=2),
        VALUES,
    ),
    "lightgbm with a transformed target": (
        lambda: TransformedTargetRegressor(lgb("Regressor"), func=np.exp, inverse_func=np.log),
        VALUES,
    ),
    "calibrated xgboost": (
        lambda: make_pipeline(
            make_column_transformer((OneHotEncoder(), ["city"]), remainder="passthrough"),
            CalibratedClassifierCV(xgb(), cv=2),
        ),
        BINARY,
    ),
    "a vote of three libraries": (
        lambda: make_pipeline(
            make_column_transformer((OneHotEncoder(), ["city"]), remainder="passthrough"),
            VotingClassifier([("x", xgb()), ("l", lgb()), ("c", cat())], voting="soft"),
        ),
        BINARY,
    ),
}


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.parametrize("case", list(INSIDE))
def test_boosters_inside_estimators(case: str) -> None:
    make, target = INSIDE[case]
    plain = "behind" in case or "calibrated" in case or "vote" in case
    native = make().fit(TABLE if plain else TYPED, target)
    expected = native_answers(native, TABLE if plain else TYPED)
    for form in ("pickle", "joblib", "skops"):
        raw = load_native(raw_of(native, TABLE, form, Path()), "m").predict(TABLE)
        assert_equal(answers(raw), expected, 1e-12)


def test_versions_are_said_when_they_differ() -> None:
    native = xgb().fit(TYPED, BINARY)
    current = load_native(raw_of(native, TYPED, "json", Path()), "m.json")
    assert current.info.notes == ()
    content = json.loads(raw_of(native, TYPED, "json", Path()))
    content["version"] = [3, 1, 9]
    notes = load_native(json.dumps(content).encode(), "m.json").info.notes
    assert notes[0].startswith("Saved with XGBoost 3.1.9; opened with ")
    binary = raw_of(native, TYPED, "ubj", Path())
    at = binary.rindex(b"version[#") + len(b"version[#L") + 8
    older = binary[: at + 3] + b"\x01" + binary[at + 4 :]
    assert load_native(older, "m.ubj").info.notes[0].startswith("Saved with XGBoost 3.1.")


def test_damaged_files_are_one_sentence(tmp_path: Path) -> None:
    text = raw_of(lgb().fit(TYPED, BINARY), TYPED, "txt", tmp_path)
    cut = [text[: len(text) // 3], text[: text.index(b"end of trees") - 40]]
    short = text.replace(b"leaf_value=", b"leaf_value=1 ", 1)
    for content in (*cut, short, text.replace(b"tree_sizes", b"tree_sizez")):
        with pytest.raises(ModelError, match=r"m\.txt is damaged.*trees are (missing|not as long)"):
            load_native(content, "m.txt")
    ubj = raw_of(xgb().fit(TYPED, BINARY), TYPED, "json", tmp_path)
    cbm = raw_of(cat().fit(NUMBERS, BINARY), NUMBERS, "cbm", tmp_path)
    for name, content in {"m.json": ubj, "m.cbm": cbm}.items():
        with pytest.raises(ModelError, match=r"is damaged or was written by a version") as caught:
            load_native(content[: len(content) // 2], name)
        assert "\n" not in str(caught.value)
        assert str(tmp_path) not in str(caught.value)


def test_what_is_no_fitted_booster() -> None:
    with pytest.raises(ParameterError, match="is not fitted"):
        adapt(catboost.CatBoostClassifier())
    with pytest.raises(ParameterError, match="is not fitted"):
        adapt(xgboost.XGBClassifier())
    with pytest.raises(ParameterError, match="no booster of XGBoost or LightGBM"):
        BoosterModel(object(), name="x")
    with pytest.raises(ModelError, match="failed on these rows"):
        adapt(lgb().fit(NUMBERS, BINARY)).predict(NUMBERS.assign(age="old"))
    with pytest.raises(ModelError, match=r"m was fitted on 3 columns.*net income|net_income"):
        adapt(xgb().fit(TYPED, BINARY).get_booster(), "m").predict(NUMBERS)
