"""Cross-validation: each fold as a dot, and what models differ by in the same folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from ..errors import NotApplicable, ParameterError
from ..wording import count, number, percent, plural, shorten
from .canvas import axis, canvas, models_title, number_ticks
from .drawn import Trace, add_meta, scatter
from .panels import brief, feature_axis, zero_line
from .theme import ModelStyle, Theme, ink, style_for, translucent

if TYPE_CHECKING:
    from ..diagnostics.folds import FoldDifference, FoldScores

__all__ = ["caption_folds", "plot_fold_differences", "plot_fold_scores"]

Styles = Mapping[str, ModelStyle]
Floats = npt.NDArray[np.float64]

MOST_MODELS = 12
MOST_JOINED = 12  # folds up to which lines join those of two models
PITCH = 64  # pixels a model


def plot_fold_scores(
    scores: FoldScores | Sequence[FoldScores],
    styles: Styles | None = None,
    *,
    theme: Theme = "light",
) -> go.Figure:
    """Models downwards: each fold's validation score as a dot, the mean ± one standard deviation.

    Thin lines join the same fold of neighbouring models. The open mark is the mean on the rows
    learned from, the cross the score on rows kept apart where there are such. Folds without a
    score are counted in the caption.

    Raises
    ------
    ParameterError : no scores, more than twelve models, or different metrics.
    """
    shown = list(scores) if isinstance(scores, Sequence) else [scores]
    _check(shown)
    first, names = shown[0], [one.model for one in shown]
    caption = caption_folds(shown)
    figure = canvas(
        theme,
        title=models_title(f"{first.title} in each fold", names, 72),
        subtitle=_subtitle(shown),
        name="folds " + " ".join(names),
        alt=f"{first.title} of {plural(len(names), 'model')} in "
        f"{plural(len(first.validation), 'fold')}. {caption}",
        caption=caption,
        width=76,
        height=60 + PITCH * len(shown),
        xaxis=axis(first.title, **_span([_every(one) for one in shown])),
        yaxis=feature_axis(names, 30, showgrid=False),
        showlegend=False,
    )
    add_meta(figure, models=names, metric=first.metric)
    _join(figure, shown, theme)
    for k, one in enumerate(shown):
        style = style_for(styles, one.model, k)
        figure.add_trace(_dots(one, k, style))
        _add_mean(figure, one, k, style, theme)
        _add_apart(figure, one, k, style)
    return figure


def _check(scores: Sequence[FoldScores]) -> None:
    if not 1 <= len(scores) <= MOST_MODELS:
        raise ParameterError(f"{len(scores)} models were given; 1 to {MOST_MODELS} are needed.")
    if len({one.metric for one in scores}) > 1:
        raise ParameterError("Scores in different metrics were given; draw each on its own axis.")


def _every(one: FoldScores) -> Floats:
    ends = [one.train_mean, one.mean - one.sd, one.mean + one.sd, one.apart]
    return np.concatenate([one.validation, ends])


def _span(parts: Sequence[Floats], zero: bool = False) -> dict[str, Any]:
    drawn = np.concatenate(parts)
    drawn = drawn[np.isfinite(drawn)]
    if zero:
        drawn = np.append(drawn, 0.0)
    if not len(drawn):
        return {"range": [0, 1], **number_ticks(0, 1)}
    low, high = float(drawn.min()), float(drawn.max())
    air = 0.06 * ((high - low) or abs(high) or 1.0)
    return {"range": [low - air, high + air], **number_ticks(low - air, high + air, 7)}


def _subtitle(scores: Sequence[FoldScores]) -> str:
    first = scores[0]
    better = "Higher is better" if first.larger_is_better else "Lower is better"
    done, total = sum(one.n_done for one in scores), sum(one.n_fits for one in scores)
    so_far = f" {count(done)} of {count(total)} fits are done." if done < total else ""
    apart = "; cross: rows kept apart" if any(np.isfinite(one.apart) for one in scores) else ""
    return (
        f"{better}. Dots: folds; bar: mean ± one standard deviation; open: mean on the training "
        f"rows{apart}.{so_far}"
    )


def caption_folds(scores: Sequence[FoldScores]) -> str:
    """Each model's mean and standard deviation, and the folds that have no score."""
    parts = []
    for one in scores:
        if not one.n_scored:
            parts.append(f"{shorten(one.model, 40)} has no score yet.")
            continue
        text = (
            f"{shorten(one.model, 40)}: {one.title} {number(one.mean)} ± {number(one.sd)} over "
            f"{plural(one.n_scored, 'fold')}"
        )
        lost = sum(bool(why) for why in one.failures)
        missing = f"; {count(lost)} of {count(len(one.failures))} have no score" if lost else ""
        rows = plural(one.n_apart, "row")
        apart = f"; {number(one.apart)} on {rows} kept apart" if np.isfinite(one.apart) else ""
        parts.append(f"{text}{missing}{apart}.")
    return " ".join(parts)


