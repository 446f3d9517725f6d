"""Scores and fit times by the number of rows that models learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from ..errors import ParameterError
from ..wording import count, number, percent, plural, threshold
from .canvas import axis, canvas, models_title, note, number_ticks, reference_line
from .drawn import Trace, add_meta, scatter
from .theme import ModelStyle, Theme, escape, ink, label, style_for, translucent

if TYPE_CHECKING:
    from ..diagnostics.projections import Projection
    from ..diagnostics.size_curves import SizeCurve

__all__ = ["caption_size_curves", "plot_fit_times", "plot_size_curves"]

Styles = Mapping[str, ModelStyle]
Array = npt.NDArray[Any]

MOST_MODELS = 8
MOST_FOLD_DOTS = 400
DRAWING = 420


def plot_size_curves(
    curves: SizeCurve | Sequence[SizeCurve],
    styles: Styles | None = None,
    *,
    projection: Mapping[str, Projection] | None = None,
    wanted: float | None = None,
    theme: Theme = "light",
    log_x: bool = True,
) -> go.Figure:
    """Training and validation scores by training size, with a band over the folds.

    `projection` : model → its power law, drawn dashed with its interval beyond the largest size;
    `wanted` : the score that a person wants to reach, a quiet line across.

    Raises
    ------
    ParameterError : no curves, more than eight, or of different metrics.
    """
    shown = _checked(curves)
    laws = projection or {}
    first, names = shown[0], [one.model for one in shown]
    caption = caption_size_curves(shown, laws, wanted)
    most = max(len(one.train_mean) for one in shown)
    figure = canvas(
        theme,
        title=models_title(f"{first.title} by training size", names, 72),
        subtitle=_subtitle(shown),
        name="size curves " + " ".join(names),
        alt=f"Scores by training size of {plural(len(names), 'model')}, {most} sizes. {caption}",
        caption=caption,
        height=DRAWING,
        width=90,
        legend_rows=2 * len(shown) + sum(name in laws for name in names),
        xaxis=_size_axis(shown, laws, log_x),
        yaxis=axis(first.title, **_heights(shown, laws, wanted)),
    )
    add_meta(figure, models=names, metric=first.metric)
    if wanted is not None:
        _add_wanted(figure, wanted, shown, laws, theme)
    for k, curve in enumerate(shown):
        style = style_for(styles, curve.model, k)
        _add_band(figure, curve.sizes, curve.train_mean, curve.train_sd, style, 0.07)
        _add_band(figure, curve.sizes, curve.validation_mean, curve.validation_sd, style, 0.16)
        _add_folds(figure, curve, style)
        _add_train(figure, curve, style)
        _add_validation(figure, curve, style)
        if curve.model in laws:
            _add_projection(figure, laws[curve.model], style)
    _add_end(figure, shown, laws, theme)
    return figure


def _checked(curves: SizeCurve | Sequence[SizeCurve]) -> list[SizeCurve]:
    shown = list(curves) if isinstance(curves, Sequence) else [curves]
    if not 1 <= len(shown) <= MOST_MODELS:
        raise ParameterError(f"{len(shown)} curves were given; 1 to {MOST_MODELS} are needed.")
    if len({one.metric for one in shown}) > 1:
        raise ParameterError("Curves of different metrics were given; draw each on its own axes.")
    return shown


# ---- words -------------------------------------------------------------------------------------


def _subtitle(curves: Sequence[SizeCurve]) -> str:
    first = curves[0]
    better = "Higher is better" if first.larger_is_better else "Lower is better"
    done, total = sum(one.n_done for one in curves), sum(one.n_fits for one in curves)
    so_far = f" {count(done)} of {count(total)} fits are done." if done < total else ""
    band = f" Bands: one standard deviation over {plural(first.n_folds, 'fold')}."
    return f"{better}.{band if first.n_folds > 1 else ''}{so_far}"


def caption_size_curves(
    curves: Sequence[SizeCurve],
    projection: Mapping[str, Projection] | None = None,
    wanted: float | None = None,
) -> str:
    """Each model's scores at its largest size, how its curve may go on, and where it is wanted."""
    parts = []
    for one in curves:
        held = np.flatnonzero(np.isfinite(one.validation_mean))
        if not len(held):
            parts.append(f"{one.model} has no score yet.")
            continue
        at = int(held[-1])
        spread = one.validation_sd[at]
        within = f" ± {number(float(spread))}" if np.isfinite(spread) else ""
        train = one.train_mean[at]
        seen = f", {number(float(train))} on the rows it learned from" if np.isfinite(train) else ""
        parts.append(
            f"{one.model}: {one.title} {number(float(one.validation_mean[at]))}{within} with "
            f"{plural(int(one.sizes[at]), 'row')}{seen}."
        )
        if projection and one.model in projection:
            parts.append(projection[one.model].sentence)
    if wanted is not None:
        parts.append(f"Dotted across: the {threshold(wanted)} that is wanted.")
    return " ".join(parts)


