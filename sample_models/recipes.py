"""One recipe a sample: make the data, fit the models, write the files, say what they are.

A recipe returns the sample's entry for the manifest; digests, sizes and scores are added by
`build.py`, which reads the written files back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_predict, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    StandardScaler,
)
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeRegressor

from . import growing, networks, stories, synthetic
from .writing import write_csv, write_npz, write_parquet, write_skops

Entry = dict[str, Any]

LOAN_NUMBERS = [
    "age",
    "income",
    "debt_ratio",
    "late_payments",
    "months_of_history",
    "amount",
    "term_months",
    "has_guarantor",
]
LOAN_TEXTS = ["employment", "region", "home", "purpose"]


def _model(file: str, name: str, **more: Any) -> Entry:
    return {"file": file, "name": name, "kind": "model", **more}


def _split(n: int, share: float, stratify: np.ndarray | None, seed: int) -> np.ndarray:
    """ "train" or "test" for each of n rows."""
    rows = np.arange(n)
    _, test = train_test_split(rows, test_size=share, random_state=seed, stratify=stratify)
    return np.where(np.isin(rows, test), "test", "train")


def _loan_models() -> dict[str, Pipeline]:
    """Three pipelines on the raw columns, text and missing values included."""
    words = OneHotEncoder(handle_unknown="ignore", sparse_output=False, min_frequency=20)
    scaled = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    linear = make_pipeline(
        ColumnTransformer([("text", words, LOAN_TEXTS), ("number", scaled, LOAN_NUMBERS)]),
        LogisticRegression(max_iter=2_000),
    )
    codes = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=np.nan, encoded_missing_value=np.nan
    )
    boosting = make_pipeline(
        ColumnTransformer([("text", codes, LOAN_TEXTS), ("number", "passthrough", LOAN_NUMBERS)]),
        HistGradientBoostingClassifier(
            categorical_features=[0, 1, 2, 3],
            learning_rate=0.06,
            max_iter=120,
            max_leaf_nodes=12,
            min_samples_leaf=40,
            l2_regularization=1.0,
            random_state=1,
        ),
    )
    filled = SimpleImputer(strategy="median", add_indicator=True)
    forest = make_pipeline(
        ColumnTransformer([("text", words, LOAN_TEXTS), ("number", filled, LOAN_NUMBERS)]),
        RandomForestClassifier(
            n_estimators=80, min_samples_leaf=12, class_weight="balanced", random_state=1
        ),
    )
    return {"logistic": linear, "boosting": boosting, "forest": forest}


def make_loans(folder: Path) -> Entry:
    """Four kinds of model, and a slice where all of them fail."""
    frame = synthetic.make_loans()
    write_parquet(folder / "loans.parquet", frame)
    train = frame[frame["split"] == "train"]
    X, y = train[LOAN_NUMBERS + LOAN_TEXTS], train["default"].to_numpy(dtype=object)
    X = X.astype(dict.fromkeys(LOAN_TEXTS, object))
    for file, model in _loan_models().items():
        write_skops(folder / f"{file}.skops", model.fit(X, y))
    yes = train["default"].eq("yes").to_numpy()
    networks.train_loans(folder, train, yes, LOAN_NUMBERS, LOAN_TEXTS)
    return {
        "key": "loans",
        "title": "Loan defaults",
        "sentence": "12,000 loans of which 8 % default. Accuracy hardly beats always saying no and "
        "hides how well each model ranks; all of them fail on self-employed customers with less "
        "than two years of credit history.",
        "task": "binary",
        "data": "loans.parquet",
        "target": ["default"],
        "pos_label": "yes",
        "roles": {
            "id": "loan_id",
            "group": "customer_id",
            "time": "applied_on",
            "split": "split",
            "ignore": [],
        },
        "split_value": "test",
        "threshold": 0.5,
        "headline": "boosting.skops",
        "features": LOAN_NUMBERS + LOAN_TEXTS,
        "weak_slice": {
            "employment": synthetic.WEAK_EMPLOYMENT,
            "months_of_history_below": synthetic.WEAK_HISTORY,
            "default_rate": synthetic.WEAK_DEFAULT_RATE,
        },
        "models": [
            _model("logistic.skops", "Logistic regression"),
            _model("boosting.skops", "Histogram boosting"),
            _model("forest.skops", "Random forest, 80 trees, balanced weights"),
            _model("network.keras", "Keras network"),
        ],
        "histories": ["network_history.csv", "network_history.json"],
    }


def make_cancer(folder: Path) -> Entry:
    """Breast cancer: the ranking is nearly perfect, and the threshold decides who is missed."""
    bunch = load_breast_cancer(as_frame=True)
    frame = bunch.data.rename(columns=lambda name: name.replace(" ", "_"))
    features = list(frame.columns)
    truth = np.where(bunch.target.to_numpy() == 0, "malignant", "benign")
    frame.insert(0, "sample_id", [f"B{i:03d}" for i in range(1, len(frame) + 1)])
    frame["diagnosis"], frame["split"] = truth, _split(len(frame), 0.4, truth, 3)
    write_csv(folder / "cancer.csv", frame)
    train = frame[frame["split"] == "train"]
    X, y = train[features], train["diagnosis"].to_numpy(dtype=object)
    models = {
        "logistic": make_pipeline(StandardScaler(), LogisticRegression(C=0.3, max_iter=1_000)),
        "forest": RandomForestClassifier(n_estimators=100, min_samples_leaf=2, random_state=3),
        "svm": make_pipeline(StandardScaler(), SVC(C=1.5)),
    }
    for file, model in models.items():
        write_skops(folder / f"{file}.skops", model.fit(X, y))
    return {
        "key": "cancer",
        "title": "Breast cancer",
        "sentence": "A missed tumour costs more than a false alarm: three models rank the samples "
        "almost perfectly, so the threshold decides how many malignant ones are missed. The "
        "support vector machine gives decision scores, not probabilities.",
        "task": "binary",
        "data": "cancer.csv",
        "target": ["diagnosis"],
        "pos_label": "malignant",
        "roles": {"id": "sample_id", "split": "split", "ignore": []},
        "split_value": "test",
        "threshold": 0.5,
        "headline": "logistic.skops",
        "features": features,
        "models": [
            _model("logistic.skops", "Logistic regression"),
            _model("forest.skops", "Random forest"),
            _model("svm.skops", "Support vector machine"),
        ],
    }


def make_digits(folder: Path) -> Entry:
    """Ten classes of 8 × 8 images: which digit swallows which?"""
    bunch = load_digits()
    X, y = bunch.images.astype("uint8"), bunch.target.astype("int64")
    split = _split(len(y), 0.4, y, 4)
    write_npz(folder / "digits.npz", {"X": X, "y": y, "split": split})
    train = split == "train"
    flat = X[train].reshape(train.sum(), 64).astype("float64")
    models = {
        "linear": make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=1_000)),
        "forest": RandomForestClassifier(n_estimators=80, random_state=4),
    }
    for file, model in models.items():
        write_skops(folder / f"{file}.skops", model.fit(flat, y[train]))
    write_skops(folder / "hidden_16.skops", growing.fit_network(flat, y[train]))
    growing.write_sizes(folder, bunch.data, bunch.target)
    networks.train_digits(folder, X[train], y[train])
    stories.train_stories(folder, bunch.images, bunch.target)
    return {
        "key": "digits",
        "title": "Handwritten digits",
        "sentence": "Ten classes of small images: the matrix with its diagonal left out shows "
        "which digits are taken for which others.",
        "task": "multiclass",
        "data": "digits.npz",
        "target": ["y"],
        "pos_label": None,
        "roles": {"split": "split", "ignore": []},
        "split_value": "test",
        "threshold": 0.5,
        "headline": "network.keras",
        "features": [],
        "models": [
            _model("linear.skops", "Logistic regression"),
            _model("forest.skops", "Random forest"),
            _model("network.keras", "Small convolution network"),
            _model("hidden_16.skops", growing.NAME),
        ],
        "size_tables": [growing.TABLE],
        "histories": ["network_history.csv", "network_history.json", stories.ARCHIVE],
    }


def _five_table(X: np.ndarray, truth: np.ndarray) -> pd.DataFrame:
    names = [f"pixel_{row}_{column}" for row in range(8) for column in range(8)]
    frame = pd.DataFrame(X.astype("int64"), columns=names)
    frame.insert(0, "image_id", [f"D{i:04d}" for i in range(1, len(X) + 1)])
    frame["digit"] = truth
    return frame


def _five_answers(
    X: np.ndarray, five: np.ndarray, image_id: pd.Series
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Labels and scores of both models for every row, cross-validated in three folds."""
    folds = StratifiedKFold(3)
    decision = cross_val_predict(
        SGDClassifier(random_state=42), X, five, cv=folds, method="decision_function"
    )
    share = cross_val_predict(
        RandomForestClassifier(random_state=42), X, five, cv=folds, method="predict_proba"
    )[:, 1]
    by_sgd = pd.DataFrame({"image_id": image_id})
    by_sgd["prediction"], by_sgd["decision_5"] = np.where(decision > 0, "5", "not 5"), decision
    by_forest = pd.DataFrame({"image_id": image_id})
    # The forest's own answer at an exact tie of its trees (one row) is the first class, not 5.
    by_forest["prediction"] = np.where(share > 0.5, "5", "not 5")
    by_forest["proba_5"] = share.round(12)
    return by_sgd, by_forest


