"""Any table with one row a trial: which columns are parameters, scores, times."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from ..contracts.searches import SearchParameter, SearchResults, SearchScore, TrialStatus
from ..errors import DataError
from ..wording import listing
from .search_values import direction_of, numbers, scalar, seconds

__all__ = ["HINTS", "ROLES", "are_of_trials", "judge_trials", "read_plain", "roles_of"]

Columns = Mapping[str, Sequence[Any]]
HINTS = (
    "pandas.DataFrame(search.cv_results_), study.trials_dataframe(), the folder of a KerasTuner, "
    "or a table with one row a trial"
)
ROLES = ("parameter", "score", "train", "sd", "seconds", "status", "trial", "resource", "ignore")
_PREFIX = re.compile(r"(?:params?|config|hp|hparams|hyperparameters?)[_./:]", re.I)
_NAMES: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "trial",
        re.compile(r"(?:trial|trial[_ ]?(?:id|number|name)|number|run|run[_ ]?id|id)$", re.I),
    ),
    ("status", re.compile(r"(?:status|state)$", re.I)),
    (
        "ignore",
        re.compile(r"(?:|unnamed: \d+|index|date.*|timestamp|rank.*|params|logdir|pid)$", re.I),
    ),
    ("sd", re.compile(r"(?:std|sd)(?:[_ ].*)?$|.*[_ ](?:std|sd)$", re.I)),
    ("seconds", re.compile(r".*(?:seconds|duration|time(?:_total)?(?:_s)?)$", re.I)),
    ("resource", re.compile(r"(?:n_resources|resource|budget|epochs|training_iteration)$", re.I)),
    ("train", re.compile(r"(?:(?:mean[_ ])?train(?:ing)?[_ ]).*$|train$", re.I)),
    (
        "score",
        re.compile(
            r"(?:mean_)?(?:(?:val|validation|valid|test|cv)[_ /].*|value|objective|metric|score|"
            r"accuracy|acc|auc|roc_auc|f1|loss|rmse|mae|mse|r2)$",
            re.I,
        ),
    ),
)
# What no data and no predictions have as columns, but searches have.
_PARAMETERS = re.compile(
    r"(?:.+__.+|eta|(?:max_)?depth|n_estimators|num_leaves|num_boost_round|n_neighbors|C|alpha|"
    r"gamma|(?:reg_)?(?:alpha|lambda)|l1_ratio|l2_leaf_reg|penalty|kernel|degree|solver|criterion|"
    r"splitter|max_(?:features|leaf_nodes|iter|bin)|min_samples_(?:leaf|split)|"
    r"min_child_(?:weight|samples)|subsample|colsample_by(?:tree|level|node)|"
    r"(?:bagging|feature)_fraction|batch_size|dropout(?:_rate)?|(?:n_|num_)?units|"
    r"(?:n_|num_)?hidden(?:_units|_size|_layers|_layer_sizes|_dim)?|(?:n_|num_)?layers|filters|"
    r"kernel_size|activation|optimi[sz]er|momentum|weight_decay|n_components|warmup(?:_steps)?|"
    r"scheduler|embedding_(?:dim|size)|(?:n_|num_)heads|learning_rate|lr)$"
)
_RATES = ("learning_rate", "lr")
_TRIALS = re.compile(r"trial(?:[_ ]?(?:id|number|name))?$", re.I)
_COUNTED = re.compile(
    r"(?:epochs?|(?:global_|train_)?steps?|iter(?:ations?)?|rounds?|batch)$", re.I
)
_NO_TRIAL = re.compile(r"(?:y_)?(?:pred|proba?|hat|true)(?:_|$)|predict|target$|label$", re.I)
_PARTS = re.compile(r"^(?:mean[_ ])?(?:val|validation|valid|test|cv|train|training)[_ /]", re.I)
_WORDS: tuple[tuple[TrialStatus, re.Pattern[str]], ...] = (
    ("failed", re.compile(r"fail|error|invalid|crash", re.I)),
    ("partial", re.compile(r"prun|stop|partial|early|terminated early", re.I)),
    ("running", re.compile(r"run", re.I)),
    ("waiting", re.compile(r"wait|pend|queue|idle", re.I)),
    ("complete", re.compile(r"complet|done|finish|success|ok|terminated", re.I)),
)


def are_of_trials(names: Sequence[str]) -> bool:
    """Whether some column is named like a parameter of a model, so that a closer look is worth it.

    Many tables are large, and few hold trials.
    """
    return any(_PREFIX.match(name) or _PARAMETERS.match(name) for name in names)


def judge_trials(columns: Columns) -> Literal["sure", "perhaps", ""]:
    """Whether a table has one row a trial: parameters that are named as such, and scores.

    Perhaps one where some columns are named like parameters of models; not where steps are counted
    or something is predicted.
    """
    names = list(columns)
    if any(_NO_TRIAL.search(name) or _COUNTED.match(name) for name in names):
        return ""
    roles = roles_of(columns)
    if "score" not in roles.values() or len(next(iter(columns.values()), ())) < 2:
        return ""
    parameters = [name for name in names if roles[name] == "parameter"]
    known = [name for name in parameters if _PARAMETERS.match(name)]
    told = any(_PREFIX.match(name) for name in names)
    if told or (known and any(map(_TRIALS.match, names))):
        return "sure"
    if known and set(known) == set(parameters) and not set(known) <= set(_RATES):
        return "sure"
    return "perhaps" if set(known) - set(_RATES) else ""


def read_plain(
    columns: Columns,
    name: str,
    mapping: Mapping[str, str],
    larger_is_better: bool | None = None,
) -> SearchResults:
    """A table with one row a trial; what no name tells is taken for a parameter.

    Raises
    ------
    DataError : a mapping to unknown columns or roles; no column of scores, or one of text.
    """
    roles = _roles(columns, name, mapping)
    held = {role: [key for key in columns if roles[key] == role] for role in ROLES}
    if not held["score"]:
        raise DataError(
            f"No column of {name} looks like a score; its columns are {listing(list(columns), 8)}. "
            f"Say which one is, or give {HINTS}."
        )
    scores = tuple(
        _score(columns, key, held, larger_is_better if k == 0 else None)
        for k, key in enumerate(held["score"])
    )
    scored = np.isfinite(scores[0].validation)
    status = _statuses(columns, held["status"], scored)
    labels = held["trial"][:1]
    resource = (
        numbers(columns[held["resource"][0]], held["resource"][0]) if held["resource"] else None
    )
    return SearchResults(
        name=name,
        source="table",
        trials=tuple(str(scalar(one)) for one in columns[labels[0]])
        if labels
        else tuple(str(k) for k in range(len(scored))),
        status=_short_of(status, resource),
        parameters=tuple(
            SearchParameter(_PREFIX.sub("", key, count=1), tuple(map(scalar, columns[key])))
            for key in held["parameter"]
        ),
        scores=scores,
        fit_seconds=seconds(columns[held["seconds"][0]]) if held["seconds"] else None,
        resource=resource,
        resource_name=held["resource"][0] if held["resource"] else "",
        notes=_notes(held, scores),
    )


def _roles(columns: Columns, name: str, mapping: Mapping[str, str]) -> dict[str, str]:
    unknown = [key for key in mapping if key not in columns]
    odd = [role for role in mapping.values() if role not in ROLES]
    if unknown or odd:
        raise DataError(
            f"{listing(unknown or odd)} is no {'column of ' + name if unknown else 'role'}; there "
            f"are {listing(list(columns) if unknown else list(ROLES), 9)}."
        )
    return roles_of(columns, mapping)


def roles_of(columns: Columns, mapping: Mapping[str, str] | None = None) -> dict[str, str]:
    """Column → one of `ROLES`, by its name and what it holds; `mapping` overrides that."""
    mapping = mapping or {}
    marked = any(_PREFIX.match(key) for key in columns)
    found = {}
    for key, values in columns.items():
        role = next((role for role, pattern in _NAMES if pattern.match(key)), "parameter")
        if _PREFIX.match(key):
            role = "parameter"
        elif marked and role == "parameter":
            role = "ignore"
        if role in ("score", "train", "sd", "resource") and not _is_numbers(values):
            role = "parameter"
        found[key] = mapping.get(key, role)
    # with losses on other rows beside it, a bare `loss` is that of the training rows
    for key in list(found):
        bare = found[key] == "score" and key not in mapping and not _PARTS.match(key)
        if bare and any(other != key and _PARTS.sub("", other) == key for other in columns):
            found[key] = "train"
    return found


def _is_numbers(values: Sequence[Any]) -> bool:
    found = [scalar(value) for value in values]
    known = [value for value in found if value is not None and value != "None"]
    return bool(known) and all(
        isinstance(value, (int, float)) and not isinstance(value, bool) for value in known
    )


def _score(
    columns: Columns, key: str, held: Mapping[str, list[str]], larger: bool | None
) -> SearchScore:
    metric = _PARTS.sub("", key)
    only = len(held["score"]) == 1

    def beside(role: str) -> Any:
        found = [one for one in held[role] if metric in one or (only and len(held[role]) == 1)]
        return numbers(columns[found[0]], found[0]) if found else None

    return SearchScore(
        metric=metric,
        larger_is_better=direction_of(metric) if larger is None else larger,
        validation=numbers(columns[key], key),
        spread=beside("sd"),
        train=beside("train"),
    )


def _statuses(columns: Columns, named: Sequence[str], scored: Any) -> tuple[TrialStatus, ...]:
    if not named:
        return tuple("complete" if ok else "failed" for ok in scored)
    out: list[TrialStatus] = []
    for text, ok in zip(columns[named[0]], scored, strict=True):
        word = next((kind for kind, pattern in _WORDS if pattern.search(str(text))), None)
        out.append(word or ("complete" if ok else "failed"))
    return tuple(out)


def _short_of(status: tuple[TrialStatus, ...], resource: Any) -> tuple[TrialStatus, ...]:
    """Trials that were given less than the most are partial."""
    done = np.array([one == "complete" for one in status])
    if resource is None or not (done & np.isfinite(resource)).any():
        return status
    most = resource[done & np.isfinite(resource)].max()
    return tuple(
        "partial" if one == "complete" and given < most else one
        for one, given in zip(status, resource, strict=True)
    )


def _notes(held: Mapping[str, list[str]], scores: Sequence[SearchScore]) -> tuple[str, ...]:
    notes = [
        f"Read as parameters: {listing(held['parameter'], 12)}; as scores: "
        f"{listing(held['score'], 6)}."
    ]
    if held["ignore"]:
        notes.append(f"Left out: {listing(held['ignore'], 12)}.")
    if scores[0].larger_is_better is None:
        notes.append("The table does not say whether larger scores are better.")
    return tuple(notes)
