"""What a .skops file may name beyond what skops itself trusts: exact names, each read and judged.

What is relied on (skops 0.16, read from its source):

- skops parses the whole file into nodes, audits every node against its own defaults and the list
  given, and constructs only then. Its defaults are scikit-learn's public estimators and losses,
  NumPy's and SciPy's ufuncs and dtypes, random generators, and built-in containers.
- The list given to skops is one list for all node kinds, so a name on it could also be *called*
  with arguments from the file (`ConstructorFromReduceNode`, `LossNode`) or partially applied.
  `check_schema` closes that: each name of ours is bound to the node kinds that honest files use
  for it, and node kinds that look up attributes or call operators (`MethodNode`,
  `OperatorFuncNode`, and the rest) are refused whole, whatever skops thinks of them.
- Older protocols have node classes of their own inside skops; only the current one is accepted.
- A type says nothing of its contents: `structure.check_structure` looks at the index arrays of
  trees and neighbours, which compiled code follows without bounds checks.

Judged and left out: `functools.partial` but for one validator; `joblib.memory.Memory` (unpickles
from a folder); `scipy.stats` distributions (`rv_generic.__setstate__` runs `exec` on text from its
state); plain Python functions; `PyFuncDistance`; Mahalanobis and standardised distances (buffers
read unchecked).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..errors import ModelError, UntrustedModel

__all__ = ["TRUSTED", "check_schema"]

_PROTOCOL = 2

# Node kinds that honest files of fitted estimators contain. Others are refused.
_LOADERS = frozenset(
    {
        "ObjectNode",
        "DictNode",
        "DefaultDictNode",
        "ListNode",
        "SetNode",
        "TupleNode",
        "SliceNode",
        "JsonNode",
        "BytesNode",
        "BytearrayNode",
        "TypeNode",
        "FunctionNode",
        "PartialNode",
        "NdArrayNode",
        "MaskedArrayNode",
        "DTypeNode",
        "SparseMatrixNode",
        "RandomStateNode",
        "RandomGeneratorNode",
        "LossNode",
        "TreeNode",
        "CachedNode",
    }
)

# Their states are numbers, texts and their own file format, which their own reader opens.
_BOOSTERS = (
    "catboost.core.CatBoost",
    "catboost.core.CatBoostClassifier",
    "catboost.core.CatBoostRegressor",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "lightgbm.sklearn.LGBMRegressor",
    "xgboost.core.Booster",
    "xgboost.sklearn.XGBClassifier",
    "xgboost.sklearn.XGBRFClassifier",
    "xgboost.sklearn.XGBRFRegressor",
    "xgboost.sklearn.XGBRegressor",
)

_SPLITTERS = tuple(
    f"sklearn.model_selection._split.{name}"
    for name in (
        "GroupKFold",
        "GroupShuffleSplit",
        "KFold",
        "LeaveOneGroupOut",
        "LeaveOneOut",
        "LeavePGroupsOut",
        "LeavePOut",
        "PredefinedSplit",
        "RepeatedKFold",
        "RepeatedStratifiedKFold",
        "ShuffleSplit",
        "StratifiedGroupKFold",
        "StratifiedKFold",
        "StratifiedShuffleSplit",
        "TimeSeriesSplit",
    )
)

# Pure data with numeric methods: built by `__new__` and filled with audited attributes.
_OBJECTS = (
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn._loss.loss.HalfTweedieLoss",
    "sklearn._loss.loss.HalfTweedieLossIdentity",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.calibration._TemperatureScaling",
    "sklearn.compose._column_transformer.make_column_selector",
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    "sklearn.gaussian_process.kernels.CompoundKernel",
    "sklearn.gaussian_process.kernels.ConstantKernel",
    "sklearn.gaussian_process.kernels.DotProduct",
    "sklearn.gaussian_process.kernels.ExpSineSquared",
    "sklearn.gaussian_process.kernels.Exponentiation",
    "sklearn.gaussian_process.kernels.Matern",
    "sklearn.gaussian_process.kernels.PairwiseKernel",
    "sklearn.gaussian_process.kernels.Product",
    "sklearn.gaussian_process.kernels.RBF",
    "sklearn.gaussian_process.kernels.RationalQuadratic",
    "sklearn.gaussian_process.kernels.Sum",
    "sklearn.gaussian_process.kernels.WhiteKernel",
    "sklearn.impute._iterative.IterativeImputer",
    "sklearn.metrics._dist_metrics.BrayCurtisDistance64",
    "sklearn.metrics._dist_metrics.CanberraDistance64",
    "sklearn.metrics._dist_metrics.ChebyshevDistance64",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.metrics._dist_metrics.HammingDistance64",
    "sklearn.metrics._dist_metrics.HaversineDistance64",
    "sklearn.metrics._dist_metrics.JaccardDistance64",
    "sklearn.metrics._dist_metrics.ManhattanDistance64",
    "sklearn.metrics._dist_metrics.MinkowskiDistance64",
    "sklearn.metrics._scorer._CurveScorer",
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.metrics._scorer._Scorer",
    "sklearn.model_selection._search_successive_halving.HalvingGridSearchCV",
    "sklearn.model_selection._search_successive_halving.HalvingRandomSearchCV",
    "sklearn.multiclass._ConstantPredictor",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.utils._metadata_requests.MetadataRequest",
    "sklearn.utils._metadata_requests.MethodMetadataRequest",
    "scipy.interpolate._bsplines.BSpline",
    "scipy.interpolate._bsplines._BSpline",  # inside the one above since SciPy 1.18
    *_SPLITTERS,
)

# Functions from arrays to numbers: no files, no attribute look-ups, no code from text.
_FUNCTIONS = (
    "numpy.clip",
    "numpy.nan_to_num",
    "numpy.round",
    "scipy._lib.array_api_compat.numpy._aliases.asarray",
    "sklearn.feature_selection._mutual_info.mutual_info_classif",
    "sklearn.feature_selection._mutual_info.mutual_info_regression",
    "sklearn.feature_selection._univariate_selection.chi2",
    "sklearn.feature_selection._univariate_selection.f_classif",
    "sklearn.feature_selection._univariate_selection.f_regression",
    "sklearn.feature_selection._univariate_selection.r_regression",
    "sklearn.metrics._classification.accuracy_score",
    "sklearn.metrics._classification.balanced_accuracy_score",
    "sklearn.metrics._classification.brier_score_loss",
    "sklearn.metrics._classification.cohen_kappa_score",
    "sklearn.metrics._classification.f1_score",
    "sklearn.metrics._classification.fbeta_score",
    "sklearn.metrics._classification.jaccard_score",
    "sklearn.metrics._classification.log_loss",
    "sklearn.metrics._classification.matthews_corrcoef",
    "sklearn.metrics._classification.precision_score",
    "sklearn.metrics._classification.recall_score",
    "sklearn.metrics._ranking.average_precision_score",
    "sklearn.metrics._ranking.roc_auc_score",
    "sklearn.metrics._ranking.top_k_accuracy_score",
    "sklearn.metrics._regression.explained_variance_score",
    "sklearn.metrics._regression.max_error",
    "sklearn.metrics._regression.mean_absolute_error",
    "sklearn.metrics._regression.mean_absolute_percentage_error",
    "sklearn.metrics._regression.mean_gamma_deviance",
    "sklearn.metrics._regression.mean_poisson_deviance",
    "sklearn.metrics._regression.mean_squared_error",
    "sklearn.metrics._regression.mean_squared_log_error",
    "sklearn.metrics._regression.median_absolute_error",
    "sklearn.metrics._regression.r2_score",
    "sklearn.metrics._regression.root_mean_squared_error",
    "sklearn.metrics._regression.root_mean_squared_log_error",
)

# What `make_column_selector(dtype_include=…)` names: families of dtypes, only compared.
_TYPES = (
    "builtins.object",
    "numpy.character",
    "numpy.complexfloating",
    "numpy.flexible",
    "numpy.floating",
    "numpy.generic",
    "numpy.inexact",
    "numpy.integer",
    "numpy.number",
    "numpy.signedinteger",
    "numpy.unsignedinteger",
    "pandas.CategoricalDtype",
    "pandas.core.dtypes.dtypes.CategoricalDtype",  # as pandas 2 calls it
)

# HistGradientBoosting with native categories keeps `partial(check_array, dtype=…)` as a step.
_VALIDATOR = "sklearn.utils.validation.check_array"

_BOUND: dict[str, frozenset[str]] = {
    "ObjectNode": frozenset((*_OBJECTS, *_BOOSTERS)),
    "FunctionNode": frozenset((*_FUNCTIONS, _VALIDATOR)),
    "PartialNode": frozenset({"functools.partial"}),
    "TreeNode": frozenset({"sklearn.tree._tree.Tree"}),
    "DTypeNode": frozenset({"numpy.dtype"}),
    "DictNode": frozenset({"sklearn.utils._bunch.Bunch"}),
    "TupleNode": frozenset({"sklearn.impute._iterative._ImputerTriplet"}),
    "TypeNode": frozenset((*_SPLITTERS, *_TYPES, "collections.OrderedDict")),
    "SparseMatrixNode": frozenset(
        {
            "scipy.sparse._csc.csc_array",
            "scipy.sparse._csc.csc_matrix",
            "scipy.sparse._csr.csr_array",
            "scipy.sparse._csr.csr_matrix",
        }
    ),
}

TRUSTED: tuple[str, ...] = tuple(sorted(frozenset().union(*_BOUND.values())))


def check_schema(schema: Any, name: str) -> None:
    """Refuse a file whose nodes could call something, before skops sees it.

    Raises
    ------
    UntrustedModel : node kinds outside the list, or a name under a node kind that is not its own.
    ModelError : no schema, or one of another protocol.
    """
    if not isinstance(schema, dict) or schema.get("protocol") != _PROTOCOL:
        given = schema.get("protocol") if isinstance(schema, dict) else None
        raise ModelError(
            f"{name} is written in skops protocol {given!r}; {_PROTOCOL} is needed: export it "
            'again with a current skops, `skops.io.dump(model, "model.skops")`.'
        )
    ours = frozenset(TRUSTED)
    for node in _nodes(schema):
        loader = node["__loader__"]
        kind = f"{node.get('__module__')}.{node.get('__class__')}"
        if loader not in _LOADERS:
            raise _refused(name, f"{kind} through {loader}, which can call code")
        if kind in ours and kind not in _BOUND.get(loader, frozenset()):
            raise _refused(name, f"{kind} through {loader}, which no export writes")
        if loader == "PartialNode" and _function_of(node) != _VALIDATOR:
            raise _refused(
                name,
                f"a partial application of {_function_of(node)}",
                "use FunctionTransformer(function, kw_args={…}) in its place and fit again",
            )


def _refused(
    name: str, what: str, advice: str = "export the fitted estimator itself without own functions"
) -> UntrustedModel:
    return UntrustedModel(
        f"{name} asks for {what}, so it was not opened; {advice}, or load a table of predictions."
    )


def _function_of(node: dict[str, Any]) -> str:
    content = node.get("content")
    inner = content.get("func") if isinstance(content, dict) else None
    if not isinstance(inner, dict) or inner.get("__loader__") != "FunctionNode":
        return "something that is no plain function"
    return f"{inner.get('__module__')}.{inner.get('__class__')}"


def _nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """Every JSON object with a loader, wherever it hides; iterative, so depth cannot overflow."""
    stack = [schema]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            if "__loader__" in value:
                yield value
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)