def make_five(folder: Path) -> Entry:
    """The book's story. Every row is predicted by a model that was fitted without it."""
    X, digit = load_digits(return_X_y=True)
    five = digit == 5
    truth = np.where(five, "5", "not 5")
    frame = _five_table(X, truth)
    write_csv(folder / "five.csv", frame)
    by_sgd, by_forest = _five_answers(X, five, frame["image_id"])
    write_csv(folder / "sgd.csv", by_sgd)
    write_csv(folder / "forest.csv", by_forest)
    return {
        "key": "five",
        "title": "Is it a 5?",
        "sentence": "Accuracy is not enough: always answering no is right for 90 % of the digits. "
        "The forest has the better accuracy and the worse recall at .5, and its ranking is best: "
        "its threshold is to blame.",
        "task": "binary",
        "data": "five.csv",
        "target": ["digit"],
        "pos_label": "5",
        "roles": {"id": "image_id", "ignore": []},
        "split_value": None,
        "threshold": 0.5,
        "headline": "forest.csv",
        "features": list(frame.columns[1:-1]),
        "models": [
            {
                "file": "sgd.csv",
                "name": "Linear model (SGD), cross-validated",
                "kind": "predictions",
                "columns": _columns("image_id", {"decision_5": "5"}, "decision"),
            },
            {
                "file": "forest.csv",
                "name": "Random forest, cross-validated",
                "kind": "predictions",
                "columns": _columns("image_id", {"proba_5": "5"}, "probability"),
            },
        ],
    }


