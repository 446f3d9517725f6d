"""Which rows a model learns from and which it is judged on: folds chosen from the column roles."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..contracts import Finding, Task
from ..data import EvalSet
from ..errors import NotApplicable, ParameterError
from ..explainers.ordering import strata_of
from ..wording import count, listing, plural, quoted

__all__ = ["KINDS", "Fold", "Folds", "choose_folds", "find_in_split"]

Ints = npt.NDArray[np.int64]

KINDS = ("auto", "stratified", "k-fold", "group", "time")
# Groups are taken whole, one after another, only where a small part of them is still many.
MANY_GROUPS = 30
LATE = 0.25  # of the training rows, after the middle test row: at random it is half of them
LEAST_ROWS = 10  # of each part, to tell
TEST_PARTS = frozenset(("test", "testing", "holdout", "eval"))


@dataclass(frozen=True, eq=False)
class Fold:
    """One division of the rows.

    Attributes
    ----------
    train : `(t,)` positions in the evaluation set to learn from, in an order of which every
        beginning is a fair smaller sample: sizes are beginnings of it.
    validation : `(v,)` positions to be judged on.
    repeat, number : which repetition, and which fold of it, from 0.
    """

    train: Ints
    validation: Ints
    repeat: int = 0
    number: int = 0


@dataclass(frozen=True, eq=False)
class Folds:
    """The divisions that every model is fitted on.

    Attributes
    ----------
    pairs : repetition by repetition.
    kind : one of `KINDS` but "auto", or "given".
    n_splits, n_repeats, seed : how they were drawn.
    reason : one sentence: what was chosen, and why.
    rows : `(n,)` positions of the rows that are used at all; n_given : of so many.
    findings : what is wrong with dividing these rows so.
    notes : what else a person must know.
    apart : `(a,)` positions of the test part, which is in no fold.
    """

    pairs: tuple[Fold, ...]
    kind: str
    n_splits: int
    n_repeats: int
    seed: int
    reason: str
    rows: Ints
    n_given: int
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    apart: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def __iter__(self) -> Iterator[tuple[Ints, Ints]]:
        """As scikit-learn's `cv` takes them."""
        return iter([(fold.train, fold.validation) for fold in self.pairs])

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def n_train(self) -> int:
        """Rows that every fold can learn from: those of the smallest."""
        return min(len(fold.train) for fold in self.pairs)

    def digest(self) -> str:
        """Of all positions, in order."""
        digest = hashlib.sha256()
        for fold in self.pairs:
            digest.update(fold.train.tobytes() + b"|" + fold.validation.tobytes())
        return digest.hexdigest()


def choose_folds(
    evalset: EvalSet,
    n_splits: int = 5,
    n_repeats: int = 1,
    seed: int = 0,
    *,
    kind: str = "auto",
    rows: Sequence[int] | Ints | None = None,
) -> Folds:
    """Divide the rows as their column roles ask for it.

    Parameters
    ----------
    evalset : all rows that may be learned from or judged on; built with `split_value=ALL_ROWS`
        where the table has a split column: rows of its test part are then in no fold.
    n_repeats : how often the rows are divided anew; 1 for rows in order of time.
    kind : "auto" takes "time" where there is a time column, else "group" where there is a group
        column, else "stratified" for one column of classes, else "k-fold".
    rows : positions of the rows to use, instead of all but the test part.

    Returns
    -------
    Folds : of scikit-learn's own splitters (StratifiedKFold, KFold, GroupKFold,
        StratifiedGroupKFold; shuffled, repetition r with the seed `seed + r`); in order of time,
        later blocks of equal size with all earlier rows to learn from.

    Raises
    ------
    ParameterError : fewer rows or groups than folds, or out-of-bounds numbers.
    NotApplicable : a kind that needs a column that is not there.
    """
    if kind not in KINDS:
        raise ParameterError(f"There are no folds {kind!r}. Choose {listing(KINDS, 9)}.")
    used, notes = _used_rows(evalset, rows)
    apart = np.setdiff1d(np.arange(evalset.n), used) if rows is None else np.empty(0, np.int64)
    _check(n_splits, n_repeats, len(used))
    chosen, why = _chosen(evalset, kind)
    if chosen == "time":
        notes += ["Rows in order of time are divided once."] if n_repeats > 1 else []
        n_repeats = 1
    pairs, more = _DIVIDE[chosen](evalset, used, n_splits, n_repeats, seed)
    reason = _REASONS[chosen].format(splits=n_splits, why=why)
    if n_repeats > 1:
        reason += f" Repeated {n_repeats} times with other seeds."
    return Folds(
        pairs=tuple(pairs),
        kind=chosen,
        n_splits=n_splits,
        n_repeats=n_repeats,
        seed=seed,
        reason=reason,
        rows=used,
        n_given=evalset.n,
        findings=_findings(evalset, chosen),
        notes=(*notes, *more),
        apart=apart,
    )


