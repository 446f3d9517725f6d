"""What is found in the trials of a search: edges, ties, trials that failed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dashboard.contracts import Finding, SearchParameter, SearchResults, SearchScore
from dashboard.diagnostics.folds import corrected_interval
from dashboard.diagnostics.parameter_edges import edge_of
from dashboard.diagnostics.searches import find_in_search

NAN = np.nan


def _search(
    values: dict[str, list[Any]],
    scores: list[float],
    *,
    folds: np.ndarray | None = None,
    status: list[Any] | None = None,
    larger: bool | None = True,
    seconds: list[float] | None = None,
    declared: tuple[float, float] | None = None,
) -> SearchResults:
    n = len(scores)
    held = np.array(scores, dtype=float)
    status = status or ["complete" if np.isfinite(value) else "failed" for value in scores]
    return SearchResults(
        "search",
        "table",
        tuple(map(str, range(n))),
        tuple(status),
        tuple(SearchParameter(name, tuple(v), declared) for name, v in values.items()),
        (SearchScore("accuracy", larger, held, folds=folds),),
        fit_seconds=None if seconds is None else np.array(seconds),
    )


def _codes(findings: list[Finding]) -> dict[str, Finding]:
    return {one.code: one for one in findings}


def test_the_best_at_the_end_of_a_grid_is_a_warning_that_counts_every_trial() -> None:
    found = _codes(find_in_search(_search({"C": [0.1, 1, 10, 100]}, [0.7, 0.8, 0.85, 0.9])))
    edge = found["best_at_edge"]
    assert edge.severity == "warning"
    assert edge.evidence["edge"] == 100
    assert edge.evidence["loss_inside"] == pytest.approx(0.05)
    assert edge.evidence["trials"] == 4
    assert edge.at == 100
    assert edge.remedies == ("Try larger values of C as well.",)
    assert "(100, accuracy .900) is at the highest end" in edge.sentence
    low = _codes(find_in_search(_search({"C": [0.1, 1, 10]}, [0.9, 0.8, 0.7])))["best_at_edge"]
    assert low.remedies == ("Try smaller values of C as well.",)
    assert not find_in_search(_search({"C": [0.1, 1, 10]}, [0.7, 0.8, 0.7]))
    # smaller is better: the other end
    other = _search({"C": [0.1, 1, 10]}, [0.1, 0.2, 0.3], larger=False)
    assert _codes(find_in_search(other))["best_at_edge"].evidence["edge"] == 0.1


def test_an_edge_that_the_folds_do_not_tell_from_the_inside_is_undecided() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.05, (3, 5))
    for gap, severity in ((0.001, "info"), (0.5, "warning")):
        folds = np.array([[0.2], [0.5], [0.5 + gap]]) + noise
        means = folds.mean(axis=1).tolist()
        if means[2] < means[1]:
            folds[2] += means[1] - means[2] + gap
        found = _search({"C": [1, 2, 3]}, folds.mean(axis=1).tolist(), folds=folds)
        edge = _codes(find_in_search(found))["best_at_edge"]
        assert edge.severity == severity
        interval = corrected_interval(folds[2] - folds[1], 1 / 4)
        assert (interval.low <= 0) == ("undecided" in edge.sentence)


def test_no_edge_where_nothing_lies_beyond_or_inside_is_as_good() -> None:
    assert not find_in_search(_search({"max_depth": [1, 2, 3]}, [0.9, 0.8, 0.7]))
    assert not find_in_search(_search({"x__subsample": [0.5, 0.75, 1.0]}, [0.7, 0.8, 0.9]))
    assert find_in_search(_search({"max_features": [1, 2, 3]}, [0.7, 0.8, 0.9]))
    assert not find_in_search(_search({"C": [1, 2, 3]}, [0.9, 0.9, 0.7]))  # a tie with the inside
    assert not find_in_search(_search({"C": [1, 2]}, [0.9, 0.8]))  # two values have no inside
    words = _search({"kernel": ["a", "b", "c"]}, [0.9, 0.8, 0.7])
    assert not find_in_search(words)
    # the best has no such parameter
    absent = _search({"C": [None, 1, 2, 3]}, [0.9, 0.7, 0.8, 0.85])
    assert "best_at_edge" not in _codes(find_in_search(absent))


def test_of_a_continuous_range_the_outer_twentieth_is_the_edge() -> None:
    values = np.linspace(0, 1, 41)
    near = edge_of("weight", values, 0.975)
    assert near is not None
    assert (near.side, near.end, near.possible) == ("highest", 1.0, True)
    assert near.outer.sum() == 3
    assert edge_of("weight", values, 0.9) is None
    powers = np.logspace(-4, 0, 41)
    assert edge_of("C", powers, powers[1], log=True) is not None
    assert edge_of("C", powers, powers[38], log=False) is None
    assert edge_of("C", powers, powers[20], log=False) is not None  # .01 of 1 lies low, unlogged
    # a declared range that the trials did not reach
    assert edge_of("C", np.array([4.0, 5.0, 6.0]), 6.0, declared=(0.0, 10.0)) is None
    assert edge_of("C", np.array([4.0, 5.0, 9.9]), 9.9, declared=(0.0, 10.0)) is not None


def test_few_trials_of_several_parameters_only_hint_at_an_edge() -> None:
    found = _codes(find_in_search(_search({"C": [1, 2, 3], "g": [5, 4, 6]}, [0.7, 0.8, 0.9])))
    assert found["few_trials"].severity == "info"
    assert found["best_at_edge"].severity == "info"


def test_ties_name_how_many_and_a_faster_one() -> None:
    folds = np.array([[0.8, 0.9, 0.7], [0.79, 0.91, 0.69], [0.1, 0.2, 0.1]])
    means = folds.mean(axis=1).tolist()
    found = _codes(
        find_in_search(_search({"k": ["a", "b", "c"]}, means, folds=folds, seconds=[9, 1, 1]))
    )
    assert found["tied"].evidence == {"as_good": 1, "complete": 3}
    assert "Trial 1 is among them and fits in 1.00 s instead of 9.00 s" in found["tied"].sentence


def test_failed_trials_are_counted_with_what_they_share() -> None:
    values = {"solver": ["a", "b", "b", "a"], "C": [1, 2, 3, 4]}
    found = _codes(find_in_search(_search(values, [0.7, NAN, NAN, 0.6])))
    failed = found["trials_failed"]
    assert failed.severity == "warning"
    assert failed.sentence == ("2 of 4 trials failed and have no score, all with solver = b.")
    few = _search({"C": list(range(20))}, [NAN, *np.linspace(0.5, 0.7, 10), *[0.4] * 9])
    assert _codes(find_in_search(few))["trials_failed"].severity == "info"


def test_without_a_direction_nothing_is_best() -> None:
    found = find_in_search(_search({"C": [1, 2, 3]}, [0.7, 0.8, 0.9], larger=None))
    assert [one.code for one in found] == ["direction_unknown"]


def test_partial_trials_are_never_the_best() -> None:
    status = ["partial", "complete", "complete", "complete"]
    found = _search({"C": [9, 1, 2, 3]}, [0.99, 0.7, 0.8, 0.75], status=status)
    assert found.best() == 2
    np.testing.assert_array_equal(found.ranks(), [NAN, 3, 1, 2])
    assert not find_in_search(found)