def _texts(curve: SizeCurve, part: str) -> list[str]:
    mean = curve.train_mean if part == "train" else curve.validation_mean
    spread = curve.train_sd if part == "train" else curve.validation_sd
    where = "the rows it learned from" if part == "train" else "other rows"
    within = [f" ± {number(float(s))}" if np.isfinite(s) else "" for s in spread]
    return [
        f"Fitted on {plural(int(n), 'row')}, <i>{escape(curve.model)}</i> has<br>"
        f"{escape(curve.title)} {number(float(m))}{s} on {where}<br>({plural(int(k), 'fold')})."
        for n, m, s, k in zip(curve.sizes, mean, within, curve.counted, strict=True)
    ]


# ---- axes --------------------------------------------------------------------------------------


def _reach(curves: Sequence[SizeCurve], laws: Mapping[str, Projection]) -> tuple[float, float]:
    low = min(float(one.sizes.min()) for one in curves)
    high = max(float(one.sizes.max()) for one in curves)
    drawn = [laws[one.model].furthest for one in curves if one.model in laws]
    return low, float(max([high, *drawn]))


def _size_axis(
    curves: Sequence[SizeCurve], laws: Mapping[str, Projection], log_x: bool
) -> dict[str, Any]:
    low, high = _reach(curves, laws)
    if not log_x:
        air = 0.03 * ((high - low) or 1.0)
        ends = [max(0.0, low - air), high + air]
        return axis("Rows learned from", range=ends, **number_ticks(ends[0], ends[1]))
    steps = [m * 10.0**p for p in range(8) for m in (1, 2, 5)]
    ticks = [step for step in steps if 0.9 * low <= step <= 1.1 * high]
    ends = [float(np.log10(low)) - 0.04, float(np.log10(max(high, 1.01 * low))) + 0.04]
    return axis(
        "Rows learned from (each step multiplies)",
        type="log",
        range=ends,
        tickmode="array",
        tickvals=ticks,
        ticktext=[count(tick) for tick in ticks],
    )


def _heights(
    curves: Sequence[SizeCurve], laws: Mapping[str, Projection], wanted: float | None
) -> dict[str, Any]:
    """Room for all that is drawn; the worst scores of the smallest sizes may not squeeze it."""
    parts: list[Array] = [] if wanted is None else [np.array([wanted])]
    for one in curves:
        spread = np.nan_to_num(one.validation_sd)
        parts += [one.train_mean, one.validation_mean - spread, one.validation_mean + spread]
        if one.model in laws:
            law = laws[one.model]
            beyond = law.sizes >= law.base
            parts += [law.low[beyond], law.high[beyond]]
    drawn = np.concatenate(parts)
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn):
        return {"range": [0, 1], **number_ticks(0, 1)}
    low, high = float(drawn.min()), float(drawn.max())
    air = 0.05 * ((high - low) or abs(high) or 1.0)
    return {"range": [low - air, high + air], **number_ticks(low - air, high + air)}


# ---- marks -------------------------------------------------------------------------------------