def _check(n_splits: int, n_repeats: int, n: int) -> None:
    if n_splits < 2 or n_repeats < 1:
        raise ParameterError(
            f"{n_splits} folds, repeated {n_repeats} times, were asked for; at least 2 folds and 1 "
            "repetition are needed."
        )
    if n < n_splits:
        raise ParameterError(
            f"{plural(n, 'row')} cannot be divided into {n_splits} folds. Choose fewer folds, or "
            "load more rows."
        )


def _used_rows(evalset: EvalSet, rows: Sequence[int] | Ints | None) -> tuple[Ints, list[str]]:
    """Positions of the rows to use, and what was left out."""
    everything = np.arange(evalset.n, dtype=np.int64)
    if rows is not None:
        used = np.asarray(rows, dtype=np.int64)
        inside = used.size == 0 or (used.min() >= 0 and used.max() < evalset.n)
        if used.ndim != 1 or not inside or len(np.unique(used)) != len(used):
            raise ParameterError(
                f"The rows to use must be different positions from 0 to {evalset.n - 1}."
            )
        return used, []
    if evalset.split is None:
        return everything, []
    test = evalset.split.astype("str").str.strip().str.lower().isin(TEST_PARTS)
    left = test.fillna(False).to_numpy(dtype=bool)
    if not left.any() or left.all():
        return everything, []
    return everything[~left], [
        f"{count(int(left.sum()))} of {plural(evalset.n, 'row')} are the test part of "
        f"{quoted(evalset.roles.split)} and are in no fold: a model that is chosen by them would "
        "have no rows left to be tested on."
    ]


def _chosen(evalset: EvalSet, kind: str) -> tuple[str, str]:
    """The kind of folds, and the reason for it."""
    needs = {"time": evalset.time, "group": evalset.group}
    if kind in needs and needs[kind] is None:
        raise NotApplicable(
            f"Folds by {kind} need a column with the role {kind}. Give one that role, or choose "
            "other folds."
        )
    classes = evalset.target.task in (Task.BINARY, Task.MULTICLASS)
    if kind == "stratified" and not classes:
        raise NotApplicable(
            f"Stratified folds need one column of classes; the task is {evalset.target.task.value}."
            " Choose k-fold."
        )
    if kind != "auto":
        return kind, "as asked"
    if evalset.time is not None:
        return "time", f"{quoted(evalset.roles.time)} is the time"
    if evalset.group is not None:
        return "group", f"rows belong together by {quoted(evalset.roles.group)}"
    if classes:
        return "stratified", f"{quoted(evalset.target.name)} holds classes"
    return "k-fold", "there is no time, no group and no class to divide by"


_REASONS = {
    "stratified": "{splits} folds with the classes in proportion, drawn at random: {why}.",
    "k-fold": "{splits} folds drawn at random: {why}.",
    "group": "{splits} folds that keep each group together: {why}.",
    "time": (
        "{splits} blocks of later rows, each judged by models of the rows before it: {why}, and "
        "a model cannot learn from the future."
    ),
}


