"""Names that honest files of fitted models import; what else a file names is shown to the person.

Exact names only: a whole module is never known, for `numpy.load` and `joblib.load` unpickle. The
list decides what is worth a look, not what is opened; that is decided by the person, and what
opening can reach by the confined worker.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import lru_cache

from .allowed import TRUSTED

__all__ = ["LIBRARIES", "known_names"]

# Import name → the name to install it by, for libraries whose models people send.
LIBRARIES = {
    "autosklearn": "auto-sklearn",
    "catboost": "catboost",
    "category_encoders": "category-encoders",
    "cloudpickle": "cloudpickle",
    "cuml": "cuml",
    "dill": "dill",
    "feature_engine": "feature-engine",
    "flaml": "flaml",
    "glum": "glum",
    "h2o": "h2o",
    "hdbscan": "hdbscan",
    "imblearn": "imbalanced-learn",
    "interpret": "interpret",
    "joblib": "joblib",
    "keras": "keras",
    "lightgbm": "lightgbm",
    "mlflow": "mlflow",
    "mlxtend": "mlxtend",
    "nltk": "nltk",
    "numpy": "numpy",
    "onnxruntime": "onnxruntime",
    "optuna": "optuna",
    "optuna_integration": "optuna-integration",
    "pandas": "pandas",
    "polars": "polars",
    "prophet": "prophet",
    "pyarrow": "pyarrow",
    "pycaret": "pycaret",
    "pygam": "pygam",
    "pyspark": "pyspark",
    "quantile_forest": "quantile-forest",
    "sentence_transformers": "sentence-transformers",
    "scikeras": "scikeras",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "sklearn_pandas": "sklearn-pandas",
    "sklego": "scikit-lego",
    "skops": "skops",
    "skopt": "scikit-optimize",
    "skorch": "skorch",
    "sksurv": "scikit-survival",
    "spacy": "spacy",
    "statsmodels": "statsmodels",
    "tensorflow": "tensorflow",
    "torch": "torch",
    "tpot": "tpot",
    "transformers": "transformers",
    "umap": "umap-learn",
    "xgboost": "xgboost",
}


def _each(prefix: str, names: str) -> tuple[str, ...]:
    return tuple(prefix + name for name in names.split())


_LOSSES = (
    "HalfSquaredError AbsoluteError PinballLoss HuberLoss HalfPoissonLoss HalfGammaLoss "
    "HalfTweedieLoss HalfTweedieLossIdentity HalfBinomialLoss HalfMultinomialLoss ExponentialLoss"
)
_GENERATORS = "mt19937.MT19937 pcg64.PCG64 pcg64.PCG64DXSM philox.Philox sfc64.SFC64"
_ARRAYS = "multiarray._reconstruct multiarray.scalar numeric._frombuffer"

_KNOWN = (
    *_each("builtins.", "bool bytearray bytes complex dict float frozenset int list object"),
    *_each("builtins.", "range set slice str tuple"),
    "_codecs.encode",
    *_each("collections.", "OrderedDict defaultdict deque"),
    "copyreg._reconstructor",
    *_each("datetime.", "date datetime"),
    "joblib.numpy_pickle.NumpyArrayWrapper",
    *_each("numpy.", "ndarray dtype ma.MaskedArray ma.core.MaskedArray ma.core._mareconstruct"),
    *_each("numpy.core.", _ARRAYS),
    *_each("numpy._core.", _ARRAYS),
    *_each("numpy.random._", _GENERATORS),
    *_each(
        "numpy.random._pickle.",
        "__bit_generator_ctor __generator_ctor __randomstate_ctor",
    ),
    *_each("numpy.random.", "mtrand.RandomState _generator.Generator"),
    *_each("numpy.random.bit_generator.", "SeedSequence __pyx_unpickle_SeedSequence"),
    *_each("pandas.", "Categorical DataFrame Index RangeIndex Series StringDtype MultiIndex"),
    *_each("pandas.", "DatetimeIndex Timestamp arrays.ArrowStringArray arrays.DatetimeArray"),
    "pandas._libs.arrays.__pyx_unpickle_NDArrayBacked",
    "pandas._libs.internals._unpickle_block",
    *_each("pandas.core.", "frame.DataFrame series.Series indexes.base.Index"),
    *_each("pandas.core.", "indexes.base._new_Index indexes.range.RangeIndex"),
    *_each("pandas.core.internals.managers.", "BlockManager SingleBlockManager"),
    *_each("pyarrow.lib.", "_restore_array py_buffer type_for_alias"),
    *_each("sklearn._loss._loss.Cy", _LOSSES),
    *_each("sklearn._loss._loss.__pyx_unpickle_Cy", _LOSSES),
    *_each("sklearn.linear_model._sgd_fast.", "Hinge Log ModifiedHuber SquaredHinge SquaredLoss"),
    *_each("sklearn.linear_model._sgd_fast.", "Huber EpsilonInsensitive"),
    "sklearn.linear_model._sgd_fast.SquaredEpsilonInsensitive",
    "sklearn.metrics._dist_metrics.newObj",
    *_each("sklearn.neighbors.", "_ball_tree.newObj _kd_tree.newObj"),
    "xgboost.core.Booster",
    *_each("xgboost.sklearn.XGB", "Classifier Regressor Ranker RFClassifier RFRegressor"),
    "lightgbm.basic.Booster",
    *_each("lightgbm.sklearn.LGBM", "Classifier Regressor Ranker Model"),
    "catboost.core.CatBoost",
    *_each("catboost.core.CatBoost", "Classifier Regressor Ranker"),
)


_THEIRS = ("numpy.", "scipy.", "sklearn.")


class _Known(Collection[str]):
    """Ours, those of `allowed`, and those that skops trusts (public estimators and ufuncs).

    The last are listed by importing all of scikit-learn, so only for names that could be theirs:
    a file that names none of them is looked into a second earlier.
    """

    _ours = frozenset(_KNOWN).union(TRUSTED)

    def __contains__(self, name: object) -> bool:
        if name in self._ours:
            return True
        return str(name).startswith(_THEIRS) and name in _of_skops()

    def __iter__(self) -> Iterator[str]:
        return iter(self._ours | _of_skops())

    def __len__(self) -> int:
        return len(self._ours | _of_skops())


@lru_cache(maxsize=1)
def _of_skops() -> frozenset[str]:
    from skops.io import _trusted_types

    listed = (names for key, names in vars(_trusted_types).items() if key.endswith("TYPE_NAMES"))
    return frozenset(name for names in listed for name in names if name.startswith(_THEIRS))


_NAMES = _Known()


def known_names() -> Collection[str]:
    """The names of honest files; quick to ask, slow to go through."""
    return _NAMES
