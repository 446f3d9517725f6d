"""Scores by the value of one parameter: training and validation, with the spread of the folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from ..contracts import SearchParameter
from ..contracts.searches import NOTHING
from ..errors import ParameterError
from ..wording import count, listing, number, plural, shorten
from .canvas import axis, canvas, models_title, note, number_ticks
from .drawn import Trace, add_meta, scatter
from .epoch_lines import short_tick
from .theme import ModelStyle, Theme, escape, ink, label, style_for, translucent

if TYPE_CHECKING:
    from ..diagnostics.parameter_curves import ParameterCurve

__all__ = ["caption_parameter_curves", "plot_parameter_curves"]

Styles = Mapping[str, ModelStyle]
Floats = npt.NDArray[np.float64]

MOST_MODELS = 8
MOST_FOLD_DOTS = 400
DRAWING = 420


def plot_parameter_curves(
    curves: ParameterCurve | Sequence[ParameterCurve],
    styles: Styles | None = None,
    *,
    theme: Theme = "light",
) -> go.Figure:
    """Validation curves of one parameter, of one model or several that have it.

    The band is one standard deviation over the folds; each model's best mean is ringed. Values
    that are not all numbers stand in equal steps.

    Raises
    ------
    ParameterError : no curves, more than eight, or of different metrics or parameters.
    """
    shown = _checked(curves)
    first, names = shown[0], [one.model for one in shown]
    across = _Across(shown)
    caption = caption_parameter_curves(shown)
    parameter = shorten(first.parameter, 40)
    figure = canvas(
        theme,
        title=models_title(f"{first.title} by {parameter}", names, 72),
        subtitle=_subtitle(shown),
        name=f"parameter curves {first.parameter} " + " ".join(names),
        alt=f"Scores by {parameter} of {plural(len(names), 'model')}, "
        f"{plural(len(first.values), 'value')}. {caption}",
        caption=caption,
        height=DRAWING,
        width=90,
        legend_rows=2 * len(shown),
        xaxis=axis(parameter, **across.options()),
        yaxis=axis(first.title, **_heights(shown)),
    )
    meta = {"models": names, "metric": first.metric, "places": across.named()}
    add_meta(figure, **meta)
    for k, curve in enumerate(shown):
        style = style_for(styles, curve.model, k)
        x = across.places(curve)
        _add_band(figure, x, curve, style)
        _add_folds(figure, x, curve, style)
        figure.add_trace(_line(x, curve, "train", style))
        figure.add_trace(_line(x, curve, "validation", style))
        _add_best(figure, x, curve, style, theme)
    _add_own(figure, across, shown, theme)
    return figure


def _checked(curves: ParameterCurve | Sequence[ParameterCurve]) -> list[ParameterCurve]:
    shown = list(curves) if isinstance(curves, Sequence) else [curves]
    if not 1 <= len(shown) <= MOST_MODELS:
        raise ParameterError(f"{len(shown)} curves were given; 1 to {MOST_MODELS} are needed.")
    if len({(one.metric, one.parameter) for one in shown}) > 1:
        raise ParameterError(
            "Curves of different metrics or parameters were given; draw each on its own axes."
        )
    return shown


# ---- words -------------------------------------------------------------------------------------


def _subtitle(curves: Sequence[ParameterCurve]) -> str:
    first, n_folds = curves[0], curves[0].validation.shape[1]
    better = "Higher is better" if first.larger_is_better else "Lower is better"
    done, total = sum(one.n_done for one in curves), sum(one.n_fits for one in curves)
    so_far = f" {count(done)} of {count(total)} fits are done." if done < total else ""
    band = f" Band: one standard deviation over {plural(n_folds, 'fold')}."
    return f"{better}.{band if n_folds > 1 else ''}{so_far}"


def caption_parameter_curves(curves: Sequence[ParameterCurve]) -> str:
    """Each model's best value, and its own value where that is another."""
    parts = []
    for one in curves:
        best = one.best
        if best is None:
            parts.append(f"{shorten(one.model, 40)} has no score yet.")
            continue
        texts, means = one.axis, one.validation_mean
        text = (
            f"{shorten(one.model, 40)} is best with {shorten(one.parameter, 40)} = "
            f"{texts.brief(best)} ({one.title} {_give(means[best], one.validation_sd[best])})"
        )
        own = one.place_of_current
        if own is not None and own != best and np.isfinite(means[own]):
            text += f"; its own {texts.brief(own)} has {_give(means[own], one.validation_sd[own])}"
        parts.append(f"{text}.{_ties(one, best)}")
    return " ".join(parts)


