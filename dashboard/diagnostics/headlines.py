"""One sentence that answers the page: what the models use, and which way it moves them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..contracts import Attributions, Label
from ..errors import NotApplicable
from ..wording import count, listing, number, percent, plural, shorten, shorten_all
from .attributions import column_of, common_features, in_unit, output_position, strengths
from .importance import Importance
from .importance_comparison import compare_importances

Floats = npt.NDArray[np.floating[Any]]

__all__ = ["headline_explanations", "headline_importances"]

_NAME = 32  # letters of one feature inside a headline
_MODEL = 44  # of one model: longer than most names that say what a model is
_ALIKE = 0.6  # Kendall's tau from which two orders of features are called alike
_ROUNDING = 1e-12  # of a score, which sums in another order make
_CLEAR = 0.3  # rank correlation from which a direction is named


def headline_importances(importances: Sequence[Importance], *, waiting: int = 0) -> str:
    """Which features lead in which model, whether that is clear, and how alike the models are.

    `waiting` : models that are still at work, so that nothing is said of all of them.

    Raises
    ------
    NotApplicable : nothing was measured.
    """
    known = [one for one in importances if len(one.features) and not np.isnan(one.values).all()]
    if not known:
        raise NotApplicable("No importance was measured yet.")
    parts = [_so_far(len(known), waiting) + _leaders(known, "" if waiting else "models ")]
    if not any(_relies(one) for one in known):
        return f"{parts[0]}."
    if len(known) == 1:
        parts += [_shares(known[0]), _ties(known[0])]
    else:
        parts.append(_agreement(known))
    parts.append(_unused(known))
    return " ".join(f"{part}." for part in parts if part)


def _first(one: Importance) -> str:
    return one.features[int(one.order()[0])]


def _relies(one: Importance) -> bool:
    """Whether any importance is more than the rounding of the score that was watched."""
    most = float(np.nanmax(np.abs(one.values)))
    score = abs(one.baseline) if np.isfinite(one.baseline) else 0.0
    return most > _ROUNDING * score


def _so_far(n: int, waiting: int) -> str:
    return f"So far ({n} of {n + waiting} models): " if waiting else ""


def _leaders(known: Sequence[Importance], models: str) -> str:
    """`All 4 models rely most on x`, or which models on which."""
    names = dict(zip((one.model for one in known), _short(known), strict=True))
    without = [names[one.model] for one in known if not _relies(one)]
    if without:
        verb = "relies" if len(without) == 1 else "rely"
        none = f"{listing(without)} {verb} on no feature measurably"
        others = [one for one in known if _relies(one)]
        return f"{none}; {_leaders(others, '')}" if others else none
    firsts = Counter(_first(one) for one in known)
    if len(known) == 1:
        order = [known[0].features[at] for at in known[0].order()[:3]]
        return f"{names[known[0].model]} relies most on {listing(_cut(order))}"
    if len(firsts) == 1:
        every = "Both" if len(known) == 2 else f"All {len(known)}"
        return f"{every} {models}rely most on {shorten(next(iter(firsts)), _NAME)}"
    said = []
    for feature, _ in firsts.most_common():
        who = [names[one.model] for one in known if _first(one) == feature]
        said.append(f"{listing(who, 2)} on {shorten(feature, _NAME)}")
    verb = "rely" if firsts.most_common(1)[0][1] > 1 else "relies"
    first, *rest = said
    lead = first.replace(" on ", f" {verb} most on ", 1)
    return listing([lead, *rest], 4)


def _short(known: Sequence[Importance]) -> list[str]:
    return shorten_all([one.model for one in known], _MODEL)


def _cut(names: Sequence[str]) -> list[str]:
    return shorten_all(list(names), _NAME) if names else []


def _shares(one: Importance) -> str:
    at = one.order()[:3]
    total = float(one.shares[at].sum())
    n = len(one.features)
    if n <= 3 or not total:
        return ""
    return f"Together these are {percent(total)} of the importance of all {plural(n, 'feature')}"


def _ties(one: Importance) -> str:
    """Features that may be first as well."""
    best, _ = one.rank_bounds
    first = one.order()[0]
    ties = [one.features[at] for at in one.order()[1:] if best[at] <= 1 and at != first]
    if not ties or one.deviations is None:
        return ""
    return f"Too close to call whether {listing(_cut(ties), 2)} should come first"


def _agreement(known: Sequence[Importance]) -> str:
    pairs = [pair for pair in compare_importances(known).pairs if not np.isnan(pair.kendall)]
    if not pairs:
        return ""
    least = min(pairs, key=lambda pair: pair.spearman)
    same = len(pairs) == 1 or number(least.spearman) == number(1.0)
    alike = f"rank correlation {'' if same else 'at least '}{number(least.spearman)}"
    if min(pair.kendall for pair in pairs) >= _ALIKE:
        return f"They order the features alike ({alike})"
    if least.first == least.second or len(known) == 2:
        return f"Beyond that they differ (rank correlation {number(least.spearman)})"
    who = listing([shorten(least.first, _MODEL), shorten(least.second, _MODEL)])
    return f"{who} differ most (rank correlation {number(least.spearman)})"


def _unused(known: Sequence[Importance]) -> str:
    """Features that hardly matter to any of them."""
    everything = list(dict.fromkeys(name for one in known for name in one.features))
    used = {
        name
        for one in known
        for name, nothing in zip(one.features, one.near_zero, strict=True)
        if not nothing
    }
    unused = [name for name in everything if name not in used]
    if not unused:
        return ""
    word = "does" if len(unused) == 1 else "do"
    whom = "the model" if len(known) == 1 else "any of them"
    return (
        f"{count(len(unused))} of {plural(len(everything), 'feature')} {word} next to nothing for "
        f"{whom}"
    )


# -- which way -------------------------------------------------------------------------------------


def headline_explanations(
    explanations: Sequence[Attributions], output: Label | None = None, *, waiting: int = 0
) -> str:
    """The feature that moves the answers most, how far, and which way in which model.

    `waiting` : models that are still at work, so that nothing is said of all of them.

    Raises
    ------
    NotApplicable : no rows are explained.
    """
    known = [one for one in explanations if one.n]
    if not known:
        raise NotApplicable("No rows are explained yet.")
    features, _ = common_features(known, output, 1)
    if not features:
        return ""
    feature = features[0]
    users = [one for one in known if feature in one.feature_names]
    name = shorten(feature, _NAME)
    sizes = [_strength(one, feature, output) for one in users]
    unit = in_unit(users[0].space, users[0].output_names[output_position(users[0], output)])
    far = number(sizes[0]) if len(sizes) == 1 else f"{number(min(sizes))} to {number(max(sizes))}"
    said = f"{name} moves the answers most, on average by {far} ({unit})."
    every = "in every model so far" if waiting else "in every model"
    return (
        f"{_so_far(len(known), waiting)}{said} {_directions(users, feature, output, every)}"
    ).strip()


def _strength(one: Attributions, feature: str, output: Label | None) -> float:
    return float(strengths(one, output)[one.feature_names.index(feature)])


def _direction(one: Attributions, feature: str, output: Label | None) -> str:
    """Whether higher values raise or lower the answer; "" without order, "mixed" if unclear."""
    from scipy.stats import spearmanr

    column = column_of(one, feature)
    if column.kind == "category":
        return ""
    at = one.feature_names.index(feature)
    values = one.values[:, at, output_position(one, output)]
    there = ~np.isnan(column.numbers)
    x, y = column.numbers[there], values[there]
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return ""
    rho = float(spearmanr(x, y).statistic)
    if abs(rho) < _CLEAR or _turns(x, y):
        return "mixed"
    return "raise" if rho > 0 else "lower"


def _turns(x: Floats, y: Floats) -> bool:
    """Whether it falls over one half of the rows and rises over the other, as a parabola does."""
    from scipy.stats import spearmanr

    signs = set[float]()
    for half in (x <= np.median(x), x > np.median(x)):
        if half.sum() < 3 or np.ptp(x[half]) == 0 or np.ptp(y[half]) == 0:
            return False
        rho = float(spearmanr(x[half], y[half]).statistic)
        signs.add(np.sign(rho) if abs(rho) >= _CLEAR else 0.0)
    return {-1.0, 1.0} <= signs


def _directions(
    users: Sequence[Attributions], feature: str, output: Label | None, every: str
) -> str:
    names = shorten_all([one.model for one in users], _MODEL)
    found: dict[str, list[str]] = {}
    for one, name in zip(users, names, strict=True):
        found.setdefault(_direction(one, feature, output), []).append(name)
    found.pop("", None)
    if not found:
        return ""
    if len(found) == 1:
        word = next(iter(found))
        if word == "mixed":
            return "High and low values do not simply raise or lower it: look at its shape below."
        return f"Higher values {word} the answer{'' if len(users) == 1 else f' {every}'}."
    said = []
    for word in ("raise", "lower", "mixed"):
        if word in found:
            verb = f"{word} it" if word != "mixed" else "do both"
            said.append(f"{verb} in {listing(found[word], 2)}")
    return f"Higher values {listing(said)}."
