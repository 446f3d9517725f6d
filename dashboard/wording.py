"""Numbers and findings in plain words: what the pages, the figures and the reports say.

Everything returns plain text, without markup: whoever shows it escapes it. Shares are written
`.924`, percentages `18 %`, intervals `.924 [.911, .936]`; nothing is ever rounded up to
certainty (.9997 stays `.9997`, .9999999 is cut to `.99999`; neither reads `1.00`).
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
    "LONGEST",
    "count",
    "duration",
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
    "tidy",
    "too_close",
]

MISSING = "–"
CERTAIN = 1 - 5e-10  # nearer to 1 than this is the noise of summation
FIRST = 140  # letters of the first sentence of a headline, which is set in bold


# Numbers


def _decimals(size: float, digits: int) -> int:
    rounded = float(f"{size:.{digits - 1}e}")  # .0999999 has the digits of .1
    return max(0, digits - 1 - math.floor(math.log10(rounded)))


def _fixed(x: float, digits: int) -> str:
    """`x` at `digits` significant digits; a share below 1 gets up to five decimals, not 1."""
    size = abs(x)
    if size < CERTAIN:
        decimals = _decimals(size, digits)
        while round(size, decimals) >= 1 and decimals < 5:
            decimals += 1
        return "0.99999" if round(size, decimals) >= 1 else f"{size:.{decimals}f}"
    size = max(size, 1.0)
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
    """`1 row`, `2,400 rows`, `3 classes`, `2 epochs`."""
    hissing = noun.endswith(("s", "x", "ch")) and not noun.endswith("epoch")
    ending = "" if n == 1 else ("es" if hissing else "s")
    return f"{count(n)} {noun}{ending}"


def duration(seconds: float) -> str:
    """A time that is about so long: `under 1 s`, `12 s`, `7 min`, `2.5 h`."""
    if round(seconds) < 90:
        return "under 1 s" if seconds < 0.75 else f"{round(seconds)} s"
    return f"{seconds / 60:.0f} min" if seconds < 5_400 else f"{seconds / 3_600:.1f} h"


def percent(share: float, digits: int = 2) -> str:
    """A share as a percentage: `9.0 %`, `18 %`, `99.6 %`; 100 % only when it is all of them.

    What lies within .01 % of none or all is `<0.01 %` or `>99.99 %`. Below 1 % the zero stays: at a
    glance `.70 %` is 70 %.
    """
    value = float(share) + 0.0  # no −0
    if math.isnan(value):
        return MISSING
    if value == 0.0 or CERTAIN <= value <= 1.0:
        return f"{value * 100:.0f} %"
    sign, size = ("−" if value < 0 else ""), abs(value) * 100
    if size < 0.01:
        return f"{sign}<0.01 %"
    decimals = _decimals(size, digits)
    while size < 100 and round(size, decimals) >= 100 and decimals < 2:
        decimals += 1
    if size < 100 and round(size, decimals) >= 100:
        return f"{sign or '>'}99.99 %"
    return f"{sign}{size:,.{decimals}f} %"


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
    """`.924 [.911, .936]`; without usable bounds only the value.

    Beside an end of .001 or more, what is below .0001 reads `<.0001`, not `2.21×10⁻⁵`.
    """
    if math.isnan(float(low)) or math.isnan(float(high)):
        return number(value, unit=unit)
    large = max(abs(float(low)), abs(float(high))) >= 0.001
    shown = ["<.0001" if large and 0 < float(x) < 1e-4 else number(x) for x in (value, low, high)]
    return f"{shown[0]} {unit}".rstrip() + f" [{shown[1]}, {shown[2]}]"


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


LONGEST = 120  # characters of one name inside a sentence


def quoted(name: object) -> str:
    """A class, label or value inside a sentence: `“8”`; a very long one is cut in the middle."""
    return f"“{shorten(str(name), LONGEST)}”"


def listing(names: Sequence[str], limit: int = 3) -> str:
    """`a`, `a and b`, `a, b and 2 more`; a very long name is cut in the middle."""
    names = [shorten(name, LONGEST) for name in names[:limit]] + list(names[limit:])
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


# Headlines: what answers "Where does each model go wrong?". The first sentence is short, since
# pages show it in bold; everything else follows in sentences of its own.


def _rows(table: MetricTable, metric: str, without: str | None = None) -> list[Any]:
    return [
        row
        for row in table.rows
        if row.metric == metric and row.label == "" and row.model != without
    ]


def _known(table: MetricTable, metric: str, without: str | None = None) -> list[Any]:
    return [row for row in _rows(table, metric, without) if not math.isnan(row.value)]


def _one(rows: Sequence[Any], model: str | None) -> Any | None:
    return next((row for row in rows if row.model == model and not math.isnan(row.value)), None)


def _short(rows: Sequence[Any]) -> dict[str, str]:
    """The names of models as headlines write them: at most 28 letters, still distinct."""
    names = list(dict.fromkeys(row.model for row in rows))
    return dict(zip(names, shorten_all(names, 28), strict=True))


def _leader(
    rows: Sequence[Any], phrase: str, title: str, *, low: bool = False
) -> tuple[Any, str, str]:
    """The best row, `forest ranks best (ROC AUC .995 […])`, and who is too close to call.

    One model alone is not ranked: `forest reaches ROC AUC .995 […]`.
    """
    short = _short(rows)
    order = ranked(rows, lambda row: float(row.value), low=low)
    best = order[0]
    name, shown = short[best.model], f"{title} {interval(best.value, best.low, best.high)}"
    if len(order) == 1:
        return best, f"{name} reaches {shown}", ""
    close = [short[row.model] for row in order[1:] if too_close(best, row)]
    if close:
        overlap = f"Its interval overlaps with {'that' if len(close) == 1 else 'those'} of"
        return (
            best,
            f"Too close to call which model {phrase}: {name} leads ({shown})",
            f"{overlap} {listing(close, 2)}",
        )
    return best, f"{name} {phrase} ({shown})", ""


def _not_beaten_by(rows: Sequence[Any], dummy: Any, *, low: bool = False) -> str:
    """`, which tree and 2 more do not beat`; "" where every model beats the dummy."""
    sign = -1 if low else 1
    short = _short(rows)
    losers = [short[row.model] for row in rows if sign * (row.value - dummy.value) <= 0]
    if not losers:
        return ""
    if len(losers) == len(rows) > 1:
        return ", which no model beats"
    return f", which {listing(losers, 2)} {'does' if len(losers) == 1 else 'do'} not beat"


def _versus_baseline(rows: Sequence[Any], baseline: Any | None, answer: str, title: str) -> str:
    """What always giving one answer would score, and who does not beat that."""
    if baseline is None:
        return ""
    text = f"Always answering {answer} would score {number(baseline.value)} {title}"
    return text + _not_beaten_by(rows, baseline)


def _sentences(*parts: str) -> str:
    return " ".join(f"{part}." for part in parts if part)


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
    rows, phrase, title = _known(table, "roc_auc", baseline), "ranks best", "ROC AUC"
    accuracy = _known(table, "accuracy", baseline)
    if not rows:
        rows, phrase, title = accuracy, "is right most often", "accuracy"
    if not rows:
        return "There is nothing to score yet: no model has usable predictions."
    best, first, close = _leader(rows, phrase, title)
    dummy = _one(_rows(table, "accuracy"), baseline)
    tail = _versus_baseline(accuracy, dummy, answer, "accuracy")
    at = counts.get(best.model)
    if at is None or not at.tp + at.fn > 0:
        return _sentences(first, close, tail)
    where = f"at {threshold(at.threshold)}"
    clean = at.fn == 0 and at.fp == 0
    joined = f"{first} {'and' if clean else 'but'} {where} it {_misses(at, positive)}"
    if not close and len(joined) < FIRST:
        return _sentences(joined, tail)
    name = _short(rows)[best.model]
    return _sentences(first, close, f"A{where[1:]} {name} {_misses(at, positive)}", tail)


def _misses(at: Counts, positive: str) -> str:
    if at.fn == 0:
        if at.fp == 0:
            return "makes no mistake"
        return f"catches all {positive} at the price of {plural(at.fp, 'false alarm')}"
    return f"misses {percent(at.fn / (at.tp + at.fn))} of {positive}"


def headline_multiclass(
    table: MetricTable,
    matrices: Mapping[str, ConfusionMatrix],
    *,
    metric: str = "accuracy",
    title: str = "accuracy",
    baseline: str | None = None,
    answer: str = "the most frequent class",
    phrase: str = "is right most often",
) -> str:
    """Who is right most often, its most frequent confusion, and what the dummy scores."""
    rows = _known(table, metric, baseline)
    if not rows:
        return "There is nothing to score yet: no model has usable predictions."
    best, first, close = _leader(rows, phrase, title)
    tail = _versus_baseline(rows, _one(_rows(table, metric), baseline), answer, title)
    matrix = matrices.get(best.model)
    worst = matrix.worst() if matrix is not None else None
    if matrix is None or worst is None:
        return _sentences(first, close, tail)
    i, j, _, share = worst
    true, called = (quoted(shorten(str(matrix.labels[k]), 28)) for k in (i, j))
    mistake = f"most frequent mistake is to take {percent(share)} of {true} for {called}"
    if close:
        return _sentences(first, close, f"The {mistake}", tail)
    joined = f"{first}; its {mistake}"
    if len(joined) < FIRST:
        return _sentences(joined, tail)
    return _sentences(first, f"Its {mistake}", tail)


def headline_regression(
    table: MetricTable,
    *,
    metric: str = "rmse",
    title: str = "RMSE",
    baseline: str | None = None,
    answer: str = "always answering the mean",
    unit: str = "",
) -> str:
    """Who is off least, by how much less than the dummy, and who does not beat the dummy.

    `answer` is what the dummy does, as a phrase: "always answering the mean", "repeating the
    last value".
    """
    rows = _known(table, metric, baseline)
    if not rows:
        return "There is nothing to score yet: no model has usable predictions."
    best, first, close = _leader(rows, "is off least", title, low=True)
    dummy = _one(_rows(table, metric), baseline)
    if dummy is None or not dummy.value > 0:
        return _sentences(first, close)
    gain = 1 - best.value / dummy.value
    does = f"{answer} ({number(dummy.value, unit=unit)})"
    if gain > 0:
        name = f"The error of {_short(rows)[best.model]}" if close else "Its error"
        beaten = _not_beaten_by(rows, dummy, low=True)
        return _sentences(first, close, f"{name} is {percent(gain)} below {does}{beaten}")
    verdict = "is better" if gain < 0 else "is just as good"
    return _sentences(first, close, f"{does[:1].upper()}{does[1:]} {verdict}")


def other_threshold(now: Counts, best: Counts, model: str) -> str:
    """What the F1-best threshold would change, where it changes F1 by .02 or more; else ""."""
    if not (best.f1 - now.f1 >= 0.02) or math.isinf(best.threshold):
        return ""
    why = "Another threshold helps" if best.recall > now.recall else "Better balanced"
    return (
        f"{why}: at {threshold(best.threshold)} {shorten(model, 28)} would "
        f"miss {percent(1 - best.recall)}, not {percent(1 - now.recall)}, "
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


def tidy(*values: float) -> tuple[float, ...]:
    """Numbers shown side by side, rounding noise as 0: a bias of −1.35×10⁻¹⁴ in [−11.0, 11.5]."""
    size = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    return tuple(0.0 if abs(value) < 1e-9 * size else value for value in values)
