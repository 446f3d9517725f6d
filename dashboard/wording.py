"""Numbers and findings in plain words: what the pages, the figures and the reports say.

Everything returns plain text, without markup: whoever shows it escapes it. Shares are written
`.924`, percentages `18 %`, intervals `.924 [.911, .936]`; nothing is ever rounded up to
certainty (.9997 stays `.9997`, it never reads `1.00`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .diagnostics.confusion import ConfusionMatrix
    from .diagnostics.metrics import MetricTable
    from .diagnostics.thresholds import Counts

__all__ = [
    "count",
    "headline_binary",
    "headline_multiclass",
    "headline_regression",
    "in_sentence",
    "interval",
    "listing",
    "number",
    "other_threshold",
    "per_thousand",
    "percent",
    "plural",
    "points",
    "quoted",
    "ranked",
    "runner_up",
    "shorten",
    "shorten_all",
    "threshold",
    "too_close",
]

MISSING = "–"


# Numbers


def _decimals(size: float, digits: int) -> int:
    return max(0, digits - 1 - math.floor(math.log10(size)))


def _fixed(x: float, digits: int) -> str:
    """`x` at `digits` significant digits; a share below 1 never rounds to 1."""
    size = abs(x)
    decimals = _decimals(size, digits)
    if size < 1:
        while round(size, decimals) >= 1 and decimals < 9:
            decimals += 1
        return f"{size:.{decimals}f}"
    places = digits - 1 - math.floor(math.log10(size))
    rounded = round(size, places)
    places = digits - 1 - math.floor(math.log10(rounded))
    return f"{rounded:,.{max(0, places)}f}"


def number(x: float, digits: int = 3, unit: str = "") -> str:
    """`x` with `digits` significant digits: `.924`, `47,900`, `−3.20`, `1.2×10⁻⁵`; NaN is `–`."""
    value = float(x)
    if math.isnan(value):
        return MISSING
    sign = "−" if value < 0 else ""
    if math.isinf(value):
        text = "∞"
    elif value == 0:
        text = "0"
    elif not 1e-4 <= abs(value) < 1e15:
        mantissa, _, power = f"{abs(value):.{digits - 1}e}".partition("e")
        text = f"{mantissa}×10{_superscript(int(power))}"
    else:
        text = _fixed(value, digits)
        text = text[1:] if text.startswith("0.") else text
    return f"{sign}{text} {unit}".rstrip()


def _superscript(power: int) -> str:
    return str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def threshold(x: float) -> str:
    """A threshold as people say it: `.5`, `.31`, `−1.2`: three digits, no trailing zeros."""
    text = number(x)
    return text.rstrip("0").rstrip(".") if "." in text and "×" not in text else text


def count(x: float) -> str:
    """A count or a sum of weights: `12,000`, `1,234.5`."""
    value = float(x)
    if math.isnan(value):
        return MISSING
    return f"{value:,.0f}" if abs(value - round(value)) < 1e-6 else f"{value:,.1f}"


def plural(n: float, noun: str) -> str:
    """`1 row`, `2,400 rows`, `3 classes`."""
    ending = "" if n == 1 else ("es" if noun.endswith(("s", "x", "ch")) else "s")
    return f"{count(n)} {noun}{ending}"


def percent(share: float, digits: int = 2) -> str:
    """A share as a percentage: `9.0 %`, `18 %`, `99.6 %`; 100 % only when it is all of them."""
    value = float(share) + 0.0  # no −0
    if math.isnan(value):
        return MISSING
    if value in (0.0, 1.0):
        return f"{value * 100:.0f} %"
    sign, size = ("−" if value < 0 else ""), abs(value) * 100
    if size < 0.01:
        return f"{sign}<.01 %"
    decimals = _decimals(size, digits)
    while size < 100 and round(size, decimals) >= 100 and decimals < 9:
        decimals += 1
    text = f"{size:,.{decimals}f}"
    return f"{sign}{text[1:] if text.startswith('0.') else text} %"


def points(difference: float) -> str:
    """A difference of shares in percentage points: `+3.1 points`, `−12 points`, `0 points`."""
    value = float(difference) * 100
    if math.isnan(value):
        return MISSING
    if abs(value) < 0.05:
        return "0 points"
    text = f"{abs(value):.0f}" if abs(value) >= 9.95 else f"{abs(value):.1f}"
    return f"{'−' if value < 0 else '+'}{text.lstrip('0')} points"


def interval(value: float, low: float, high: float, unit: str = "") -> str:
    """`.924 [.911, .936]`; without usable bounds only the value."""
    if math.isnan(float(low)) or math.isnan(float(high)):
        return number(value, unit=unit)
    return f"{number(value, unit=unit)} [{number(low)}, {number(high)}]"


# Names


def shorten(text: str, n: int = 24) -> str:
    """At most `n` characters, cut in the middle: both ends of a long name carry meaning."""
    if len(text) <= n:
        return text
    head = n // 2
    tail = n - head - 1
    return f"{text[:head].rstrip()}…{text[len(text) - tail :].lstrip() if tail else ''}"


def shorten_all(names: Sequence[str], n: int = 24) -> list[str]:
    """Every name at most about `n` characters, and still distinct where the names are.

    Where cutting the middle makes names equal, what they have in common is cut instead.
    """
    short = [shorten(name, n) for name in names]
    if len(set(short)) == len(set(names)):
        return short
    head = _common_start(list(names))
    tail = _common_start([name[len(head) :][::-1] for name in names])[::-1]
    middles = [name[len(head) : len(name) - len(tail)] for name in names]
    short = [f"{'…' * bool(head)}{shorten(one, n - 2)}{'…' * bool(tail)}" for one in middles]
    if len(set(short)) == len(set(names)):
        return short
    places = {name: str(k + 1) for k, name in enumerate(dict.fromkeys(names))}
    return [f"{shorten(name, max(3, n - 4))} {places[name]}" for name in names]


def _common_start(names: Sequence[str]) -> str:
    first, last = min(names), max(names)
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return "".join(one for one, _ in same)


def in_sentence(title: str) -> str:
    """A title inside a sentence: `Accuracy` → `accuracy`; `ROC AUC` and `R²` stay."""
    return title[:1].lower() + title[1:] if title[1:2].islower() else title


def quoted(name: object) -> str:
    """A class, label or value inside a sentence: `“8”`."""
    return f"“{name}”"


def listing(names: Sequence[str], limit: int = 3) -> str:
    """`a`, `a and b`, `a, b and 2 more`."""
    if len(names) <= 1:
        return "".join(names)
    if len(names) <= limit:
        return f"{', '.join(names[:-1])} and {names[-1]}"
    return f"{', '.join(names[: limit - 1])} and {len(names) - limit + 1} more"


# Comparisons


def too_close(a: Any, b: Any) -> bool:
    """Whether the intervals of two results (`low`, `high`) overlap; False where one has none."""
    bounds = (a.low, a.high, b.low, b.high)
    if any(math.isnan(float(x)) for x in bounds):
        return False
    return bool(a.low <= b.high and b.low <= a.high)


def ranked(items: Sequence[Any], value: Callable[[Any], float], *, low: bool = False) -> list[Any]:
    known = [item for item in items if not math.isnan(value(item))]
    return sorted(known, key=value, reverse=not low)


def runner_up(order: Sequence[Any], show: Callable[[Any], str]) -> str:
    """What to say of the models behind the first: the ones too close to call, or the last."""
    first, rest = order[0], order[1:]
    close = [item.model for item in rest if too_close(first, item)]
    if close:
        return f"too close to call against {listing(close)}, whose intervals overlap"
    last = rest[-1]
    word = "next" if len(rest) == 1 else "last"
    return f"{word} comes {last.model} with {show(last)}"


# Headlines: one sentence that answers "Where does each model go wrong?"


def _rows(table: MetricTable, metric: str, without: str | None = None) -> list[Any]:
    return [
        row
        for row in table.rows
        if row.metric == metric and row.label == "" and row.model != without
    ]


def _one(rows: Sequence[Any], model: str | None) -> Any | None:
    return next((row for row in rows if row.model == model and not math.isnan(row.value)), None)


def _leader(rows: Sequence[Any], phrase: str, title: str, *, low: bool = False) -> tuple[Any, str]:
    """The best row, and `forest ranks best (ROC AUC .995 […])`, or that it is too close to call."""
    order = ranked(rows, lambda row: float(row.value), low=low)
    best = order[0]
    shown = f"{title} {interval(best.value, best.low, best.high)}"
    close = [row.model for row in order[1:] if too_close(best, row)]
    if close:
        return best, (
            f"Too close to call which model {phrase}: {best.model} leads ({shown}), but its "
            f"interval overlaps with that of {listing(close)}"
        )
    return best, f"{best.model} {phrase} ({shown})"


def _versus_baseline(
    rows: Sequence[Any], baseline: Any | None, answer: str, title: str, *, low: bool = False
) -> str:
    """What always giving one answer would score, and who does not beat that."""
    if baseline is None:
        return ""
    sign = -1 if low else 1
    losers = [row.model for row in rows if sign * (row.value - baseline.value) <= 0]
    text = f"always answering {answer} would score {number(baseline.value)} {title}"
    verb = "does" if len(losers) == 1 else "do"
    return f"{text}, which {listing(losers)} {verb} not beat" if losers else text


def headline_binary(
    table: MetricTable,
    counts: Mapping[str, Counts],
    *,
    baseline: str | None = None,
    answer: str = "the same",
    positive: str = "positives",
) -> str:
    """Best ranking, what it misses at its threshold, and what always giving one answer scores.

    Parameters
    ----------
    table : holds `roc_auc` (or only `accuracy`) rows for the models and for the baseline.
    counts : model → outcomes at the threshold in force.
    baseline : name of the dummy model in `table`; it is compared, never ranked.
    answer : what the dummy always says, quoted as it is.
    positive : how the positive rows are called ("positives", "rows that are 5").
    """
    ranks = [row for row in _rows(table, "roc_auc", baseline) if not math.isnan(row.value)]
    phrase, title = "ranks best", "ROC AUC"
    if not ranks:
        ranks = [row for row in _rows(table, "accuracy", baseline) if not math.isnan(row.value)]
        phrase, title = "is right most often", "accuracy"
    if not ranks:
        return "There is nothing to score yet: no model has usable predictions."
    best, text = _leader(ranks, phrase, title)
    at = counts.get(best.model)
    if at is not None and at.tp + at.fn > 0:
        text += _misses(best.model, at, positive, "; " if text.startswith("Too close") else " but ")
    accuracy = [row for row in _rows(table, "accuracy", baseline) if not math.isnan(row.value)]
    dummy = _one(_rows(table, "accuracy"), baseline)
    tail = _versus_baseline(accuracy, dummy, answer, "accuracy")
    return f"{text}; {tail}." if tail else f"{text}."


def _misses(model: str, at: Counts, positive: str, join: str) -> str:
    missed, wrong = at.fn / (at.tp + at.fn), at.fp
    where = f"at {threshold(at.threshold)} {'it' if join.startswith(' but') else model}"
    if missed == 0 and wrong == 0:
        return f"{join.replace(' but ', ' and ')}{where} makes no mistake"
    if missed == 0:
        return f"{join}{where} catches all {positive} at the price of {count(wrong)} false alarms"
    return f"{join}{where} misses {percent(missed)} of {positive}"


def headline_multiclass(
    table: MetricTable,
    matrices: Mapping[str, ConfusionMatrix],
    *,
    metric: str = "accuracy",
    title: str = "accuracy",
    baseline: str | None = None,
    answer: str = "the most frequent class",
) -> str:
    """Who is right most often, its most frequent confusion, and what the dummy scores."""
    rows = [row for row in _rows(table, metric, baseline) if not math.isnan(row.value)]
    if not rows:
        return "There is nothing to score yet: no model has usable predictions."
    best, text = _leader(rows, "is right most often", title)
    matrix = matrices.get(best.model)
    worst = matrix.worst() if matrix is not None else None
    if matrix is not None and worst is not None:
        i, j, _, share = worst
        text += (
            f"; its most frequent mistake is to take {percent(share)} of "
            f"{quoted(matrix.labels[i])} for {quoted(matrix.labels[j])}"
        )
    tail = _versus_baseline(rows, _one(_rows(table, metric), baseline), answer, title)
    return f"{text}; {tail}." if tail else f"{text}."


def headline_regression(
    table: MetricTable,
    *,
    metric: str = "rmse",
    title: str = "RMSE",
    baseline: str | None = None,
    answer: str = "the mean",
    unit: str = "",
) -> str:
    """Who is off least, by how much less than the dummy, and who does not beat the dummy."""
    rows = [row for row in _rows(table, metric, baseline) if not math.isnan(row.value)]
    if not rows:
        return "There is nothing to score yet: no model has usable predictions."
    best, text = _leader(rows, "is off least", title, low=True)
    dummy = _one(_rows(table, metric), baseline)
    if dummy is None or not dummy.value > 0:
        return f"{text}."
    gain = 1 - best.value / dummy.value
    losers = [row.model for row in rows if row.value >= dummy.value]
    always = f"always answering {answer} ({number(dummy.value, unit=unit)})"
    text += (
        f"; its error is {percent(gain)} below {always}" if gain > 0 else f"; {always} is better"
    )
    if losers and gain > 0:
        text += f", which {listing(losers)} {'does' if len(losers) == 1 else 'do'} not beat"
    return f"{text}."


def other_threshold(now: Counts, best: Counts, model: str) -> str:
    """What the F1-best threshold would change, where it changes F1 by .02 or more; else ""."""
    if not (best.f1 - now.f1 >= 0.02) or math.isinf(best.threshold):
        return ""
    return (
        f"Its threshold is to blame, not its ranking: at {threshold(best.threshold)} {model} "
        f"would, on these rows, miss {percent(1 - best.recall)} and not {percent(1 - now.recall)} "
        f"and flag {count(best.fp)} wrongly, not {count(now.fp)}."
    )


def per_thousand(counts: Counts, *, n: int = 1_000, model: str = "") -> str:
    """The outcomes scaled to `n` rows: what a person would meet at this threshold.

    Rounded to whole rows with the largest remainders, so that the parts add up.
    """
    total = counts.tp + counts.fp + counts.fn + counts.tn
    if not total > 0:
        return "There are no rows to count."
    tp, fp, fn, _ = _whole([counts.tp, counts.fp, counts.fn, counts.tn], n)
    who = f"{model} flags" if model else "are flagged"
    head = f"Of {count(n)} rows like these, at {threshold(counts.threshold)}"
    if model:
        return f"{head} {who} {count(tp)} rightly and {count(fp)} wrongly and misses {count(fn)}."
    return f"{head}, {count(fp)} {who} wrongly, {count(fn)} are missed and {count(tp)} are caught."


def _whole(parts: Sequence[float], n: int) -> list[int]:
    total = sum(parts)
    exact = [n * part / total for part in parts]
    whole = [math.floor(x) for x in exact]
    order = sorted(range(len(parts)), key=lambda k: whole[k] - exact[k])
    for k in order[: n - sum(whole)]:
        whole[k] += 1
    return whole