def make_diabetes(folder: Path) -> Entry:
    """Regression with 442 rows: a tree without limits learns the training part by heart."""
    bunch = load_diabetes(as_frame=True, scaled=False)
    frame = bunch.data.astype("float64")
    features = list(frame.columns)
    frame.insert(0, "patient_id", [f"P{i:03d}" for i in range(1, len(frame) + 1)])
    frame["progression"] = bunch.target.astype("float64")
    frame["split"] = _split(len(frame), 0.4, None, 5)
    write_csv(folder / "diabetes.csv", frame)
    train = frame[frame["split"] == "train"]
    X, y = train[features], train["progression"]
    models = {
        "linear": make_pipeline(StandardScaler(), LinearRegression()),
        "tree": DecisionTreeRegressor(random_state=5),
        "forest": RandomForestRegressor(n_estimators=100, min_samples_leaf=3, random_state=5),
        "boosting": GradientBoostingRegressor(
            n_estimators=80, learning_rate=0.05, max_depth=2, subsample=0.7, random_state=5
        ),
    }
    for file, model in models.items():
        write_skops(folder / f"{file}.skops", model.fit(X, y))
    return {
        "key": "diabetes",
        "title": "Diabetes progression",
        "sentence": "Memorising is not learning: the unpruned tree is perfect on the patients it "
        "was fitted on and the worst of all on the others.",
        "task": "regression",
        "data": "diabetes.csv",
        "target": ["progression"],
        "pos_label": None,
        "roles": {"id": "patient_id", "split": "split", "ignore": []},
        "split_value": "test",
        "threshold": 0.5,
        "headline": "linear.skops",
        "features": features,
        "models": [
            _model("linear.skops", "Linear regression"),
            _model("tree.skops", "Unpruned tree"),
            _model("forest.skops", "Random forest"),
            _model("boosting.skops", "Gradient boosting"),
        ],
    }


