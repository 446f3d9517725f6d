"""Curves over all thresholds: ROC, precision-recall, gain, lift, cost, metrics, calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from ..captions import (
    caption_calibration,
    caption_cost,
    caption_gain,
    caption_precision_recall,
    caption_roc,
)
from ..wording import count, interval, number, percent, plural, shorten, threshold
from .canvas import (
    SHARE_TICKS,
    axis,
    canvas,
    columns,
    models_title,
    note,
    reference_line,
    share_axis,
    threshold_texts,
)
from .theme import ModelStyle, Theme, escape, ink, label, style_for

if TYPE_CHECKING:
    from ..diagnostics.curves import (
        CalibrationCurve,
        CostCurve,
        GainCurve,
        PrecisionRecallCurve,
        RocCurve,
    )
    from ..diagnostics.thresholds import Counts

__all__ = [
    "plot_calibration",
    "plot_cost",
    "plot_gain",
    "plot_lift",
    "plot_precision_recall",
    "plot_roc",
]

Styles = Mapping[str, ModelStyle]
Array = npt.NDArray[Any]
Trace = dict[str, Any]

HEIGHT = 340  # of gain, lift and cost, which stand side by side
ROOM = 72  # for their numbers, which have one to six digits


def _subtitle(curves: Sequence[Any], then: str) -> str:
    """Two lines on every chart, so that drawings side by side align: rows, then what is new."""
    if not curves:
        return "No curves to show"
    one = curves[0]
    share = percent(one.n_positive / ((one.n_positive + one.n_negative) or 1))
    return f"{plural(one.n, 'row')}, {share} are {shorten(str(one.label), 24)}\n{then}"


def _drawing_note(marks: Sequence[tuple[int, int, float]]) -> str:
    """What was left out of the picture: (marks drawn, marks in all, largest displacement)."""
    drawn = max((d for d, all_, _ in marks if d < all_), default=0)
    if not drawn:
        return ""
    error = max(max(e for _, _, e in marks) * 1000, 0.01)
    return (
        f" Drawn with at most {count(drawn)} marks a curve, at most {number(error, 2)} px off "
        "at 1,000 px; the data download is exact."
    )


def _line(
    model: str,
    style: ModelStyle,
    x: Array,
    y: Array,
    *,
    legend: str,
    hover: str,
    text: Sequence[str],
    data: Array,
) -> Trace:
    return {
        "type": "scatter",
        "x": np.asarray(x, dtype=np.float32),
        "y": np.asarray(y, dtype=np.float32),
        "mode": "lines",
        "line": style.line,
        "name": f"{label(model)}{'  ' + legend if legend else ''}",
        "legendgroup": model,
        "text": list(text),
        "customdata": data,
        "hovertemplate": f"{hover}<extra></extra>",
    }


def _operating(
    model: str, style: ModelStyle, x: float, y: float, sentence: str, theme: Theme
) -> Trace:
    """The chosen operating point: the model's marker, ringed so that it stands off its line."""
    return {
        "type": "scatter",
        "x": np.asarray([x], dtype=np.float32),
        "y": np.asarray([y], dtype=np.float32),
        "mode": "markers",
        "marker": {
            "symbol": style.symbol,
            "size": 12,
            "color": style.colour,
            "line": {"color": ink(theme).page, "width": 1.5},
        },
        "name": f"{label(model)} operating point",
        "legendgroup": model,
        "showlegend": False,
        "cliponaxis": False,
        "text": [sentence],
        "hovertemplate": "%{text}<extra></extra>",
        "zorder": 2,
    }


def _caught(curve: RocCurve | GainCurve, at: Counts) -> str:
    return (
        f"At {threshold(at.threshold)} <i>{escape(curve.model)}</i><br>catches {count(at.tp)} of "
        f"{plural(at.tp + at.fn, 'positive')}<br>and flags {count(at.fp)} of "
        f"{plural(at.fp + at.tn, 'negative')}.<br>This is the operating point."
    )


def _marks(curves: Sequence[RocCurve] | Sequence[PrecisionRecallCurve]) -> str:
    """The note on what the picture leaves out, over all curves."""
    marks = []
    for curve in curves:
        x, _, _, error = curve.drawn()
        marks.append((len(x), len(curve.thresholds), error))
    return _drawing_note(marks)