def _add_band(
    figure: go.Figure, sizes: Array, mean: Array, spread: Array, style: ModelStyle, alpha: float
) -> None:
    """One standard deviation over the folds on either side; fainter for training."""
    held = np.isfinite(mean) & np.isfinite(spread)
    if held.sum() < 2:
        return
    x = sizes[held].astype(np.float32)
    low, high = (mean - spread)[held], (mean + spread)[held]
    figure.add_trace(_filled(x, low, high, style, alpha))


def _filled(x: Array, low: Array, high: Array, style: ModelStyle, alpha: float) -> Trace:
    return scatter(
        x=np.concatenate([x, x[::-1]]).astype(np.float32),
        y=np.concatenate([high, low[::-1]]).astype(np.float32),
        fill="toself",
        fillcolor=translucent(style.colour, alpha),
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        showlegend=False,
        name="band",
    )


def _add_folds(figure: go.Figure, curve: SizeCurve, style: ModelStyle) -> None:
    """Each fold's validation score, where they are not too many to be seen."""
    frame = curve.frame()
    frame = frame[np.isfinite(frame["validation"])]
    if curve.n_folds < 2 or len(frame) > MOST_FOLD_DOTS:
        return
    figure.add_trace(
        scatter(
            x=frame["size"].to_numpy(dtype=np.float32),
            y=frame["validation"].to_numpy(dtype=np.float32),
            mode="markers",
            marker={"color": translucent(style.colour, 0.35), "size": 4, "symbol": style.symbol},
            customdata=frame["fold"].to_numpy(dtype=np.float32)[:, None] + 1,
            hovertemplate=f"Fold %{{customdata[0]:.0f}} of <i>{escape(curve.model)}</i>: "
            "%{y:.4~g}<extra></extra>",
            showlegend=False,
            name="folds",
        )
    )


def _add_train(figure: go.Figure, curve: SizeCurve, style: ModelStyle) -> None:
    if not np.isfinite(curve.train_mean).any():
        return
    figure.add_trace(
        _line(
            curve,
            "train",
            style,
            line={"color": style.colour, "dash": "dot", "width": 1.5},
            marker={"symbol": f"{style.symbol.removesuffix('-open')}-open", "size": 7},
        )
    )


def _add_validation(figure: go.Figure, curve: SizeCurve, style: ModelStyle) -> None:
    figure.add_trace(
        _line(
            curve,
            "validation",
            style,
            line={**style.line, "dash": "solid"},
            marker={"symbol": style.symbol, "size": 8},
        )
    )


def _line(curve: SizeCurve, part: str, style: ModelStyle, **look: Any) -> Trace:
    mean = curve.train_mean if part == "train" else curve.validation_mean
    look["marker"] = {**look["marker"], "color": style.colour}
    said = "on its training rows" if part == "train" else "validation"
    return scatter(
        x=curve.sizes.astype(np.float32),
        y=mean.astype(np.float32),
        mode="lines+markers",
        text=_texts(curve, part),
        hovertemplate="%{text}<extra></extra>",
        name=f"{label(curve.model)}, {said}",
        connectgaps=False,
        **look,
    )


def _add_projection(figure: go.Figure, law: Projection, style: ModelStyle) -> None:
    beyond = law.sizes >= law.base
    x = law.sizes[beyond]
    figure.add_trace(_filled(x, law.low[beyond], law.high[beyond], style, 0.08))
    texts = [
        f"With {plural(int(n), 'row')}, <i>{escape(law.model)}</i> may reach<br>"
        f"{escape(law.title)} {number(float(v))} ({number(float(a))} to {number(float(b))})."
        for n, v, a, b in zip(x, law.values[beyond], law.low[beyond], law.high[beyond], strict=True)
    ]
    figure.add_trace(
        scatter(
            x=x.astype(np.float32),
            y=law.values[beyond].astype(np.float32),
            mode="lines",
            line={"color": style.colour, "dash": "dash", "width": 2},
            text=texts,
            hovertemplate="%{text}<extra></extra>",
            name=f"{label(law.model)}, projected, {percent(law.level)} interval",
        )
    )


