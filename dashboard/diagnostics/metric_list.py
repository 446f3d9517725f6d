"""The table of metrics: what each is, where it applies, which direction is better, its source."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import inf

from ..contracts import Task
from ..errors import ParameterError

__all__ = ["METRICS", "Metric", "Orientation", "find_metric", "headline_metrics"]


class Orientation(StrEnum):
    """Which value is best: the highest, the lowest, or the one closest to zero."""

    HIGHER = "higher"
    LOWER = "lower"
    ZERO = "zero"


@dataclass(frozen=True)
class Metric:
    """One metric as the app, the reports and the property tests know it.

    Attributes
    ----------
    name : the key in tables; averages over classes carry theirs: `f1_macro`.
    title : short, shown to people.
    function : dotted name of the function whose value this equals.
    orientation : which value is best.
    tasks : where the metric gives at least one row.
    needs : "labels", "scores" (any ranking), "probabilities" or "values".
    range : lowest and highest value possible.
    reference : where it is defined.
    sentence : one plain sentence with an example.
    unit : "" for none, "share", "target" (units of the target).
    headline : shown in the score table by default.
    each : tasks where the rows are one per class, label or output instead of one in all
        (multi-output regression has both: label "" is the mean over the outputs).
    base, average, parameter : the parts of `name`: "f", "macro", 1.0 for `f1_macro`.
    family : which engine computes it: "counts", "moments", "ranks" or "order".
    """

    name: str
    title: str
    function: str
    orientation: Orientation
    tasks: frozenset[Task]
    needs: str
    range: tuple[float, float]
    reference: str
    sentence: str
    unit: str = ""
    headline: bool = False
    each: frozenset[Task] = field(default_factory=frozenset)
    base: str = ""
    average: str = ""
    parameter: float = 0.0
    family: str = "counts"

    def has_overall(self, task: Task) -> bool:
        """Whether there is a row for the whole (label ""), not only rows by class or label."""
        only_parts = task in self.each and task.is_classification
        return task in self.tasks and not only_parts


BINARY, MULTICLASS, MULTILABEL = Task.BINARY, Task.MULTICLASS, Task.MULTILABEL
CLASSES = frozenset({BINARY, MULTICLASS, MULTILABEL})
SEVERAL = frozenset({MULTICLASS, MULTILABEL})
VALUES = frozenset({Task.REGRESSION, Task.MULTIOUTPUT_REGRESSION})
OUTPUTS = frozenset({Task.MULTIOUTPUT_REGRESSION})
HIGHER, LOWER, ZERO = Orientation

GUIDE = "scikit-learn user guide, "
AVERAGES = {
    "macro": ("macro mean", "The plain mean over the classes, so a rare class counts as much."),
    "micro": ("pooled", "All classes are pooled before dividing, so every row counts the same."),
    "weighted": ("weighted mean", "The mean over the classes, weighted by their rows."),
    "samples": ("mean over rows", "Computed for each row over its labels, then averaged."),
}


def _rate(
    base: str, name: str, title: str, function: str, sentence: str, reference: str, beta: float
) -> Iterator[Metric]:
    one = Metric(
        name, title, f"sklearn.metrics.{function}", HIGHER, CLASSES, "labels", (0, 1),
        reference, sentence, unit="" if base == "f" else "share",
        headline=name in ("precision", "recall", "f1"), each=SEVERAL, base=base, parameter=beta,
    )  # fmt: skip
    yield one
    for average, (words, meaning) in AVERAGES.items():
        if average == "samples" and base == "specificity":
            continue
        yield replace(
            one,
            name=f"{name}_{average}",
            title=f"{title}, {words}",
            tasks=SEVERAL if average != "samples" else frozenset({MULTILABEL}),
            sentence=f"{sentence} {meaning}",
            headline=name == "f1" and average == "macro",
            each=frozenset(),
            average=average,
        )


def _f_beta(beta: float) -> Iterator[Metric]:
    sentence = (
        "One number for precision and recall that is only high when both are: "
        "at precision .5 and recall 1 it is .667."
        if beta == 1
        else f"Like F1, but recall counts {beta:g} times as much as precision."
    )
    yield from _rate(
        "f", f"f{beta:g}", f"F{beta:g}", "f1_score" if beta == 1 else "fbeta_score", sentence,
        "van Rijsbergen, Information Retrieval (1979), ch. 7", beta,
    )  # fmt: skip


def _rates() -> Iterator[Metric]:
    precision = "Of the rows flagged, the share that is right: 8 of 10 alarms real is .8."
    recall = "Of the rows that are positive, the share found: 8 of 16 found is .5."
    specificity = "Of the rows that are negative, the share left alone: 99 of 100 is .99."
    guide = GUIDE + "precision, recall and F-measures"
    yield from _rate("precision", "precision", "Precision", "precision_score", precision, guide, 0)
    yield from _rate("recall", "recall", "Recall", "recall_score", recall, guide, 0)
    yield from _rate(
        "specificity", "specificity", "Specificity", "multilabel_confusion_matrix", specificity,
        "Yerushalmy, Public Health Reports 62 (1947) 1432–1449", 0,
    )  # fmt: skip
    for beta in (1.0, 2.0, 0.5):
        yield from _f_beta(beta)


def _agreement() -> Iterator[Metric]:
    labels = frozenset({MULTILABEL})
    yield Metric(
        "accuracy", "Accuracy", "sklearn.metrics.accuracy_score", HIGHER, CLASSES, "labels",
        (0, 1), GUIDE + "accuracy score",
        "The share of rows that is right: 90 of 100 is .9, which always-no also reaches "
        "when 10 are positive.",
        unit="share", headline=True, each=labels, base="accuracy",
    )  # fmt: skip
    yield Metric(
        "balanced_accuracy", "Balanced accuracy", "sklearn.metrics.balanced_accuracy_score",
        HIGHER, CLASSES, "labels", (0, 1), "Brodersen et al., ICPR (2010) 3121–3124",
        "The mean recall of the classes: always-no gets .5 however rare the positives are.",
        headline=True, each=labels, base="balanced_accuracy",
    )  # fmt: skip
    yield Metric(
        "mcc", "Matthews correlation", "sklearn.metrics.matthews_corrcoef", HIGHER, CLASSES,
        "labels", (-1, 1), "Matthews, BBA 405 (1975) 442–451; Gorodkin (2004) for k classes",
        "The correlation of prediction and truth: 1 all right, 0 no better than chance, "
        "-1 all wrong.",
        each=labels, base="mcc",
    )  # fmt: skip
    yield Metric(
        "kappa", "Cohen's kappa", "sklearn.metrics.cohen_kappa_score", HIGHER, CLASSES, "labels",
        (-1, 1), "Cohen, Educ. Psychol. Meas. 20 (1960) 37–46",
        "Agreement beyond chance: at .9 accuracy where chance gives .8 it is .5.",
        each=labels, base="kappa",
    )  # fmt: skip
    yield Metric(
        "subset_accuracy", "Exact match", "sklearn.metrics.accuracy_score", HIGHER, labels,
        "labels", (0, 1), GUIDE + "accuracy score",
        "The share of rows where every label is right: one wrong label of ten fails the row.",
        unit="share", headline=True, base="subset_accuracy",
    )  # fmt: skip
    yield Metric(
        "hamming_loss", "Hamming loss", "sklearn.metrics.hamming_loss", LOWER, labels, "labels",
        (0, 1), GUIDE + "Hamming loss",
        "The share of single labels that is wrong: 3 of 10 rows × 2 labels is .15.",
        unit="share", headline=True, base="hamming_loss",
    )  # fmt: skip


def _ranks() -> Iterator[Metric]:
    auc = Metric(
        "roc_auc", "ROC AUC", "sklearn.metrics.roc_auc_score", HIGHER, CLASSES, "scores", (0, 1),
        "Hanley and McNeil, Radiology 143 (1982) 29–36",
        "How often a positive row scores above a negative one: .5 is a coin, 1 never wrong.",
        headline=True, each=SEVERAL, base="roc_auc", family="ranks",
    )  # fmt: skip
    yield auc
    plain = replace(auc, each=frozenset(), headline=False)
    classes, labels = frozenset({MULTICLASS}), frozenset({MULTILABEL})
    for name, average in (("ovr", "macro"), ("ovr_weighted", "weighted"), ("ovr_micro", "micro")):
        words = f"one-vs-rest, {AVERAGES[average][0]}"
        yield replace(
            plain, name=f"roc_auc_{name}", title=f"ROC AUC, {words}", tasks=classes,
            headline=name == "ovr", base="roc_auc_ovr", average=average,
            sentence=f"{auc.sentence} Each class against all others. {AVERAGES[average][1]}",
        )  # fmt: skip
    for name, average in (("ovo", "macro"), ("ovo_weighted", "weighted")):
        yield replace(
            plain, name=f"roc_auc_{name}", title=f"ROC AUC, one-vs-one, {AVERAGES[average][0]}",
            tasks=classes, base="roc_auc_ovo", average=average,
            reference="Hand and Till, Machine Learning 45 (2001) 171–186",
            sentence=f"{auc.sentence} Each pair of classes by itself, then averaged, "
            "so class sizes do not matter much.",
        )  # fmt: skip
    precision = replace(
        auc, name="average_precision", title="Average precision",
        function="sklearn.metrics.average_precision_score", base="average_precision",
        reference="Zhu, Recall, Precision and Average Precision (2004); step sum",
        sentence="Precision averaged over the positives as they are found from the top: "
        "chance gives the share of positives, 1 is perfect.",
    )  # fmt: skip
    yield precision
    for base, tasks in ((auc, labels), (precision, SEVERAL)):
        for average in ("macro", "weighted", "micro"):
            words, meaning = AVERAGES[average]
            yield replace(
                base, name=f"{base.name}_{average}", title=f"{base.title}, {words}", tasks=tasks,
                headline=average == "macro" and base is auc, each=frozenset(),
                average=average, sentence=f"{base.sentence} {meaning}",
            )  # fmt: skip


def _top(k: int) -> Metric:
    return Metric(
        f"top_{k}_accuracy", f"Top-{k} accuracy", "sklearn.metrics.top_k_accuracy_score", HIGHER,
        frozenset({MULTICLASS}), "scores", (0, 1), GUIDE + "top-k accuracy score",
        f"The share of rows whose true class is among the {k} highest scores: "
        "95 of 100 is .95.",
        unit="share", base="top_k", parameter=float(k), family="moments",
    )  # fmt: skip


def _probabilities() -> Iterator[Metric]:
    labels = frozenset({MULTILABEL})
    loss = Metric(
        "log_loss", "Log loss", "sklearn.metrics.log_loss", LOWER, CLASSES, "probabilities",
        (0, inf), "Good, JRSS B 14 (1952) 107–114",
        "The surprise at the truth: saying .9 and being right costs .105, being wrong 2.303.",
        headline=True, each=labels, base="log_loss", family="moments",
    )  # fmt: skip
    brier = Metric(
        "brier", "Brier score", "sklearn.metrics.brier_score_loss", LOWER, CLASSES,
        "probabilities", (0, 2), "Brier, Monthly Weather Review 78 (1950) 1–3",
        "The squared error of the probability: saying .9 and being right costs .01. "
        "With more than two classes the errors of all classes are summed, so 2 is the worst.",
        each=labels, base="brier", family="moments",
    )  # fmt: skip
    for metric in (loss, brier):
        yield metric
        yield replace(
            metric, name=f"{metric.name}_macro", title=f"{metric.title}, macro mean",
            tasks=labels, each=frozenset(), average="macro", headline=False,
            sentence=f"{metric.sentence} The plain mean over the labels.",
        )  # fmt: skip
    for k in (2, 3, 5):
        yield _top(k)


def _pinball(alpha: float) -> Metric:
    return Metric(
        f"pinball_{alpha:g}", f"Quantile error at {alpha:g}",
        "sklearn.metrics.mean_pinball_loss", LOWER, VALUES, "values", (0, inf),
        "Koenker and Bassett, Econometrica 46 (1978) 33–50",
        f"The loss that a prediction of the {alpha:g} quantile minimises: "
        f"10 too low costs {10 * alpha:g}, 10 too high costs {10 * (1 - alpha):g}.",
        unit="target", each=OUTPUTS, base="pinball", parameter=alpha, family="moments",
    )  # fmt: skip


def _errors() -> Iterator[Metric]:
    guide = GUIDE + "regression metrics"
    rmse = Metric(
        "rmse", "RMSE", "sklearn.metrics.root_mean_squared_error", LOWER, VALUES, "values",
        (0, inf), guide,
        "The root of the mean squared error, in units of the target: errors 3 and 4 give 3.54.",
        unit="target", headline=True, each=OUTPUTS, base="rmse", family="moments",
    )  # fmt: skip
    yield rmse
    yield replace(
        rmse, name="mae", title="MAE", base="mae", function="sklearn.metrics.mean_absolute_error",
        sentence="The mean size of the error, in units of the target: errors 3 and -4 give 3.5.",
    )  # fmt: skip
    yield replace(
        rmse, name="median_ae", title="Median error", base="median_ae", family="order",
        function="sklearn.metrics.median_absolute_error", headline=False,
        sentence="Half of the errors are smaller than this: errors 1, 2 and 900 give 2.",
    )  # fmt: skip
    yield replace(
        rmse, name="mape", title="MAPE", base="mape", headline=False, unit="share",
        function="sklearn.metrics.mean_absolute_percentage_error",
        sentence="The mean error as a share of the true value: 90 for 100 is .1. "
        "It explodes where true values are near zero.",
    )  # fmt: skip
    yield replace(
        rmse, name="r2", title="R²", base="r2", function="sklearn.metrics.r2_score",
        orientation=HIGHER, range=(-inf, 1), unit="",
        sentence="The share of the target's variance that is explained: "
        "always saying the mean gives 0, worse than that is negative.",
    )  # fmt: skip
    yield replace(
        rmse, name="bias", title="Bias", base="bias", function="numpy.average", orientation=ZERO,
        range=(-inf, inf),
        sentence="The mean of predicted minus true, in units of the target: "
        "3 means that predictions are 3 too high on average.",
    )  # fmt: skip
    yield replace(
        rmse, name="max_error", title="Largest error", base="max_error", family="order",
        function="sklearn.metrics.max_error", headline=False,
        sentence="The one largest error, in units of the target: errors 1, 2 and 900 give 900.",
    )  # fmt: skip
    for alpha in (0.1, 0.9):
        yield _pinball(alpha)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for part in (_agreement, _rates, _ranks, _probabilities, _errors)
    for metric in part()
}


def headline_metrics(task: Task) -> list[Metric]:
    """The metrics of the score table for this task; each has a row for the whole."""
    return [one for one in METRICS.values() if one.headline and one.has_overall(task)]


def find_metric(name: str) -> Metric:
    """The metric of this name; also any `f3`, `f0.25_macro`, `top_7_accuracy`, `pinball_0.95`.

    Raises
    ------
    ParameterError : no metric has this name; the closest names are given.
    """
    if name in METRICS:
        return METRICS[name]
    number = re.search(r"\d+(\.\d+)?", name)
    value = float(number.group()) if number else 0.0
    made: list[Metric] = []
    if value > 0 and re.fullmatch(r"f[\d.]+(_[a-z]+)?", name):
        made += _f_beta(value)
    elif value >= 1 and re.fullmatch(r"top_\d+_accuracy", name):
        made.append(_top(int(value)))
    elif 0 < value < 1 and re.fullmatch(r"pinball_[\d.]+", name):
        made.append(_pinball(value))
    for metric in made:
        if metric.name == name:
            return metric
    raise ParameterError(f"Metric {name!r} is unknown. {_names_like(name)}")


def _names_like(name: str) -> str:
    """The closest names, else those that score tables show first and how many more there are."""
    plain = re.sub(r"\W+", "_", name.strip().lower())
    close = difflib.get_close_matches(plain, METRICS, 3, cutoff=0.75)
    if len(plain) > 1:
        close += [known for known in METRICS if plain in known or known in plain]
    close = list(dict.fromkeys(close))[:3]
    if close:
        return f"Did you mean {' or '.join(close)}?"
    known = [each.name for each in METRICS.values() if each.headline]
    return f"Names are {', '.join(known)} and {len(METRICS) - len(known)} more."