def plot_roc(
    curves: Sequence[RocCurve], styles: Styles | None = None, *, theme: Theme = "light"
) -> go.Figure:
    """ROC curves with the chance line, the operating points, and AUC with its interval."""
    names = [curve.model for curve in curves]
    caption = caption_roc(curves) + _marks(curves)
    looks = [style_for(styles, name, k) for k, name in enumerate(names)]
    operating = [
        _operating(curve.model, style, at.fpr, at.recall, _caught(curve, at), theme)
        for curve, style in zip(curves, looks, strict=True)
        if (at := curve.operating) is not None
    ]
    return canvas(
        theme,
        title=models_title("ROC", names),
        subtitle=_subtitle(curves, "Below: area under the curve (AUC), 95 % interval"),
        name="roc " + " ".join(names),
        alt=f"ROC curves of {plural(len(curves), 'model')}. {caption}",
        caption=caption,
        height=440,
        square=True,
        xaxis=share_axis("Share of negatives flagged (false positive rate)"),
        yaxis=share_axis("Share of positives caught (recall)"),
        legend_rows=len(curves),
        annotations=[note(0.5, 0.5, "guessing", theme, textangle=-45, yshift=-10)],
        data=[
            reference_line([0, 1], [0, 1], theme),
            *map(_roc, curves, looks),
            *operating,
        ],
    )


def _roc(curve: RocCurve, style: ModelStyle) -> Trace:
    x, y, index, _ = curve.drawn()
    return _line(
        curve.model,
        style,
        x,
        y,
        legend=interval(curve.auc, curve.low, curve.high),
        hover=f"At %{{text}} <i>{escape(curve.model)}</i><br>catches %{{customdata[0]:,.7~g}} of "
        f"{plural(curve.n_positive, 'positive')}<br>and flags %{{customdata[1]:,.7~g}} of "
        f"{plural(curve.n_negative, 'negative')}.",
        text=threshold_texts(curve.thresholds[index]),
        data=columns(np.round(y * curve.n_positive, 1), np.round(x * curve.n_negative, 1)),
    )


def _pr_sentence(model: str, at: Counts) -> str:
    flagged = at.tp + at.fp
    right = f"{percent(at.tp / flagged)} of what it flags is right" if flagged else "it flags none"
    return (
        f"At {threshold(at.threshold)} <i>{escape(model)}</i><br>catches {count(at.tp)} of "
        f"{plural(at.tp + at.fn, 'positive')};<br>{right}.<br>This is the operating point."
    )


def plot_precision_recall(
    curves: Sequence[PrecisionRecallCurve],
    styles: Styles | None = None,
    *,
    theme: Theme = "light",
) -> go.Figure:
    """Precision against recall with the prevalence line, operating points and AP."""
    names = [curve.model for curve in curves]
    caption = caption_precision_recall(curves) + _marks(curves)
    looks = [style_for(styles, name, k) for k, name in enumerate(names)]
    lines, labels = _prevalences(curves, theme)
    operating = [
        _operating(
            curve.model, style, at.recall, at.precision, _pr_sentence(curve.model, at), theme
        )
        for curve, style in zip(curves, looks, strict=True)
        if (at := curve.operating) is not None and at.tp + at.fp > 0
    ]
    return canvas(
        theme,
        title=models_title("Precision and recall", names),
        subtitle=_subtitle(curves, "Below: average precision, 95 % interval"),
        name="precision recall " + " ".join(names),
        alt=f"Precision-recall curves of {plural(len(curves), 'model')}. {caption}",
        caption=caption,
        height=440,
        square=True,
        xaxis=share_axis("Share of positives caught (recall)"),
        yaxis=share_axis("Share of flagged rows that are positive (precision)"),
        legend_rows=len(curves),
        annotations=labels,
        data=[*lines, *map(_precision_recall, curves, looks), *operating],
    )


def _prevalences(
    curves: Sequence[PrecisionRecallCurve], theme: Theme
) -> tuple[list[Trace], list[dict[str, Any]]]:
    """What guessing reaches: lines, and labels where they do not lie on each other."""
    lines, labels, last = [], [], -1.0
    for prevalence in sorted({round(float(curve.prevalence), 6) for curve in curves}):
        lines.append(reference_line([0, 1], [prevalence, prevalence], theme))
        if prevalence - last < 0.05:
            continue
        last = prevalence
        side = -9 if prevalence > 0.06 else 9  # below the line, where no curve stays for long
        text = f"guessing: {percent(prevalence)} are positive"
        labels.append(note(0, prevalence, text, theme, xanchor="left", yshift=side))
    return lines, labels