def _dots(one: FoldScores, k: int, style: ModelStyle) -> Trace:
    held = np.flatnonzero(np.isfinite(one.validation))
    within = one.frame()["fold"].to_numpy()
    texts = []
    for at in held:
        again = f", repetition {int(one.repeats[at]) + 1}" if one.repeats.any() else ""
        texts.append(
            f"<i>{brief(one.model)}</i>, fold {int(within[at]) + 1}{again}:<br>"
            f"{brief(one.title)} {number(float(one.validation[at]))} on "
            f"{plural(int(one.n_validation[at]), 'row')},<br>fitted on "
            f"{plural(int(one.n_train[at]), 'other row')}"
        )
    return scatter(
        x=one.validation[held].astype(np.float32),
        y=np.full(len(held), k, dtype=np.float32),
        mode="markers",
        marker={"symbol": style.symbol, "size": 9, "color": translucent(style.colour, 0.7)},
        text=texts,
        hovertemplate="%{text}<extra></extra>",
        name=f"folds of {brief(one.model)}",
    )


def _add_mean(figure: go.Figure, one: FoldScores, k: int, style: ModelStyle, theme: Theme) -> None:
    if not one.n_scored:
        return
    spread = {
        "type": "data",
        "array": [one.sd],
        "color": ink(theme).text,
        "thickness": 1.5,
        "width": 6,
    }
    found = one.interval()
    said = (
        f"<i>{brief(one.model)}</i>: mean {number(one.mean)} ± {number(one.sd)}"
        f"<br>over {plural(one.n_scored, 'fold')}"
    )
    if np.isfinite(found.low):
        said += f";<br>95 % interval of the mean {number(found.low)} to {number(found.high)}"
    shared = {"y": [k + 0.24], "mode": "markers", "hovertemplate": "%{text}<extra></extra>"}
    figure.add_trace(
        scatter(
            x=[one.mean],
            error_x=spread,
            marker={
                "symbol": "line-ns-open",
                "size": 16,
                "color": ink(theme).text,
                "line": {"width": 3},
            },
            text=[said],
            name="mean",
            **shared,
        )
    )
    if np.isfinite(one.train_mean):
        bare = style.symbol.removesuffix("-open")
        figure.add_trace(
            scatter(
                x=[one.train_mean],
                marker={"symbol": f"{bare}-open", "size": 10, "color": style.colour},
                text=[
                    f"<i>{brief(one.model)}</i>: {number(one.train_mean)} on the rows learned from"
                ],
                name="training rows",
                **shared,
            )
        )


def _add_apart(figure: go.Figure, one: FoldScores, k: int, style: ModelStyle) -> None:
    """Where a fit on all rows of the folds stands on the rows that were kept apart."""
    if not np.isfinite(one.apart):
        return
    figure.add_trace(
        scatter(
            x=[one.apart],
            y=[k - 0.24],
            mode="markers",
            marker={"symbol": "x-thin-open", "size": 10, "color": style.colour, "line_width": 3},
            text=[
                f"<i>{brief(one.model)}</i>: {number(one.apart)} on the "
                f"{plural(one.n_apart, 'row')} kept apart,<br>fitted on all rows of the folds"
            ],
            hovertemplate="%{text}<extra></extra>",
            name="rows kept apart",
        )
    )