def make_parabola(folder: Path) -> Entry:
    """One split cannot tell the right degree from the one that is too flexible."""
    frame = synthetic.make_parabola()
    frame["split"] = _split(len(frame), 0.2, None, 10)
    write_csv(folder / "parabola.csv", frame)
    train = frame[frame["split"] == "train"]
    for degree in (1, 2, 10):
        powers = PolynomialFeatures(degree, include_bias=False)
        model = make_pipeline(powers, StandardScaler(), LinearRegression())
        write_skops(folder / f"degree_{degree}.skops", model.fit(train[["x"]], train["y"]))
    return {
        "key": "parabola",
        "title": "Noisy parabola",
        "sentence": "On one split the correct parabola looks as overfitted as a polynomial of "
        "degree 10. On Learning, folds that are repeated 5 times tell the three models apart.",
        "task": "regression",
        "data": "parabola.csv",
        "target": ["y"],
        "pos_label": None,
        "roles": {"split": "split", "ignore": []},
        "split_value": "test",
        "threshold": 0.5,
        "headline": "degree_2.skops",
        "features": ["x"],
        "models": [
            _model("degree_1.skops", "Line"),
            _model("degree_2.skops", "Parabola"),
            _model("degree_10.skops", "Polynomial of degree 10"),
        ],
    }


def _repeater(column: str) -> LinearRegression:
    """A linear regression on one column with slope 1 and intercept 0."""
    return LinearRegression().fit(pd.DataFrame({column: [0.0, 1.0]}), [0.0, 1.0])


def make_demand(folder: Path) -> Entry:
    """A high R² that means nothing: the series hardly changes from one hour to the next."""
    frame = synthetic.make_demand()
    write_parquet(folder / "demand.parquet", frame)
    lags, calendar = ["lag_1", "lag_24", "lag_168"], ["hour", "weekday"]
    train = frame[frame["split"] == "train"]
    honest = Pipeline(
        [
            (
                "columns",
                ColumnTransformer(
                    [
                        ("lags", StandardScaler(), lags),
                        ("calendar", OneHotEncoder(handle_unknown="ignore"), calendar),
                    ],
                    sparse_threshold=0,
                ),
            ),
            ("regression", LinearRegression()),
        ]
    ).fit(train[lags + calendar], train["load_mw"])
    write_skops(folder / "parrot.skops", _repeater("lag_1"))
    write_skops(folder / "last_week.skops", _repeater("lag_168"))
    write_skops(folder / "honest.skops", honest)
    return {
        "key": "demand",
        "title": "Electricity demand",
        "sentence": "The parrot repeats the last hour and reaches an R² of .93; against the last "
        "value as baseline its skill is nothing. The honest model knows hour and weekday, and "
        "beats the baseline.",
        "task": "regression",
        "data": "demand.parquet",
        "target": ["load_mw"],
        "pos_label": None,
        "roles": {"time": "timestamp", "split": "split", "ignore": []},
        "split_value": "test",
        "threshold": 0.5,
        "headline": "honest.skops",
        "features": lags + calendar,
        "models": [
            _model("parrot.skops", "Parrot: repeats the last hour"),
            _model("last_week.skops", "Same hour last week"),
            _model("honest.skops", "Honest model: lags, hour and weekday"),
        ],
    }


