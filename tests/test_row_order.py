"""The order of rows and the background: every beginning has the target's classes in proportion."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from dashboard.data import evalset_from_frame
from dashboard.explainers.ordering import (
    background_of,
    background_positions,
    digest_of,
    stratified_order,
)
from dashboard.explainers.staging import unit_bounds


def made(y: np.ndarray, **more):
    return evalset_from_frame(
        pd.DataFrame({"a": np.arange(len(y), dtype=float), "y": y}), target="y", **more
    )


def test_every_beginning_is_stratified_by_class() -> None:
    y = np.repeat(["a", "b", "c"], [700, 250, 50])
    order = stratified_order(made(y), seed=4)
    assert sorted(order.tolist()) == list(range(1_000))
    for n in (20, 100, 200, 555):
        counts = np.array([(y[order[:n]] == name).sum() for name in "abc"])
        # one row of each class in each of its equal parts: off by less than one
        assert (np.abs(counts - n * np.array([0.7, 0.25, 0.05])) <= 1).all()


def test_every_beginning_is_stratified_by_number() -> None:
    y = np.random.default_rng(0).lognormal(size=2_000)
    order = stratified_order(made(y), seed=0)
    ranks = np.argsort(np.argsort(y))[order[:200]]
    counts = np.bincount(ranks // 100, minlength=20)
    assert (np.abs(counts - 10) <= 1).all()
    # a random sample of 200 would be off by .07 standard deviations on average
    assert abs(np.log(y[order[:200]]).mean() - np.log(y).mean()) < 0.02


def test_orders_depend_on_the_seed_and_on_nothing_else() -> None:
    y = np.tile([0, 1], 50)
    one, two = made(y), made(y)
    assert np.array_equal(stratified_order(one, 1), stratified_order(two, 1))
    assert not np.array_equal(stratified_order(one, 1), stratified_order(one, 2))


def test_within_a_class_the_order_is_random() -> None:
    """The first row of the file is among the first tenth in about a tenth of the draws."""
    evalset = made(np.tile([0, 1], 50))
    first = sum(0 in stratified_order(evalset, seed)[:10] for seed in range(300))
    assert 15 <= first <= 45  # binomial(300, .1): 30 ± 5


def test_the_background_is_drawn_without_replacement_and_said() -> None:
    evalset = made(np.tile([0, 1], 200))
    drawn = background_positions(evalset, 100, 0)
    assert len(set(drawn.tolist())) == 100
    assert np.array_equal(drawn, background_positions(evalset, 100, 0))
    said = background_of(evalset, drawn, "interventional")
    assert (said.n, said.n_given, said.digest) == (100, 400, digest_of(drawn))
    assert said.how == "100 of 400 rows drawn at random, the same for every model"
    everyone = background_positions(evalset, 10_000, 0)
    assert everyone.tolist() == list(range(400))
    assert background_of(evalset, everyone, "interventional").how.startswith("all 400 rows")
    assert background_of(evalset, drawn, "path-dependent").n == 0
    assert len(background_positions(evalset, 1, 0)) == 1


def test_blocks_have_fixed_bounds() -> None:
    bounds = list(unit_bounds(0, 25_000))
    assert bounds[:7] == [
        (0, 10),
        (10, 20),
        (20, 50),
        (50, 100),
        (100, 200),
        (200, 400),
        (400, 600),
    ]
    assert (1_800, 2_000) in bounds and (2_000, 4_000) in bounds and bounds[-1] == (20_000, 25_000)
    assert all(stop == start for (_, stop), (start, _) in itertools.pairwise(bounds))
    assert list(unit_bounds(200, 300)) == [(200, 300)]
    # beginning in the middle gives the same later bounds
    assert set(unit_bounds(2_000, 25_000)) < set(bounds)