def _ties(curve: ParameterCurve, best: int) -> str:
    """Which other values cannot be told from the best one in the same folds."""
    if (np.isfinite(curve.validation).sum(axis=1) < 2)[best]:
        return ""
    known = np.flatnonzero(np.isfinite(curve.validation_mean))
    others = [int(k) for k in known if k != best]
    tied = [k for k in others if _includes_zero(curve, best, k)]
    if not tied:
        return ""
    if len(tied) == len(others):
        return " No other value is told from it by these folds."
    return f" Not told from it by these folds: {listing([curve.axis.brief(k) for k in tied], 6)}."


def _includes_zero(curve: ParameterCurve, best: int, other: int) -> bool:
    gap = curve.difference(best, other)
    return not (gap.low > 0 or gap.high < 0)


def _give(mean: float, spread: float) -> str:
    return number(float(mean)) + (f" ± {number(float(spread))}" if np.isfinite(spread) else "")


def _texts(curve: ParameterCurve, part: str) -> list[str]:
    mean, spread = _part(curve, part)
    where = "the rows it learned from" if part == "train" else "other rows"
    held = np.isfinite(curve.validation).sum(axis=1)
    return [
        f"With {escape(shorten(curve.parameter, 30))} = {escape(curve.axis.brief(k))},<br>"
        f"<i>{escape(curve.model)}</i> has {escape(curve.title)} {_give(m, s)}<br>"
        f"on {where} ({plural(int(n), 'fold')})."
        for k, (m, s, n) in enumerate(zip(mean, spread, held, strict=True))
    ]


def _part(curve: ParameterCurve, part: str) -> tuple[Floats, Floats]:
    if part == "train":
        return curve.train_mean, curve.train_sd
    return curve.validation_mean, curve.validation_sd


# ---- axes --------------------------------------------------------------------------------------