def find_in_split(evalset: EvalSet) -> tuple[Finding, ...]:
    """Whether the split column puts training rows after the test rows, though rows have a time.

    `evalset` : all rows. Nothing where it has no time or no test part.
    """
    order = evalset.time_order()
    if order is None or evalset.time is None or evalset.split is None:
        return ()
    known = (evalset.time.notna() & evalset.split.notna()).to_numpy(dtype=bool)
    parts = evalset.split.astype("str").str.strip().str.lower()
    tests = parts.isin(TEST_PARTS).to_numpy(dtype=bool)[order[known[order]]]
    n_test, n_other = int(tests.sum()), int((~tests).sum())
    if min(n_test, n_other) < LEAST_ROWS:
        return ()
    middle = np.flatnonzero(tests)[n_test // 2]
    late = int((~tests[middle:]).sum())
    if late < LATE * n_other:
        return ()
    sentence = (
        f"The rows have a time ({quoted(evalset.roles.time)}), and the split "
        f"({quoted(evalset.roles.split)}) does not follow it: {count(late)} of "
        f"{plural(n_other, 'row')} outside of the test part come after the middle one of "
        f"{plural(n_test, 'test row')}. Scores on it may be better than they will be on later rows."
    )
    return (
        Finding(
            code="split_ignores_time",
            severity="warning",
            subject=evalset.name,
            sentence=sentence,
            evidence={"later": late, "others": n_other, "test": n_test},
            remedies=(
                "Test on the latest rows.",
                "Leave the time role to no column if order means nothing.",
            ),
        ),
    )


def _findings(evalset: EvalSet, kind: str) -> tuple[Finding, ...]:
    split = find_in_split(evalset)
    if evalset.time is None or kind == "time":
        return split
    return (
        *split,
        Finding(
            code="random_split_of_time",
            severity="warning",
            subject=evalset.name,
            sentence=(
                f"The rows have a time ({quoted(evalset.roles.time)}) and were divided without it: "
                "models learn from rows that come after those that they are judged on, so their "
                "scores may be better than they will be."
            ),
            remedies=(
                "Divide by time.",
                "Leave the time role to no column if order means nothing.",
            ),
            chart="size_curve",
        ),
    )


# ---- dividing --------------------------------------------------------------------------------

Divided = tuple[list[Fold], list[str]]


def _random(evalset: EvalSet, used: Ints, n_splits: int, n_repeats: int, seed: int) -> Divided:
    from sklearn.model_selection import KFold

    def split(r: int) -> Any:
        return KFold(n_splits, shuffle=True, random_state=seed + r).split(used)

    return _folds(evalset, used, split, n_repeats, seed), []


def _stratified(evalset: EvalSet, used: Ints, n_splits: int, n_repeats: int, seed: int) -> Divided:
    from sklearn.model_selection import StratifiedKFold

    codes = np.asarray(evalset.target.y)[used]
    counts = np.bincount(codes, minlength=len(evalset.target.labels))
    if counts.max() < n_splits:
        raise ParameterError(
            f"No class has {n_splits} rows, so they cannot be divided into {n_splits} folds. "
            "Choose fewer folds."
        )
    rare = [
        f"{label} ({plural(int(n), 'row')})"
        for label, n in zip(evalset.target.labels, counts, strict=True)
        if n < n_splits
    ]

    def split(r: int) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of rare classes, which the note names
            splitter = StratifiedKFold(n_splits, shuffle=True, random_state=seed + r)
            return list(splitter.split(used, codes))

    note = f"Classes with fewer rows than folds are missing in some folds: {listing(rare, 6)}."
    return _folds(evalset, used, split, n_repeats, seed), [note] if rare else []


def _grouped(evalset: EvalSet, used: Ints, n_splits: int, n_repeats: int, seed: int) -> Divided:
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    groups = _codes(evalset.group)[used]
    n_groups = len(np.unique(groups))
    if n_groups < n_splits:
        raise ParameterError(
            f"{plural(n_groups, 'group')} cannot be divided into {n_splits} folds. Choose fewer "
            "folds, or take the role group from the column."
        )
    task = evalset.target.task
    codes = np.asarray(evalset.target.y)[used] if task in (Task.BINARY, Task.MULTICLASS) else None

    def split(r: int) -> Any:
        if codes is None or np.bincount(codes).max() < n_splits:
            splitter = GroupKFold(n_splits, shuffle=True, random_state=seed + r)
            return splitter.split(used, groups=groups)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of classes with fewer rows than folds
            fair = StratifiedGroupKFold(n_splits, shuffle=True, random_state=seed + r)
            return list(fair.split(used, codes, groups=groups))

    folds = _folds(evalset, used, split, n_repeats, seed, groups=_codes(evalset.group))
    whole = _smallest_part(folds, _codes(evalset.group)) >= MANY_GROUPS
    note = (
        "Smaller training sizes are fewer groups, taken whole."
        if whole
        else f"Smaller training sizes are fewer rows of all groups: there are only {n_groups}."
    )
    return folds, [note]


def _smallest_part(folds: Sequence[Fold], codes: Ints) -> int:
    return min(len(np.unique(codes[fold.train])) for fold in folds)


def _codes(column: Any) -> Ints:
    """`(n,)` codes of a column; rows without a value are groups of their own."""
    import pandas as pd

    codes: Ints = np.asarray(pd.factorize(column)[0], dtype=np.int64)
    missing = codes < 0
    codes[missing] = codes.max(initial=-1) + 1 + np.arange(int(missing.sum()))
    return codes


def _by_time(evalset: EvalSet, used: Ints, n_splits: int, n_repeats: int, seed: int) -> Divided:
    order = evalset.time_order()
    if order is None:
        raise NotApplicable("Folds by time need a column with the role time.")
    inside = np.zeros(evalset.n, dtype=bool)
    inside[used] = True
    dated = evalset.time.notna().to_numpy(dtype=bool) if evalset.time is not None else inside
    ordered = order[inside[order] & dated[order]].astype(np.int64)
    undated = len(used) - len(ordered)
    # the first half is only learned from, so that every fold has rows enough for it
    block = len(ordered) // (2 * n_splits)
    if block < 1:
        raise ParameterError(
            f"{plural(len(ordered), 'row')} in order of time cannot be divided into {n_splits} "
            f"later blocks; {2 * n_splits} are needed. Choose fewer folds."
        )
    first = len(ordered) - n_splits * block
    starts = [first + k * block for k in range(n_splits)]
    folds = [
        # the latest rows first: a smaller size is a shorter past
        Fold(ordered[:at][::-1].copy(), ordered[at : at + block], 0, k)
        for k, at in enumerate(starts)
    ]
    notes = ["Smaller training sizes are the latest rows before each block."]
    if undated:
        notes.append(f"{plural(undated, 'row')} without a time were left out.")
    return folds, notes


_DIVIDE = {"stratified": _stratified, "k-fold": _random, "group": _grouped, "time": _by_time}


def _folds(
    evalset: EvalSet,
    used: Ints,
    split: Any,
    n_repeats: int,
    seed: int,
    groups: Ints | None = None,
) -> list[Fold]:
    strata: Ints = strata_of(evalset.target).astype(np.int64)
    folds = []
    for repeat in range(n_repeats):
        for number, (train, validation) in enumerate(split(repeat)):
            rng = np.random.default_rng([seed, 3, repeat, number])
            order = _fair_order(used[train], strata, groups, rng)
            folds.append(Fold(order, used[np.sort(validation)], repeat, number))
    return folds


def _fair_order(train: Ints, strata: Ints, groups: Ints | None, rng: np.random.Generator) -> Ints:
    """The rows to learn from in an order of which every beginning is a fair smaller sample.

    Rows alike in the target, as `stratified_order` takes them; many groups whole, one by one.
    """
    if groups is not None:
        own = groups[train]
        known, codes = np.unique(own, return_inverse=True)
        if len(known) >= MANY_GROUPS:
            places = rng.permutation(len(known))[codes]
            mixed = rng.permutation(len(train))
            return train[mixed[np.argsort(places[mixed], kind="stable")]]
    order = rng.permutation(len(train))
    order = order[np.argsort(strata[train][order], kind="stable")]
    sizes = np.bincount(strata[train])
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    share = (np.arange(len(train)) - starts + rng.random(len(train))) / np.repeat(sizes, sizes)
    return train[order[np.argsort(share, kind="stable")]]