def _precision_recall(curve: PrecisionRecallCurve, style: ModelStyle) -> Trace:
    x, y, index, _ = curve.drawn()
    return _line(
        curve.model,
        style,
        x,
        y,
        legend=interval(curve.average_precision, curve.low, curve.high),
        hover=f"At %{{text}} <i>{escape(curve.model)}</i><br>catches %{{customdata[0]:,.7~g}} of "
        f"{plural(curve.n_positive, 'positive')};<br>"
        "%{customdata[1]:.3~g} % of what it flags is right.",
        text=threshold_texts(curve.thresholds[index]),
        data=columns(
            np.round(curve.recall[index] * curve.n_positive, 1), curve.precision[index] * 100
        ),
    )


def _gain_like(
    curves: Sequence[GainCurve],
    styles: Styles | None,
    theme: Theme,
    *,
    kind: str,
    subtitle: str,
    yaxis: dict[str, Any],
    lift: bool,
    chance: tuple[Sequence[float], Sequence[float]],
) -> go.Figure:
    caption = caption_gain(curves)
    data = [reference_line(*chance, theme)]
    for k, curve in enumerate(curves):
        data += _gain(curve, style_for(styles, curve.model, k), lift, theme)
    return canvas(
        theme,
        title=models_title(kind, [curve.model for curve in curves]),
        subtitle=_subtitle(curves, subtitle),
        name=f"{kind} " + " ".join(curve.model for curve in curves),
        alt=f"{kind} curves of {plural(len(curves), 'model')}. {caption}",
        caption=caption,
        height=HEIGHT,
        left=ROOM,
        xaxis=share_axis("Share of rows flagged, highest scores first"),
        yaxis=yaxis,
        legend_rows=len(curves),
        data=data,
    )


def _gain(curve: GainCurve, style: ModelStyle, lift: bool, theme: Theme) -> list[Trace]:
    """The curve, and its operating point if it has one."""
    x, y, index, _ = curve.drawn()
    share, recall = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    line = _line(
        curve.model,
        style,
        share,
        curve.lift[index] if lift else recall,
        legend="",
        hover=f"Flagging %{{customdata[0]:.3~g}} % of the rows<br>"
        f"by <i>{escape(curve.model)}</i><br>"
        "catches %{customdata[1]:.3~g} % of the positives.",
        text=[],
        data=columns(share * 100, recall * 100),
    )
    at = curve.operating
    if at is None:
        return [line]
    where = at.selection_rate
    value = at.recall if not lift else at.recall / where if where else np.nan
    return [line, _operating(curve.model, style, where, value, _caught(curve, at), theme)]


def plot_gain(
    curves: Sequence[GainCurve], styles: Styles | None = None, *, theme: Theme = "light"
) -> go.Figure:
    """Share of the positives caught against share of rows flagged."""
    return _gain_like(
        curves,
        styles,
        theme,
        kind="Gain",
        subtitle="Positives found when so many rows are looked at",
        yaxis=share_axis("Share of positives caught (recall)"),
        lift=False,
        chance=([0, 1], [0, 1]),
    )


def plot_lift(
    curves: Sequence[GainCurve], styles: Styles | None = None, *, theme: Theme = "light"
) -> go.Figure:
    """How many times more positives than a random choice, against share of rows flagged."""
    return _gain_like(
        curves,
        styles,
        theme,
        kind="Lift",
        subtitle="Times as many positives as in random rows",
        yaxis=axis("Lift (times a random choice)", rangemode="tozero"),
        lift=True,
        chance=([0, 1], [1, 1]),
    )