def _answers(
    model: Any, frame: pd.DataFrame, features: Sequence[str], order: Sequence[str], prefix: str
) -> pd.DataFrame:
    scores = pd.DataFrame(model.predict_proba(frame[features]).round(6), columns=model.classes_)
    table = pd.DataFrame({"customer_id": frame["customer_id"].to_numpy()})
    table["prediction"] = scores.idxmax(axis=1).to_numpy()
    for label in order:
        table[f"{prefix}{label}"] = scores[label].to_numpy()
    return table.sample(frac=1, random_state=9).reset_index(drop=True)


def make_churn(folder: Path) -> Entry:
    """No model at hand: what two of them said, in files whose rows are in another order."""
    frame = synthetic.make_churn()
    train, test = frame.iloc[:2_600], frame.iloc[2_600:].reset_index(drop=True)
    features = ["plan", "tenure_months", "support_calls", "price_rise"]
    plan = ColumnTransformer(
        [("plan", OneHotEncoder(sparse_output=False), ["plan"])], remainder=StandardScaler()
    )
    linear = make_pipeline(plan, LogisticRegression(max_iter=1_000, class_weight="balanced"))
    boosting = make_pipeline(
        plan,
        HistGradientBoostingClassifier(
            max_iter=60, learning_rate=0.06, max_leaf_nodes=8, random_state=6
        ),
    )
    write_csv(folder / "churn.csv", test)
    for file, model, order, prefix in (
        ("scorecard.csv", linear, ("stays", "leaves", "downgrades"), "proba_"),
        ("challenger.csv", boosting, ("downgrades", "leaves", "stays"), "p_"),
    ):
        model.fit(train[features], train["outcome"].to_numpy(dtype=object))
        write_csv(folder / file, _answers(model, test, features, order, prefix))
    return {
        "key": "churn_predictions",
        "title": "Churn, predictions only",
        "sentence": "No model file is needed: two tables of predictions are joined to the truth "
        "by customer, whatever the order of their rows and columns.",
        "task": "multiclass",
        "data": "churn.csv",
        "target": ["outcome"],
        "pos_label": None,
        "roles": {"id": "customer_id", "ignore": []},
        "split_value": None,
        "threshold": 0.5,
        "headline": "challenger.csv",
        "features": features,
        "models": [
            _churn_file("scorecard.csv", "Scorecard in use", "proba_"),
            _churn_file("challenger.csv", "Challenger (boosting)", "p_"),
        ],
    }


def _churn_file(file: str, name: str, prefix: str) -> Entry:
    scores = {f"{prefix}{label}": label for label in ("downgrades", "leaves", "stays")}
    columns = _columns("customer_id", scores, "probability")
    return {"file": file, "name": name, "kind": "predictions", "columns": columns}


def _columns(by: str, scores: dict[str, str], kind: str) -> Entry:
    return {"id": by, "label": "prediction", "scores": scores, "kind": kind}


RECIPES: dict[str, Callable[[Path], Entry]] = {
    "loans": make_loans,
    "cancer": make_cancer,
    "digits": make_digits,
    "five": make_five,
    "diabetes": make_diabetes,
    "parabola": make_parabola,
    "demand": make_demand,
    "churn_predictions": make_churn,
}