def _add_end(
    figure: go.Figure, curves: Sequence[SizeCurve], laws: Mapping[str, Projection], theme: Theme
) -> None:
    """Where measuring ends and projecting begins."""
    if not any(one.model in laws for one in curves):
        return
    base = max(law.base for law in laws.values())
    figure.add_vline(x=base, line={"color": ink(theme).rule, "dash": "dot", "width": 1})


def _add_wanted(
    figure: go.Figure,
    wanted: float,
    curves: Sequence[SizeCurve],
    laws: Mapping[str, Projection],
    theme: Theme,
) -> None:
    """A line across at the score that is to be reached, named at its right end."""
    low, high = _reach(curves, laws)
    figure.add_trace(reference_line([low, high], [wanted, wanted], theme, name="wanted"))
    text = note(1.0, wanted, f"wanted: {threshold(wanted)}", theme, xref="paper", xanchor="right")
    up = bool(curves[0].larger_is_better)  # on the side on which the curves are not
    figure.add_annotation({**text, "yanchor": "bottom" if up else "top"})


# ---- fit times ---------------------------------------------------------------------------------


def plot_fit_times(
    curves: SizeCurve | Sequence[SizeCurve],
    styles: Styles | None = None,
    *,
    theme: Theme = "light",
) -> go.Figure:
    """Mean seconds of one fit by training size, both axes in equal factors.

    Raises
    ------
    ParameterError : no curves, or more than eight.
    """
    shown = list(curves) if isinstance(curves, Sequence) else [curves]
    if not 1 <= len(shown) <= MOST_MODELS:
        raise ParameterError(f"{len(shown)} curves were given; 1 to {MOST_MODELS} are needed.")
    names = [one.model for one in shown]
    caption = _caption_times(shown)
    figure = canvas(
        theme,
        title=models_title("Time of a fit by training size", names, 72),
        subtitle="Mean over the folds, on this machine",
        name="fit times " + " ".join(names),
        alt=f"Fit times by training size of {plural(len(names), 'model')}. {caption}",
        caption=caption,
        height=300,
        legend_rows=len(names),
        xaxis=_size_axis(shown, {}, True),
        yaxis=_seconds_axis(shown),
    )
    for k, curve in enumerate(shown):
        style = style_for(styles, curve.model, k)
        figure.add_trace(
            scatter(
                x=curve.sizes.astype(np.float32),
                y=curve.seconds.astype(np.float32),
                mode="lines+markers",
                line=style.line,
                marker={"symbol": style.symbol, "size": 7, "color": style.colour},
                hovertemplate=f"<i>{escape(curve.model)}</i>: %{{y:.3~g}} s for %{{x:,}} rows"
                "<extra></extra>",
                name=label(curve.model),
            )
        )
    return figure


def _seconds_axis(curves: Sequence[SizeCurve]) -> dict[str, Any]:
    drawn = np.concatenate([one.seconds for one in curves])
    drawn = drawn[np.isfinite(drawn) & (drawn > 0)]
    low, high = (float(drawn.min()), float(drawn.max())) if len(drawn) else (0.1, 1.0)
    steps = [m * 10.0**p for p in range(-5, 6) for m in (1, 2, 5)]
    ticks = [step for step in steps if 0.6 * low <= step <= 1.7 * high]
    ticks = ticks[:: max(1, -(-len(ticks) // 8))]
    return axis(
        "Seconds",
        type="log",
        range=[float(np.log10(0.7 * low)), float(np.log10(1.4 * high))],
        tickmode="array",
        tickvals=ticks,
        ticktext=[threshold(tick) if tick < 1 else count(tick) for tick in ticks],
    )


def _caption_times(curves: Sequence[SizeCurve]) -> str:
    parts = []
    for one in curves:
        held = np.flatnonzero(np.isfinite(one.seconds))
        if len(held):
            at = int(held[-1])
            parts.append(
                f"{one.model} takes {number(float(one.seconds[at]))} s for "
                f"{plural(int(one.sizes[at]), 'row')}"
            )
    return f"{'; '.join(parts)}." if parts else "No times are known."