def plot_cost(
    curves: Sequence[CostCurve], styles: Styles | None = None, *, theme: Theme = "light"
) -> go.Figure:
    """Total cost of the errors against the threshold, the cheapest threshold of each marked."""
    caption = caption_cost(curves)
    prices = "No curves to show"
    if curves:
        one = curves[0]
        fp, fn = threshold(one.cost_fp), threshold(one.cost_fn)
        prices = f"{plural(one.n, 'row')}\nA false alarm costs {fp}, a miss {fn}"
    data = list[Trace]()
    for k, curve in enumerate(curves):
        data += _cost(curve, style_for(styles, curve.model, k), theme)
    return canvas(
        theme,
        title=models_title("Cost of errors", [curve.model for curve in curves]),
        subtitle=prices,
        name="cost " + " ".join(curve.model for curve in curves),
        alt=f"Cost against threshold for {plural(len(curves), 'model')}. {caption}",
        caption=caption,
        height=HEIGHT,
        left=ROOM,
        xaxis=axis("Threshold: rows scored at or above it are flagged", **_threshold_ticks(curves)),
        yaxis=axis("Cost of all errors (units of the prices)", rangemode="tozero"),
        legend_rows=len(curves),
        data=data,
    )


def _cost(curve: CostCurve, style: ModelStyle, theme: Theme) -> list[Trace]:
    """The curve, and the cheapest threshold where there is one."""
    x, y, _, _ = curve.drawn()
    line = _line(
        curve.model,
        style,
        x,
        y,
        legend="",
        hover=f"Flagging from %{{text}},<br>the errors of <i>{escape(curve.model)}</i>"
        "<br>cost %{y:,.4~g}.",
        text=threshold_texts(np.asarray(x)),
        data=columns(y),
    )
    if not np.isfinite(curve.best):
        return [line]
    least = float(np.min(curve.cost))
    sentence = (
        f"<i>{escape(curve.model)}</i> is cheapest<br>when it flags from "
        f"{threshold(curve.best)}:<br>its errors then cost {number(least)}."
    )
    return [line, _operating(curve.model, style, curve.best, least, sentence, theme)]


def _threshold_ticks(curves: Sequence[CostCurve]) -> dict[str, Any]:
    ends = [float(t) for curve in curves for t in curve.threshold if np.isfinite(t)]
    return SHARE_TICKS if ends and min(ends) >= 0 and max(ends) <= 1 else {}


def plot_calibration(
    curves: Sequence[CalibrationCurve], styles: Styles | None = None, *, theme: Theme = "light"
) -> go.Figure:
    """Share of positives against mean predicted probability, with Wilson intervals."""
    caption = caption_calibration(curves)
    corner = {"xanchor": "right", "yanchor": "bottom"}
    lines = [_calibration(one, style_for(styles, one.model, k)) for k, one in enumerate(curves)]
    return canvas(
        theme,
        title=models_title("Calibration", [curve.model for curve in curves]),
        subtitle=f"{plural(curves[0].n, 'row')}. Bars: 95 % interval\nBelow: Brier score, 0 is best"
        if curves
        else "No curves to show",
        name="calibration " + " ".join(curve.model for curve in curves),
        alt=f"Calibration of {plural(len(curves), 'model')}. {caption}",
        caption=caption,
        height=440,
        square=True,
        xaxis=share_axis("Mean predicted probability"),
        yaxis=share_axis("Share that is positive"),
        legend_rows=len(curves),
        annotations=[note(1, 0, "dotted: as often as said", theme, **corner)],
        data=[reference_line([0, 1], [0, 1], theme), *lines],
    )


def _calibration(curve: CalibrationCurve, style: ModelStyle) -> Trace:
    x, y = curve.mean_score, curve.share_positive
    sentences = [
        f"Where <i>{escape(curve.model)}</i> says {percent(said)},<br>{percent(seen)} of "
        f"{plural(n, 'row')} are positive."
        for said, seen, n in zip(x, y, curve.count, strict=True)
    ]
    return {
        "type": "scatter",
        "x": np.asarray(x, dtype=np.float32),
        "y": np.asarray(y, dtype=np.float32),
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": np.asarray(curve.high - y, dtype=np.float32),
            "arrayminus": np.asarray(y - curve.low, dtype=np.float32),
            "thickness": 1,
            "width": 0,
        },
        "mode": "lines+markers",
        "line": {**style.line, "width": 1.5},
        "marker": {"symbol": style.symbol, "size": 8, "color": style.colour},
        "name": f"{label(curve.model)}  {number(curve.brier)}",
        "legendgroup": curve.model,
        "text": sentences,
        "hovertemplate": "%{text}<extra></extra>",
    }
