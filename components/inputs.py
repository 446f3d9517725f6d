"""Controls that return values. They keep them in the state, so that pages share them."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from components import cached
from components.markup import plain
from components.panels import theme
from components.state import AppState
from dashboard.contracts import Task
from dashboard.diagnostics.operating import RULES, compute_operating
from dashboard.evaluation import Answers
from dashboard.gallery import Cells, Exhibit, View, hardest_class
from dashboard.wording import shorten

__all__ = ["exhibit_options", "view"]

_CELLS: dict[Cells, str] = {
    "true": "Share of true class",
    "pred": "Share of prediction",
    "all": "Share of all",
    "none": "Counts",
    "errors": "Errors only",
    "difference": "Difference to reference",
}
_FOCUS = {
    Task.MULTICLASS: (
        "Class in focus",
        "Curves and threshold look at this class against the rest.",
    ),
    Task.MULTILABEL: ("Label in focus", "Matrices, curves and threshold look at this label."),
    Task.MULTIOUTPUT_REGRESSION: ("Output", "The charts show this output."),
}


def view(state: AppState, answers: Answers) -> View:
    """What the person looks at: the focus, and every model's operating point."""
    task = answers.evalset.target.task
    scored = [each for each in answers.predictions if each.y_score is not None]
    widths = {Task.MULTICLASS: [5, 2, 4], Task.BINARY: [5, 6]}.get(task, [3, 5])
    columns = st.columns(widths, vertical_alignment="top")
    chosen = state.reference_entry
    reference = chosen.name if chosen else None
    focus = None
    if task in _FOCUS:
        with columns[-2]:
            focus = _focus(state, answers)
    if not scored:
        return View(
            styles=state.styles(), output=focus, label=focus, reference=reference, theme=theme()
        )
    with columns[0]:
        rule = _rule(state, task)
    with columns[-1]:
        value = _threshold(state, rule)
    operating = {
        each.name: compute_operating(
            each, cached.threshold_table(each, focus), rule=rule, value=value
        )
        for each in scored
    }
    return View(
        styles=state.styles(),
        label=focus,
        operating=operating,
        rule=rule,
        reference=reference,
        theme=theme(),
    )


def _focus(state: AppState, answers: Answers) -> int:
    target = answers.baseline.target
    labels = [str(label) for label in target.labels]
    names = [shorten(label, 40) for label in labels]
    title, sentence = _FOCUS[target.task]
    if state.label in labels:
        start = labels.index(state.label)
    else:
        start = hardest_class(answers.predictions, cached.diagnostic)
    first = plain(names[0])
    chosen = st.selectbox(
        title,
        range(len(names)),
        index=min(start, len(names) - 1),
        format_func=lambda index: names[index],
        key="focus",
        help=f"{sentence} Example: with “{first}”, a positive is a row that is “{first}”.",
    )
    focus = int(chosen or 0)
    if focus != start:
        state.label = labels[focus]
    return focus


def _rule(state: AppState, task: Task) -> str:
    if task is Task.MULTILABEL:
        return "score"  # flagging shares of rows means something else for each label
    rules = list(RULES)
    chosen = st.segmented_control(
        "Compare at",
        rules,
        default=state.rule if state.rule in rules else "score",
        required=True,
        format_func=lambda name: RULES[name].title,
        key="rule",
        help="  \n".join(f"**{rule.title}**: {rule.sentence}" for rule in RULES.values()),
    )
    state.rule = str(chosen or "score")
    return state.rule


def _threshold(state: AppState, rule_name: str) -> float:
    rule = RULES[rule_name]
    state.threshold = st.slider(
        f"Threshold ({rule.unit})",
        min_value=0.0,
        max_value=1.0,
        value=state.threshold,
        step=0.01,
        format="%.2f",
        key="threshold",
        help=f"{rule.sentence} Every chart on this page follows.",
    )
    return state.threshold


def exhibit_options(state: AppState, exhibit: Exhibit, now: View, answers: Answers) -> View:
    """The controls that stand beside one exhibit; the view with their values."""
    if exhibit.name == "confusion":
        return _matrix_options(state, now, answers)
    if exhibit.name == "consequences":
        row = st.columns([2, 2, 5])
        for place, field, word, unit in (
            (row[0], "cost_fp", "Cost of a false alarm", "In any unit."),
            (row[1], "cost_fn", "Cost of a miss", "In the same unit."),
        ):
            given = place.number_input(
                word, min_value=0.0, value=getattr(state, field), key=field, help=unit
            )
            setattr(state, field, float(given or 0))
        return replace(now, cost_fp=state.cost_fp, cost_fn=state.cost_fn)
    return now


def _matrix_options(state: AppState, now: View, answers: Answers) -> View:
    row = st.container(horizontal=True)
    with row:
        chosen = st.segmented_control(
            "Cells show",
            list(_CELLS),
            default=state.normalise,
            required=True,
            format_func=lambda name: _CELLS[name],
            key="cells",
            help="“Share of true class”: of the rows that are a cat, how many were called a cat, "
            "a dog, … “Errors only” leaves the diagonal out, so that mistakes stand out.",
        )
        state.normalise = chosen
        against = False
        if answers.evalset.target.task is Task.MULTICLASS and now.operating:
            against = state.against_rest = st.toggle(
                "Only the class in focus against the rest",
                value=state.against_rest,
                key="against-rest",
                help="At the threshold above, instead of each row's likeliest class.",
            )
    return replace(now, normalise=state.normalise, against_rest=against)
