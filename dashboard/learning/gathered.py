"""Learning curves of all kinds side by side: the result of one headless call, as one long table."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ..contracts import Finding, NetworkSummary, Run, SearchResults
from ..data import EvalSet
from ..diagnostics.epochs import EpochCurve
from ..diagnostics.folds import FoldDifference, FoldScores
from ..diagnostics.parameter_curves import ParameterCurve
from ..diagnostics.projections import Projection
from ..diagnostics.rate_search import RateSearch
from ..diagnostics.size_curves import SizeCurve
from ..diagnostics.verdicts import judge
from ..evaluation import Failure
from .cross_validation import CrossValidation

__all__ = ["Learning"]

_COLUMNS = ["kind", "subject", "metric", "part", "at", "setting", "fold", "value"]
_FINDING_COLUMNS = ["verdict", "subject", "severity", "code", "sentence", "evidence", "remedies"]
_FINDING_COLUMNS += ["chart", "at"]


@dataclass(eq=False)
class Learning:
    """Curves of all kinds, and what they say.

    Attributes
    ----------
    findings : verdicts and warnings, those of one subject together.
    runs, epochs, rate_searches : what was logged; one curve for each run and metric.
    sizes, projections, withheld : by training size; model → the law, or why there is none.
    parameters, validations, folds, differences : by parameter, and across folds.
    searches : results of searches; networks : layers of loaded networks.
    failures : what has no curve, and why.
    evalset, divided : the rows, and how they were divided into folds.
    wanted : the score that is to be reached by training size and across folds.
    stopped : the watcher ended it before all was done.
    reused : finished fits that an earlier call had kept.
    notes : what else was left out.
    """

    findings: list[Finding] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    epochs: list[EpochCurve] = field(default_factory=list)
    rate_searches: list[RateSearch] = field(default_factory=list)
    sizes: list[SizeCurve] = field(default_factory=list)
    projections: dict[str, Projection] = field(default_factory=dict)
    withheld: dict[str, str] = field(default_factory=dict)
    parameters: list[ParameterCurve] = field(default_factory=list)
    validations: list[CrossValidation] = field(default_factory=list)
    folds: list[FoldScores] = field(default_factory=list)
    differences: list[FoldDifference] = field(default_factory=list)
    searches: list[SearchResults] = field(default_factory=list)
    networks: list[NetworkSummary] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    evalset: EvalSet | None = None
    divided: str = ""
    wanted: float | None = None
    stopped: bool = False
    reused: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """No curve of any kind, and nothing found."""
        curves = (self.runs, self.sizes, self.parameters, self.folds, self.searches, self.networks)
        return not any(curves) and not self.findings

    @property
    def fitted(self) -> list[SizeCurve | ParameterCurve | FoldScores]:
        """The curves of models, in the order of their kinds."""
        return [*self.sizes, *self.parameters, *self.folds]

    @property
    def n_done(self) -> int:
        """Fits that are done, those that failed and those kept from an earlier call among them."""
        return sum(one.n_done for one in self.fitted)

    @property
    def verdicts(self) -> list[Finding]:
        """One for each model or run, from all that its curves say together; the worst first."""
        return judge(self.findings)

    @property
    def remarks(self) -> list[Finding]:
        """The findings that lead no verdict."""
        leading, rest = self.verdicts, list[Finding]()
        for one in self.findings:
            led = next((each for each in leading if _leads(one, each)), None)
            if led is None:
                rest.append(one)
            else:
                leading.remove(led)
        return rest

    def findings_table(self) -> pd.DataFrame:
        """Columns verdict, subject, severity, code, sentence, evidence, remedies, chart, at.

        Verdicts first, the worst of them at the top; `evidence` is JSON, remedies are joined by
        semicolons, the most promising first.
        """
        rows = [
            {
                "verdict": is_verdict,
                **one.to_json(),
                "evidence": json.dumps(dict(one.evidence), default=float),
                "remedies": "; ".join(one.remedies),
            }
            for is_verdict, some in ((True, self.verdicts), (False, self.remarks))
            for one in some
        ]
        return pd.DataFrame(rows, columns=_FINDING_COLUMNS)

    def fail(self, name: str, why: str) -> None:
        """Note that something has no curve; the same reason once."""
        failure = Failure(name, why)
        if failure not in self.failures:
            self.failures.append(failure)

    def frame(self) -> pd.DataFrame:
        """A row for each score: kind, subject, metric, part, at, setting, fold, value.

        `at` is the step, the rows learned from, or the number of a fold or trial; `setting` the
        value of the parameter, or the trial's name.
        """
        tables = [*map(_of_epochs, self.epochs), *map(_of_sizes, self.sizes)]
        tables += [*map(_of_parameter, self.parameters), *map(_of_folds, self.folds)]
        tables += [table for one in self.searches for table in _of_search(one)]
        full = [one for one in tables if len(one)]
        if not full:
            return pd.DataFrame(columns=_COLUMNS)
        return pd.concat(full, ignore_index=True)[_COLUMNS]


def _leads(one: Finding, verdict: Finding) -> bool:
    """Whether a verdict is this finding, with what the others say added to it."""
    same = (one.code, one.chart, one.at) == (verdict.code, verdict.chart, verdict.at)
    whose = one.subject.partition(": ")[0]
    return same and whose == verdict.subject and verdict.sentence.startswith(one.sentence)


# ---- one long table --------------------------------------------------------------------------


def _long(kind: str, subject: str, metric: str, **columns: Any) -> pd.DataFrame:
    empty = {"at": np.nan, "setting": "", "fold": -1}
    table = pd.DataFrame({**{k: v for k, v in empty.items() if k not in columns}, **columns})
    return table.assign(kind=kind, subject=subject, metric=metric)


def _of_epochs(curve: EpochCurve) -> pd.DataFrame:
    parts = [
        pd.DataFrame({"part": one.part, "at": one.steps.astype(np.float64), "value": one.values})
        for one in curve.parts
    ]
    table = pd.concat(parts, ignore_index=True)
    return table.assign(kind="epochs", subject=curve.run, metric=curve.metric, setting="", fold=-1)


def _both(
    curve: Any, index: str, columns: Callable[[pd.DataFrame], dict[str, Any]]
) -> pd.DataFrame:
    frame = curve.frame()
    parts = [
        _long(index, curve.model, curve.metric, part=part, value=frame[part], **columns(frame))
        for part in ("train", "validation")
    ]
    return pd.concat(parts, ignore_index=True)


def _of_sizes(curve: SizeCurve) -> pd.DataFrame:
    return _both(
        curve, "sizes", lambda frame: {"at": frame["size"].astype(float), "fold": frame["fold"]}
    )


def _of_parameter(curve: ParameterCurve) -> pd.DataFrame:
    folds = curve.validation.shape[1]
    texts = [f"{curve.parameter}={value}" for value in curve.values]
    numbers = np.repeat(curve.axis.numbers, folds)
    return pd.concat(
        [
            _long(
                "parameter",
                curve.model,
                curve.metric,
                part=part,
                at=numbers,
                setting=np.repeat(texts, folds),
                fold=np.tile(np.arange(folds), len(texts)),
                value=getattr(curve, part).reshape(-1),
            )
            for part in ("train", "validation")
        ],
        ignore_index=True,
    )


def _of_folds(scores: FoldScores) -> pd.DataFrame:
    number = np.arange(len(scores.validation))
    return _both(scores, "folds", lambda frame: {"at": number.astype(float), "fold": number})


def _of_search(search: SearchResults) -> list[pd.DataFrame]:
    tables = []
    for score in search.scores:
        for part in ("train", "validation"):
            values = getattr(score, part)
            if values is not None:
                at = np.arange(len(search), dtype=np.float64)
                tables.append(
                    _long(
                        "search",
                        search.name,
                        score.metric,
                        part=part,
                        at=at,
                        setting=list(search.trials),
                        value=values,
                    )
                )
    return tables