class _Across:
    """Where values stand: numbers on a linear or log axis, anything else in equal steps."""

    def __init__(self, curves: Sequence[ParameterCurve]) -> None:
        values = [value for one in curves for value in one.axis.values]
        self._all = SearchParameter(curves[0].parameter, tuple(values))
        self._as_numbers = self._all.is_number and NOTHING not in values

    def places(self, curve: ParameterCurve) -> Floats:
        """`(v,)` of one curve's values."""
        if self._as_numbers:
            return curve.axis.numbers
        known = self._all.categories
        return np.array(
            [known.index(curve.axis.text(k)) for k in range(len(curve.values))], dtype=np.float64
        )

    def named(self) -> dict[str, int] | None:
        """Number → where it stands among words; None where numbers stand at their values."""
        if self._as_numbers:
            return None
        known = self._all.categories
        every = zip(self._all.numbers.tolist(), range(len(self._all.values)), strict=True)
        return {repr(x): known.index(self._all.text(k)) for x, k in every if np.isfinite(x)}

    def options(self) -> dict[str, Any]:
        """Range, ticks and type of the axis."""
        if not self._as_numbers:
            known = self._all.categories
            every = max(1, -(-len(known) // 24))
            return {
                "range": [-0.5, len(known) - 0.5],
                "tickvals": list(range(0, len(known), every)),
                "ticktext": [escape(shorten(text, 14)) for text in known[::every]],
                "showgrid": False,
            }
        known_numbers = np.unique(self._all.numbers)
        low, high = float(known_numbers[0]), float(known_numbers[-1])
        if self._all.scale == "log":
            return _log_axis(known_numbers)
        air = 0.03 * ((high - low) or 1.0)
        ends = [low - air, high + air]
        return {"range": ends, **number_ticks(ends[0], ends[1], 8)}


def _log_axis(known: Floats) -> dict[str, Any]:
    ends = [float(np.log10(known[0])), float(np.log10(known[-1]))]
    air = 0.03 * ((ends[1] - ends[0]) or 1.0)
    ticks = list(known) if len(known) <= 10 else list(10.0 ** np.arange(np.ceil(ends[0]), ends[1]))
    return {
        "type": "log",
        "range": [ends[0] - air, ends[1] + air],
        "tickmode": "array",
        "tickvals": ticks,
        "ticktext": [short_tick(float(tick)) for tick in ticks],
    }


def _heights(curves: Sequence[ParameterCurve]) -> dict[str, Any]:
    parts: list[Floats] = []
    for one in curves:
        spread = np.nan_to_num(one.validation_sd)
        parts += [one.train_mean, one.validation_mean - spread, one.validation_mean + spread]
    drawn = np.concatenate(parts)
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn):
        return {"range": [0, 1], **number_ticks(0, 1)}
    low, high = float(drawn.min()), float(drawn.max())
    air = 0.06 * ((high - low) or abs(high) or 1.0)
    return {"range": [low - air, high + air], **number_ticks(low - air, high + air)}


# ---- marks -------------------------------------------------------------------------------------


def _add_band(figure: go.Figure, x: Floats, curve: ParameterCurve, style: ModelStyle) -> None:
    mean, spread = curve.validation_mean, curve.validation_sd
    held = np.isfinite(mean) & np.isfinite(spread)
    if held.sum() < 2:
        return
    low, high = (mean - spread)[held], (mean + spread)[held]
    figure.add_trace(
        scatter(
            x=np.concatenate([x[held], x[held][::-1]]).astype(np.float32),
            y=np.concatenate([high, low[::-1]]).astype(np.float32),
            fill="toself",
            fillcolor=translucent(style.colour, 0.16),
            line={"width": 0},
            mode="lines",
            hoverinfo="skip",
            showlegend=False,
            name="band",
        )
    )


def _add_folds(figure: go.Figure, x: Floats, curve: ParameterCurve, style: ModelStyle) -> None:
    """Each fold's validation score, where they are not too many to be seen."""
    n_values, n_folds = curve.validation.shape
    held = np.isfinite(curve.validation).ravel()
    if n_folds < 2 or held.sum() > MOST_FOLD_DOTS:
        return
    figure.add_trace(
        scatter(
            x=np.repeat(x, n_folds)[held].astype(np.float32),
            y=curve.validation.ravel()[held].astype(np.float32),
            mode="markers",
            marker={"color": translucent(style.colour, 0.35), "size": 4, "symbol": style.symbol},
            customdata=(np.tile(np.arange(n_folds), n_values)[held] + 1)[:, None].astype(
                np.float32
            ),
            hovertemplate=f"Fold %{{customdata[0]:.0f}} of <i>{escape(curve.model)}</i>: "
            "%{y:.4~g}<extra></extra>",
            showlegend=False,
            name="folds",
        )
    )


def _line(x: Floats, curve: ParameterCurve, part: str, style: ModelStyle) -> Trace:
    mean, _ = _part(curve, part)
    bare = style.symbol.removesuffix("-open")
    train = part == "train"
    return scatter(
        x=x.astype(np.float32),
        y=mean.astype(np.float32),
        mode="lines+markers",
        line={"color": style.colour, "dash": "dot", "width": 1.5}
        if train
        else {**style.line, "dash": "solid"},
        marker={
            "symbol": f"{bare}-open" if train else style.symbol,
            "size": 7 if train else 8,
            "color": style.colour,
        },
        text=_texts(curve, part),
        hovertemplate="%{text}<extra></extra>",
        name=f"{label(curve.model)}, {'on its training rows' if train else 'validation'}",
        connectgaps=False,
    )


def _add_best(
    figure: go.Figure, x: Floats, curve: ParameterCurve, style: ModelStyle, theme: Theme
) -> None:
    best = curve.best
    if best is None:
        return
    figure.add_trace(
        scatter(
            x=x[best : best + 1].astype(np.float32),
            y=curve.validation_mean[best : best + 1].astype(np.float32),
            mode="markers",
            marker={
                "symbol": "circle-open",
                "size": 17,
                "color": ink(theme).text,
                "line": {"width": 1.5, "color": ink(theme).text},
            },
            hoverinfo="skip",
            showlegend=False,
            name=f"best of {label(curve.model)}",
        )
    )


def _add_own(
    figure: go.Figure, across: _Across, curves: Sequence[ParameterCurve], theme: Theme
) -> None:
    """The value that the model has now; with several models the caption says it."""
    if len(curves) != 1 or curves[0].place_of_current is None:
        return
    curve = curves[0]
    own = int(curve.place_of_current or 0)
    place = float(across.places(curve)[own])
    line = {"color": ink(theme).rule, "dash": "dot", "width": 1.2}
    figure.add_vline(x=place, line=line, layer="below")
    at = float(np.log10(place)) if figure.layout.xaxis.type == "log" else place
    text = f"its own: {curve.axis.brief(own)}"
    first, last = figure.layout.xaxis.range
    side = "right" if (at - first) > 0.75 * (last - first) else "left"
    figure.add_annotation(note(at, 0, text, theme, yref="paper", yanchor="bottom", xanchor=side))