def _join(figure: go.Figure, scores: Sequence[FoldScores], theme: Theme) -> None:
    """The same fold of neighbouring models, where the folds are the same."""
    x: list[float] = []
    y: list[float] = []
    for k, (one, other) in enumerate(pairwise(scores)):
        same = one.digest == other.digest and len(one.validation) == len(other.validation)
        if not same or len(one.validation) > MOST_JOINED:
            continue
        for a, b in zip(one.validation, other.validation, strict=True):
            if np.isfinite(a) and np.isfinite(b):
                x += [float(a), float(b), np.nan]
                y += [k, k + 1, np.nan]
    if x:
        figure.add_trace(
            scatter(
                x=np.array(x, dtype=np.float32),
                y=np.array(y, dtype=np.float32),
                mode="lines",
                line={"color": translucent(ink(theme).rule, 0.45), "width": 1},
                hoverinfo="skip",
                name="same fold",
            )
        )


# --- differences -------------------------------------------------------------------------------


def plot_fold_differences(
    differences: Sequence[FoldDifference],
    styles: Styles | None = None,
    *,
    theme: Theme = "light",
) -> go.Figure:
    """Models downwards: what each scores more than the reference in the same folds.

    Dots are folds; the bar is the mean with its corrected interval (Nadeau and Bengio 2003).

    Raises
    ------
    NotApplicable : no differences.
    ParameterError : different references or metrics.
    """
    shown = list(differences)
    if not shown:
        raise NotApplicable("One model has nothing to be compared with. Show two or more.")
    if len({(one.second, one.metric) for one in shown}) > 1:
        raise ParameterError("Differences to several models were given; draw each by itself.")
    first, names = shown[0], [one.first for one in shown]
    caption = " ".join(one.sentence for one in shown)
    parts = [np.append(one.differences, [one.low, one.high]) for one in shown]
    better = "Right is better" if first.larger_is_better else "Left is better"
    figure = canvas(
        theme,
        title=models_title(f"{first.title}: difference to {shorten(first.second, 30)}", names, 72),
        subtitle=(
            f"{better}. Dots: the same folds; bar: mean with its {percent(first.level)} interval, "
            "corrected for training rows that folds share."
        ),
        name="fold differences " + " ".join(names),
        alt=f"Differences of {plural(len(names), 'model')} to {first.second}. {caption}",
        caption=caption,
        width=76,
        height=60 + PITCH * len(shown),
        xaxis={
            **axis(
                f"{first.title} minus that of {shorten(first.second, 30)}", **_span(parts, True)
            ),
            **zero_line(theme),
        },
        yaxis=feature_axis(names, 30, showgrid=False),
        showlegend=False,
    )
    add_meta(figure, models=names, metric=first.metric)
    for k, one in enumerate(shown):
        _add_difference(figure, one, k, style_for(styles, one.first, k), theme)
    return figure


def _add_difference(
    figure: go.Figure, one: FoldDifference, k: int, style: ModelStyle, theme: Theme
) -> None:
    held = np.flatnonzero(np.isfinite(one.differences))
    figure.add_trace(
        scatter(
            x=one.differences[held].astype(np.float32),
            y=np.full(len(held), k, dtype=np.float32),
            mode="markers",
            marker={"symbol": style.symbol, "size": 9, "color": translucent(style.colour, 0.7)},
            hovertemplate=f"<i>{brief(one.first)}</i>: %{{x:.3~g}} in one fold<extra></extra>",
            name=f"folds of {brief(one.first)}",
        )
    )
    if not np.isfinite(one.mean):
        return
    known = np.isfinite(one.low)
    figure.add_trace(
        scatter(
            x=[one.mean],
            y=[k + 0.24],
            error_x={
                "type": "data",
                "array": [one.high - one.mean if known else 0.0],
                "visible": bool(known),
                "color": ink(theme).text,
                "thickness": 2,
                "width": 6,
            },
            mode="markers",
            marker={
                "symbol": "line-ns-open",
                "size": 16,
                "color": ink(theme).text,
                "line": {"width": 3},
            },
            text=[one.sentence],
            hovertemplate="%{text}<extra></extra>",
            name="mean",
        )
    )
