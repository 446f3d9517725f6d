"""Where each column of a pipeline comes from: against scikit-learn's own names, and by hand."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest, VarianceThreshold
from sklearn.impute import KNNImputer, MissingIndicator, SimpleImputer
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)

from dashboard.explainers.sources import by_trial, follow

N = 60
NUMBERS, TEXTS = ["aa", "bb", "cc"], ["dd", "ee"]


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    numbers = rng.normal(size=(N, 3))
    numbers[rng.random((N, 3)) < 0.1] = np.nan
    texts = {name: rng.choice(["red", "green", "blue"], N) for name in TEXTS}
    return pd.DataFrame(numbers, columns=NUMBERS).assign(**texts).astype({"dd": object})


Y = np.tile([0, 1, 2], N // 3)


def by_name(step, given: pd.DataFrame) -> list[int]:
    """scikit-learn starts the name of every column that it makes with that of its source."""
    names = list(given.columns)
    made = [name.rpartition("__")[2] for name in step.get_feature_names_out()]
    made = [name.removeprefix("missingindicator_") for name in made]
    return [names.index(name[:2]) for name in made]


FILLED = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
NUMERIC = [
    StandardScaler(),
    SimpleImputer(add_indicator=True),
    MissingIndicator(features="all"),
    make_pipeline(SimpleImputer(), PowerTransformer()),
    make_pipeline(SimpleImputer(), QuantileTransformer(n_quantiles=10)),
    make_pipeline(SimpleImputer(), SplineTransformer(n_knots=4, include_bias=False)),
    make_pipeline(SimpleImputer(), KBinsDiscretizer(4, quantile_method="averaged_inverted_cdf")),
    make_pipeline(
        SimpleImputer(),
        KBinsDiscretizer(4, encode="ordinal", quantile_method="averaged_inverted_cdf"),
    ),
    make_pipeline(SimpleImputer(), SelectKBest(k=2), StandardScaler()),
    make_pipeline(SimpleImputer(), VarianceThreshold()),
    make_pipeline(SimpleImputer(), FunctionTransformer(np.abs, feature_names_out="one-to-one")),
    FeatureUnion([("one", SimpleImputer()), ("two", MissingIndicator(features="all"))]),
]


@pytest.mark.parametrize("step", NUMERIC, ids=lambda step: str(step)[:60].replace("\n", " "))
def test_numeric_steps_are_followed(step, frame: pd.DataFrame) -> None:
    given = frame[NUMBERS]
    step.fit(given, Y)
    made, found = follow(step, given.head(20), np.arange(3))
    assert found is not None
    assert found.tolist() == by_name(step, given)
    assert made.shape[1] == len(found)


def test_columns_go_different_ways_and_come_back(frame: pd.DataFrame) -> None:
    step = ColumnTransformer(
        [
            ("words", OneHotEncoder(sparse_output=False, min_frequency=5), ["ee", "dd"]),
            ("codes", make_pipeline(OrdinalEncoder(), StandardScaler()), ["dd"]),
            ("numbers", SimpleImputer(add_indicator=True), ["cc", "aa"]),
            ("out", "drop", ["aa"]),
        ],
        remainder="passthrough",
    ).fit(frame)
    _, found = follow(step, frame.head(9), np.arange(5))
    assert found is not None
    assert found.tolist() == by_name(step, frame)


def test_sources_of_a_second_step_go_back_to_the_first(frame: pd.DataFrame) -> None:
    step = make_pipeline(
        ColumnTransformer([("w", OneHotEncoder(sparse_output=False), TEXTS)], remainder=FILLED),
        SelectKBest(k=6),
    ).fit(frame, Y)
    _, found = follow(step, frame.head(9), np.array([7, 8, 9, 10, 11]))
    kept = step[-1].get_support()
    names = np.array([10, 10, 10, 11, 11, 11, 7, 8, 9])
    assert found is not None
    assert found.tolist() == names[kept].tolist()


def test_an_all_missing_column_is_left_out_by_the_imputer(frame: pd.DataFrame) -> None:
    given = frame[NUMBERS].assign(bb=np.nan)
    with pytest.warns(UserWarning, match="Skipping features"):
        step = SimpleImputer().fit(given)
        found = follow(step, given.head(5), np.arange(3))[1]
    assert found.tolist() == [0, 2]
    step = SimpleImputer(keep_empty_features=True).fit(given)
    assert follow(step, given.head(5), np.arange(3))[1].tolist() == [0, 1, 2]


def test_target_encodings_of_several_classes_stay_together(frame: pd.DataFrame) -> None:
    step = TargetEncoder(target_type="multiclass").fit(frame[TEXTS], Y)
    _, found = follow(step, frame[TEXTS].head(9), np.arange(2))
    assert found.tolist() == [0, 0, 0, 1, 1, 1]
    # and so it is when one column changes at a time
    assert by_trial(step.transform, frame[TEXTS], np.arange(2)).tolist() == found.tolist()


def test_words_of_one_column_of_text() -> None:
    texts = pd.DataFrame({"n": [1.0, 2.0, 3.0], "said": ["a bad day", "good day", "good"]})
    step = ColumnTransformer([("t", CountVectorizer(), "said"), ("n", "passthrough", ["n"])])
    _, found = follow(step.fit(texts), texts, np.arange(2))
    assert found.tolist() == [1, 1, 1, 0]
    step = TfidfVectorizer().fit(texts["said"])
    assert follow(step, texts["said"], np.array([4]))[1].tolist() == [4, 4, 4]


@pytest.mark.parametrize(
    "step",
    [
        PCA(2),
        Normalizer(),
        KNNImputer(),
        PolynomialFeatures(2),
        FunctionTransformer(partial(np.cumsum, axis=1)),
    ],
    ids=lambda step: type(step).__name__,
)
def test_steps_that_mix_columns_have_no_sources(step, frame: pd.DataFrame) -> None:
    given = pd.DataFrame(FILLED.fit_transform(frame[NUMBERS]), columns=NUMBERS)
    given.iloc[::4, 1] = np.nan if isinstance(step, KNNImputer) else given.iloc[0, 1]
    assert follow(step.fit(given), given, np.arange(3))[1] is None


def test_powers_of_one_column_are_followed() -> None:
    given = np.arange(12.0).reshape(6, 2)
    step = PolynomialFeatures(3).fit(given[:, :1])
    assert follow(step, given[:, :1], np.array([5]))[1].tolist() == [5, 5, 5, 5]
    step = PolynomialFeatures(1).fit(given)
    assert follow(step, given, np.array([5, 6]))[1].tolist() == [5, 5, 6]


def test_what_never_moves_has_no_known_source() -> None:
    given = np.arange(12.0).reshape(6, 2)

    def made(rows):
        return np.column_stack([rows[:, 0] * 2, np.zeros(len(rows))])

    assert by_trial(made, given, np.arange(2)) is None
    assert by_trial(lambda rows: rows[:, ::-1], given, np.arange(2)).tolist() == [1, 0]
    assert by_trial(lambda rows: rows[:, :1] + rows[:, 1:], given, np.arange(2)) is None
