"""The model-agnostic engines against Shapley values by definition, and models that misbehave."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dashboard.contracts import OutputSpace
from dashboard.errors import ModelError, NotApplicable
from dashboard.explainers.agnostic import (
    AGNOSTIC,
    ExactEngine,
    KernelEngine,
    PermutationEngine,
)
from dashboard.explainers.coalitions import (
    all_coalitions,
    draw_coalitions,
    neighbours_mean,
    shapley,
    solve,
    stratified_mean,
)
from dashboard.explainers.mixing import LOG_ODDS_BOUND, Questions, Stock
from dashboard.explainers.subjects import EngineResult, Subject

TARGET = OutputSpace.TARGET
Function = Callable[[Any], np.ndarray]


class Watch:
    """Work that counts how often it is looked at, and may be stopped."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.checks = 0
        self.stop_after = stop_after

    def progress(self, done: int, total: int, sentence: str, /) -> None:
        pass

    def check(self) -> None:
        self.checks += 1
        if self.stop_after is not None and self.checks > self.stop_after:
            raise ModelError("stopped")


def subject(answer: Function, features: tuple[str, ...], k: int = 1, **more: Any) -> Subject:
    def answers(rows: Any, space: OutputSpace) -> np.ndarray:
        return np.asarray(answer(rows), dtype=float).reshape(len(rows), -1)

    return Subject(
        estimator=None,
        prepare=lambda rows: rows,
        answer=answers,
        answer_prepared=answers,
        features=features,
        sources=None,
        output_names=tuple(f"o{j}" for j in range(k)),
        spaces=more.pop("spaces", (TARGET,)),
        **more,
    )


def run(engine: Any, of: Subject, rows: Any, background: Any, **options: Any) -> EngineResult:
    space = options.pop("space", of.spaces[0])
    work = options.pop("work", Watch())
    result: EngineResult = engine.explain(of, rows, background, space, work, options)
    return result


def by_definition(answer: Function, row: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Shapley values over orders of all features, nothing shared with the code under test."""
    f = len(row)

    def worth(known: tuple[int, ...]) -> np.ndarray:
        mixed = background.copy()
        mixed[:, list(known)] = row[list(known)]
        return np.asarray(answer(mixed), dtype=float).reshape(len(mixed), -1).mean(axis=0)

    worths = {s: worth(s) for r in range(f + 1) for s in itertools.combinations(range(f), r)}
    values = np.zeros((f, len(worths[()])))
    for j, s in itertools.product(range(f), worths):
        if j not in s:
            weight = math.factorial(len(s)) * math.factorial(f - len(s) - 1) / math.factorial(f)
            values[j] += weight * (worths[tuple(sorted((*s, j)))] - worths[s])
    return values


def crooked(rows: Any) -> np.ndarray:
    """Two outputs with interactions of two and three features, and a feature nobody reads."""
    a = np.asarray(rows, dtype=float)
    first = a[:, 0] * a[:, 1] + np.sin(a[:, 2]) + a[:, 3] * a[:, 4] * (a[:, 0] > 0)
    return np.column_stack([first, np.maximum(a[:, 1], a[:, 4])])


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(70, 6))


@pytest.fixture(scope="module")
def crooked_subject() -> Subject:
    return subject(crooked, tuple("abcdef"), 2)


@pytest.fixture(scope="module")
def truth(rows: np.ndarray, crooked_subject: Subject) -> np.ndarray:
    return run(ExactEngine(), crooked_subject, rows[:20], rows[20:]).values


def test_exact_is_the_definition(rows: np.ndarray, truth: np.ndarray) -> None:
    for at in range(3):
        expected = by_definition(crooked, rows[at], rows[20:])
        np.testing.assert_allclose(truth[at], expected, rtol=0, atol=1e-12)
    assert (truth[:, 5] == 0).all(), "nobody reads the last feature"


@pytest.mark.parametrize("key", list(AGNOSTIC))
def test_values_add_up_whatever_the_engine(
    key: str, rows: np.ndarray, crooked_subject: Subject
) -> None:
    result = run(AGNOSTIC[key], crooked_subject, rows[:20], rows[20:], random_state=3)
    whole = result.base + result.values.sum(axis=1)
    np.testing.assert_allclose(whole, crooked(rows[:20]), rtol=0, atol=1e-12)
    assert (result.errors is None) == AGNOSTIC[key].exact


@pytest.mark.parametrize(
    ("engine", "budget"),
    [
        (KernelEngine(), 50 * 40),
        (PermutationEngine(), 150),  # fewer orders than background rows
        (PermutationEngine(), 500),  # one for each
        (PermutationEngine(), None),  # two for each
        (PermutationEngine(), 3_000),  # six for each
    ],
)
def test_sampled_values_are_within_their_stated_errors(
    engine: Any, budget: int | None, rows: np.ndarray, crooked_subject: Subject, truth: np.ndarray
) -> None:
    options = {} if budget is None else {"budget": budget}
    apart, stated = [], []
    for seed in range(6):
        result = run(engine, crooked_subject, rows[:20], rows[20:], random_state=seed, **options)
        assert result.errors is not None
        apart.append(result.values - truth)
        stated.append(result.errors)
    moved = truth.std(axis=0) > 0
    error, told = np.array(apart)[:, :, moved], np.array(stated)[:, :, moved]
    assert (np.abs(error) <= 1.96 * told + 1e-12).mean() > 0.92
    real, said = np.sqrt((error**2).mean()), np.sqrt((told**2).mean())
    # with few orders the background's own spread counts as chance
    most = 4 if budget in (150, 500) else 1.8
    assert 0.8 < said / real < most, "errors are neither hidden nor exaggerated"
    assert np.abs(error.mean(axis=(0, 1))).max() < 4 * real / np.sqrt(error[..., 0].size)


def test_more_budget_means_less_error(
    rows: np.ndarray, crooked_subject: Subject, truth: np.ndarray
) -> None:
    found = [
        run(PermutationEngine(), crooked_subject, rows[:20], rows[20:], budget=budget).values
        for budget in (200, 20_000)
    ]
    small, large = (np.sqrt(((values - truth) ** 2).mean()) for values in found)
    assert large < small / 4


def test_kernel_with_every_coalition_is_exact(
    rows: np.ndarray, crooked_subject: Subject, truth: np.ndarray
) -> None:
    result = run(KernelEngine(), crooked_subject, rows[:20], rows[20:])
    np.testing.assert_allclose(result.values, truth, rtol=0, atol=1e-12)
    assert result.errors is not None and not result.errors.any()


def test_the_same_seed_gives_the_same_values(rows: np.ndarray, crooked_subject: Subject) -> None:
    first, second, third = (
        run(PermutationEngine(), crooked_subject, rows[:5], rows[20:], random_state=s).values
        for s in (1, 1, 2)
    )
    assert (first == second).all() and not (first == third).all()


# ---- coalitions --------------------------------------------------------------------------------


def test_games_with_known_values() -> None:
    for f in (1, 2, 5):
        inside = all_coalitions(f)
        count = inside.sum(axis=1).astype(float)
        together = (inside.all(axis=1)).astype(float)
        values = shapley(np.column_stack([count, together, inside[:, 0] * 2.0]))
        np.testing.assert_allclose(values[:, 0], 1, atol=1e-12)
        np.testing.assert_allclose(values[:, 1], 1 / f, atol=1e-12)
        np.testing.assert_allclose(values[:, 2], [2, *[0] * (f - 1)], atol=1e-12)
    assert shapley(np.ones((1, 2))).shape == (0, 2)


@pytest.mark.parametrize(("f", "m"), [(6, 1_000), (9, 60), (30, 200), (60, 90)])
def test_drawn_coalitions_come_in_pairs_with_the_weight_of_the_kernel(f: int, m: int) -> None:
    drawn = draw_coalitions(f, m, np.random.default_rng(0))
    sizes = drawn.masks.sum(axis=1)
    assert sizes.min() >= 1 and sizes.max() <= f - 1
    kernel = np.array([(f - 1) / (s * (f - s)) for s in range(1, f)])
    assert drawn.weights.sum() == pytest.approx(kernel.sum(), rel=1e-12)
    written = sorted(map(bytes, drawn.masks))
    assert written == sorted(map(bytes, ~drawn.masks)), "each with its complement"
    for group in range(drawn.n_groups):
        mine = drawn.masks[drawn.groups == group]
        assert sorted(map(bytes, mine)) == sorted(map(bytes, ~mine)), "pairs stay together"
    expected = (kernel * np.arange(1, f)).sum() / kernel.sum()
    assert np.average(sizes, weights=drawn.weights) == pytest.approx(expected, rel=1e-9)


def test_solving_is_shapley_for_any_game_where_all_coalitions_are_known() -> None:
    rng, f = np.random.default_rng(0), 7
    worth = rng.normal(size=(1 << f, 2))
    worth[0] = 0
    exact = shapley(worth)
    drawn = draw_coalitions(f, 1 << f, rng)
    asked = worth[drawn.masks @ (1 << np.arange(f))]
    values, errors = solve(drawn, asked, worth[-1])
    np.testing.assert_allclose(values, exact, atol=1e-12)
    assert not errors.any()


def test_stratified_mean_by_hand() -> None:
    draws = np.array([[1.0], [3.0], [10.0], [20.0], [26.0]])
    mean, error = stratified_mean(draws, np.array([0, 0, 1, 2, 2]))
    assert mean[0] == pytest.approx((2 + 10 + 23) / 3)
    within = (2 + 18) / 2  # squares within the strata over their degrees of freedom
    plain = np.sqrt(within * (1 / 2 + 1 + 1 / 2)) / 3
    assert error[0] / plain == pytest.approx(4.302652729911275 / 1.959963984540054)  # t of 2


def test_neighbours_mean_by_hand() -> None:
    few = np.array([[0.0], [0.0], [3.0], [3.0]])
    mean, error = neighbours_mean(few)
    plain = few.std(ddof=1) / 2  # few draws: as if they were not sorted
    assert mean[0] == 1.5
    assert error[0] / plain == pytest.approx(3.182446305284263 / 1.959963984540054)  # t of 3
    many = np.repeat([[0.0], [3.0]], 20, axis=0)
    _, error = neighbours_mean(many)
    steps = np.sqrt(3.0**2 / 2 / (39 * 40))
    assert error[0] / steps == pytest.approx(2.022690911734728 / 1.959963984540054)  # t of 39


# ---- what rows look like -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng, n = np.random.default_rng(1), 40
    frame = pd.DataFrame(
        {
            "age": rng.normal(40, 9, n),
            "colour": pd.Categorical(rng.choice(["red", "green", "blue"], n)),
            "city": rng.choice(["Ulm", "Oslo"], n),
            "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 99, n), "D"),
            "rooms": pd.array(rng.integers(1, 5, n), dtype="Int64"),
            "note": np.arange(n),  # not read by the model
            "paid": rng.random(n) < 0.5,
        }
    )
    frame.loc[::7, "age"] = np.nan
    frame.loc[3, "city"] = None
    frame.loc[5, "rooms"] = pd.NA
    return frame


READ = ("age", "colour", "city", "when", "rooms", "paid")


def read_table(frame: pd.DataFrame) -> np.ndarray:
    age = frame["age"].fillna(20).to_numpy()
    days = (frame["when"] - pd.Timestamp("2024-01-01")).dt.days.to_numpy()
    red = (frame["colour"] == "red").to_numpy()
    oslo = (frame["city"] == "Oslo").to_numpy(dtype=bool, na_value=False)
    rooms = frame["rooms"].to_numpy(dtype=float, na_value=9.0)
    return age * red + days * oslo / 10 + rooms * frame["paid"].to_numpy()


@pytest.mark.parametrize("key", list(AGNOSTIC))
def test_every_type_of_column_reaches_the_model_as_it_was(key: str, table: pd.DataFrame) -> None:
    seen: list[pd.DataFrame] = []

    def answer(frame: pd.DataFrame) -> np.ndarray:
        seen.append(frame)
        return read_table(frame)

    of = subject(answer, READ)
    result = run(AGNOSTIC[key], of, table.iloc[:8], table.iloc[8:], random_state=0)
    whole = result.base + result.values.sum(axis=1)
    np.testing.assert_allclose(whole[:, 0], read_table(table.iloc[:8]), atol=1e-9)
    for frame in seen:
        assert list(frame.dtypes) == list(table.dtypes)
        assert list(frame.columns) == list(table.columns)
    asked = pd.concat(seen)
    assert set(asked["colour"].dropna()) == {"red", "green", "blue"}
    assert asked["rooms"].isna().any() and asked["city"].isna().any()


def test_columns_that_the_model_does_not_read_stay_those_of_the_row(table: pd.DataFrame) -> None:
    seen: list[int] = []

    def answer(frame: pd.DataFrame) -> np.ndarray:
        seen.extend(frame["note"])
        return frame["rooms"].to_numpy(dtype=float, na_value=0.0)

    run(PermutationEngine(), subject(answer, READ), table.iloc[:1], table.iloc[8:])
    asked_as_they_are = 2 * len(table.iloc[8:]) + 1
    assert set(seen[asked_as_they_are:]) == {0}


def test_mixed_frame_equals_the_definition_on_codes(table: pd.DataFrame) -> None:
    """The same game over row numbers: a cell is the number of the row it comes from."""
    background = table.iloc[8:20]

    def answer(codes: np.ndarray) -> np.ndarray:
        taken = codes.astype(int)
        frame = pd.DataFrame(
            {name: table[name].array.take(taken[:, j]) for j, name in enumerate(READ)}
        )
        return read_table(frame)

    codes = np.repeat(np.arange(len(table), dtype=float)[:, None], len(READ), axis=1)
    expected = by_definition(answer, codes[0], codes[8:20])
    found = run(ExactEngine(), subject(read_table, READ), table.iloc[:1], background)
    np.testing.assert_allclose(found.values[0], expected, atol=1e-10)


def test_cells_of_arrays_are_features() -> None:
    rng = np.random.default_rng(0)
    pictures = rng.random((12, 2, 3, 1))
    names = tuple(f"pixel {i}" for i in range(6))

    def answer(given: np.ndarray) -> np.ndarray:
        assert given.shape[1:] == (2, 3, 1)
        return given[:, 0, 0, 0] * given[:, 1, 2, 0] + given[:, 0, 1, 0]

    of = subject(answer, names, cell_shape=(2, 3, 1))
    result = run(ExactEngine(), of, pictures[:2], pictures[2:])
    flat = pictures.reshape(12, 6)
    expected = by_definition(lambda a: a[:, 0] * a[:, 5] + a[:, 1], flat[0], flat[2:])
    np.testing.assert_allclose(result.values[0], expected, atol=1e-12)


def test_float32_stays_float32() -> None:
    seen: set[str] = set()
    rows = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)

    def answer(given: np.ndarray) -> np.ndarray:
        seen.add(str(given.dtype))
        return given.sum(axis=1)

    run(ExactEngine(), subject(answer, tuple("abc")), rows[:2], rows[2:])
    assert seen == {"float32"}


# ---- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize("key", list(AGNOSTIC))
def test_rows_like_the_background_one_row_one_background_row_constant_columns(
    key: str, rows: np.ndarray, crooked_subject: Subject
) -> None:
    engine = AGNOSTIC[key]
    same = run(engine, crooked_subject, rows[:3], rows[:1].repeat(2, axis=0))
    assert (same.values[0] == 0).all()
    alone = run(engine, crooked_subject, rows[:1], rows[1:2])
    np.testing.assert_allclose(
        alone.values.sum(axis=1), crooked(rows[:1]) - crooked(rows[1:2]), atol=1e-12
    )
    still = rows.copy()
    still[:, 2] = 7.0
    constant = run(engine, crooked_subject, still[:4], still[20:])
    assert (constant.values[:, 2] == 0).all()
    nothing = run(engine, subject(lambda a: np.full(len(a), 3.0), tuple("abcdef")), still, still)
    assert not nothing.values.any() and nothing.base == 3.0


def test_equal_mixed_rows_are_asked_once() -> None:
    asked = 0
    rows = np.random.default_rng(0).integers(0, 2, size=(60, 10)).astype(float)
    rows[:, 5:] = 1.0

    def answer(given: np.ndarray) -> np.ndarray:
        nonlocal asked
        asked += len(given)
        return given[:, 0] * given[:, 1]

    run(ExactEngine(), subject(answer, tuple("abcdefghij")), rows[:1], rows[1:])
    assert asked < 59 * 32, "not the 59 · 1,024 of the definition"


def test_a_random_model_is_refused(rows: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    noisy = subject(lambda a: crooked(a)[:, :1] + 0.1 * rng.random((len(a), 1)), tuple("abcdef"))
    with pytest.raises(NotApplicable, match="differently each time"):
        run(ExactEngine(), noisy, rows[:4], rows[20:])


def test_the_last_digits_of_a_network_are_no_chance(rows: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    shaky = subject(lambda a: crooked(a) * (1 + 1e-7 * rng.random((len(a), 2))), tuple("abcdef"), 2)
    assert run(ExactEngine(), shaky, rows[:2], rows[20:]).values.shape == (2, 6, 2)


def test_a_model_that_raises_on_mixed_rows_says_what_it_said(rows: np.ndarray) -> None:
    known = {row.tobytes() for row in rows}

    def picky(given: np.ndarray) -> np.ndarray:
        if any(row.tobytes() not in known for row in np.ascontiguousarray(given)):
            raise ValueError("never seen such a row")
        return given[:, 0]

    with pytest.raises(NotApplicable, match=r"fails on rows that are mixed.*never seen such a row"):
        run(KernelEngine(), subject(picky, tuple("abcdef")), rows[:4], rows[20:])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_rows_that_have_no_number_once_they_are_mixed_are_left_out(
    bad: float, rows: np.ndarray
) -> None:
    def holey(given: np.ndarray) -> np.ndarray:
        return np.where((given[:, 0] > 1) & (given[:, 1] < -1), bad, given[:, 0])

    background = rows[20:]
    sound = np.isfinite(holey(background))
    known = background[sound]
    explained = rows[:20][np.isfinite(holey(rows[:20]))]
    meets = (explained[:, 0] > 1) & (known[:, 1] < -1).any()
    meets |= (explained[:, 1] < -1) & (known[:, 0] > 1).any()
    assert 0 < meets.sum() < len(explained)
    for engine in (ExactEngine(), KernelEngine(), PermutationEngine()):
        found = run(engine, subject(holey, tuple("abcdef")), explained, background)
        assert found.kept is not None
        assert found.kept.tolist() == np.flatnonzero(~meets).tolist()
        assert found.base == pytest.approx(known[:, 0].mean())
        apart = explained[~meets, 0] - known[:, 0].mean()
        np.testing.assert_allclose(found.values[:, 0, 0], apart, atol=1e-9)
        left = f"{len(known)} of {len(background)} background rows stand in"
        assert any(left in note for note in found.notes) is (len(known) < len(background))


def test_answers_of_another_shape_are_refused(rows: np.ndarray) -> None:
    with pytest.raises(NotApplicable, match="one row of 1"):
        run(ExactEngine(), subject(crooked, tuple("abcdef"), 1), rows[:2], rows[20:])


def test_certainty_in_log_odds_is_clipped_and_said(rows: np.ndarray) -> None:
    def certain(given: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            share = np.clip(given[:, 0] + 0.5, 0, 1)
            return np.log(share) - np.log1p(-share)

    of = subject(certain, tuple("abcdef"), spaces=(OutputSpace.LOG_ODDS,))
    result = run(ExactEngine(), of, rows[:20], rows[20:])
    whole = (result.base + result.values.sum(axis=1))[:, 0]
    expected = np.clip(certain(rows[:20]), -LOG_ODDS_BOUND, LOG_ODDS_BOUND)
    np.testing.assert_allclose(whole, expected, atol=1e-12)
    assert any("exactly 0 or 1" in note for note in result.notes)
    plain = run(ExactEngine(), subject(crooked, tuple("abcdef"), 2), rows[:2], rows[20:])
    assert not any("exactly 0 or 1" in note for note in plain.notes)


def test_a_slow_model_is_asked_little_at_a_time(rows: np.ndarray) -> None:
    longest, began = 0.0, time.perf_counter()
    work = Watch()

    def slow(given: np.ndarray) -> np.ndarray:
        time.sleep(0.004 * len(given))
        return given[:, 0]

    def check() -> None:
        nonlocal longest, began
        now = time.perf_counter()
        longest, began = max(longest, now - began), now
        work.checks += 1

    watch = Watch()
    watch.check = check  # type: ignore[method-assign]
    run(
        PermutationEngine(),
        subject(slow, tuple("abcdef")),
        rows[:1],
        rows[20:],
        work=watch,
        budget=200,
    )
    assert work.checks > 5 and longest < 1.0


def test_a_slow_model_is_asked_less_and_that_is_said(rows: np.ndarray) -> None:
    asked = 0

    def slow(given: np.ndarray) -> np.ndarray:
        nonlocal asked
        asked += len(given)
        time.sleep(0.0005 * len(given))
        return crooked(given)[:, 0]

    of = subject(slow, tuple("abcdef"))
    engine = PermutationEngine()
    usual = engine.evaluations(6, 50)
    import dashboard.explainers.agnostic as module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SECONDS_OF_ROW", 0.05)
        result = run(engine, of, rows[:2], rows[20:])
    assert asked < 2 * usual / 4 + 200
    assert any("is slow" in note for note in result.notes)
    assert result.errors is not None and result.errors[:, 0].min() > 0
    before = asked
    full = run(engine, of, rows[:1], rows[20:], budget=400)
    assert not any("is slow" in note for note in full.notes)
    assert asked - before <= 402, "what it said of the background is remembered"


def test_progress_is_told_within_a_block(rows: np.ndarray, crooked_subject: Subject) -> None:
    told: list[tuple[int, int]] = []
    watch = Watch()
    watch.progress = lambda done, total, sentence, /: told.append((done, total))  # type: ignore
    run(KernelEngine(), crooked_subject, rows[:5], rows[20:], work=watch)
    steps = [done / total for done, total in told]
    assert len(steps) > 3 and steps == sorted(steps) and 0.8 < steps[-1] <= 1


def test_cancel_stops_between_two_calls(rows: np.ndarray, crooked_subject: Subject) -> None:
    with pytest.raises(ModelError, match="stopped"):
        run(ExactEngine(), crooked_subject, rows[:20], rows[20:], work=Watch(stop_after=3))


def test_two_thousand_features_are_estimated_and_refused_where_too_many() -> None:
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(11, 2_000)).astype(np.float32)
    names = tuple(f"x{j}" for j in range(2_000))
    of = subject(lambda a: a[:, :3].sum(axis=1, dtype=float), names)
    assert "needs at most 12" in ExactEngine().refuses(of, TARGET)
    assert "needs at most 500" in KernelEngine().refuses(of, TARGET)
    assert PermutationEngine().refuses(of, TARGET) == ""
    result = run(PermutationEngine(), of, wide[:1], wide[1:], budget=12_000)
    expected = wide[0, :3] - wide[1:, :3].mean(axis=0)
    assert result.errors is not None
    assert (np.abs(result.values[0, :3, 0] - expected) <= 3 * result.errors[0, :3, 0]).all()
    assert np.abs(result.values[0, 3:]).max() < 1e-6
    assert any("8 of 10 background rows" in note for note in result.notes)


def test_units_and_empty_models_are_refused(crooked_subject: Subject) -> None:
    engine = ExactEngine()
    assert engine.refuses(crooked_subject, TARGET) == ""
    assert "unit probability" in engine.refuses(crooked_subject, OutputSpace.PROBABILITY)
    assert "no column" in engine.refuses(subject(crooked, ()), TARGET)


def test_missing_columns_and_empty_backgrounds_are_named(table: pd.DataFrame) -> None:
    of = subject(read_table, (*READ, "height"))
    with pytest.raises(NotApplicable, match="no column 'height'"):
        run(ExactEngine(), of, table.iloc[:1], table.iloc[1:])
    with pytest.raises(NotApplicable, match="no background rows"):
        run(ExactEngine(), subject(read_table, READ), table.iloc[:1], table.iloc[:0])


def test_more_work_is_estimated_to_take_longer(crooked_subject: Subject) -> None:
    for engine in AGNOSTIC.values():
        few, many = (engine.seconds(crooked_subject, n, 50) for n in (10, 1_000))
        assert 0 < few < many


# ---- real models -------------------------------------------------------------------------------


def test_real_models_of_every_kind_add_up() -> None:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.ensemble import RandomForestClassifier, StackingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import SVC

    from dashboard.explainers.pipelines import raw_rows, subject_of
    from dashboard.models import adapt

    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(120, 4)), columns=list("abcd"))
    y = np.where(X["a"] * X["b"] + rng.normal(size=120) / 4 > 0, "yes", "no")
    forest = RandomForestClassifier(10, random_state=0)
    models = {
        "calibrated": CalibratedClassifierCV(forest, cv=2).fit(X, y),
        "stacked": StackingClassifier([("f", forest)], LogisticRegression(), cv=2).fit(X, y),
        "svc": SVC().fit(X, y),
        "function": lambda frame: (frame["a"] * frame["b"]).to_numpy(),
    }
    for name, model in models.items():
        of = subject_of(adapt(model, name), X)
        given = raw_rows(of, X)
        for space in of.spaces:
            found = run(ExactEngine(), of, given[:5], given[20:60], space=space)
            whole = found.base + found.values.sum(axis=1)
            np.testing.assert_allclose(whole, of.answer(given[:5], space), atol=1e-9, err_msg=name)
            values = by_definition(
                lambda a, of=of, space=space: of.answer(
                    pd.DataFrame(a, columns=list("abcd")), space
                ),
                X.to_numpy()[0],
                X.to_numpy()[20:60],
            )
            np.testing.assert_allclose(found.values[0], values, atol=1e-9, err_msg=name)


def test_what_a_call_takes_whatever_it_holds_makes_no_more_calls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A forest of threads takes a while for one row and hardly longer for a thousand."""
    monkeypatch.setattr("dashboard.explainers.mixing.GOAL_SECONDS", 0.02)
    sizes: list[int] = []

    def fixed(X: Any) -> Any:
        sizes.append(len(X))
        time.sleep(0.03)
        return np.asarray(X)[:, 0]

    rows, names = np.random.default_rng(0).normal(size=(500, 3)), ("x0", "x1", "x2")
    questions = Questions(subject(fixed, names), TARGET, Watch())
    stock, at = Stock(rows, names), np.repeat(np.arange(500)[:, None], 3, axis=1)
    np.testing.assert_array_equal(questions.ask(stock, at, at[:, 0])[:, 0], rows[:, 0])
    assert len(sizes) < 60 and max(sizes) > 30  # of 250 where two rows a call are kept

    def by_row(X: Any) -> Any:
        sizes.append(len(X))
        time.sleep(0.004 * len(X))
        return np.asarray(X)[:, 0]

    sizes.clear()
    Questions(subject(by_row, names), TARGET, Watch()).ask(stock, at[:60], at[:60, 0])
    assert max(sizes) <= 20  # .02 s is five of its rows


# ---- more coalitions than can be asked --------------------------------------------------------


GROUPS = ((0, 1), (2, 3, 4), (5, 6))


def _grouped(given: Any) -> Any:
    """A straight part, and three groups of features that act together."""
    a = np.asarray(given, dtype=np.float64)
    straight = a @ np.linspace(-1, 1, a.shape[1])
    together = a[:, 0] * a[:, 1] + 2 * a[:, 2] * a[:, 3] * a[:, 4]
    return straight + together + np.maximum(a[:, 5], 0) * a[:, 6]


def _grouped_truth(row: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Exact values: a group's features share its part, by enumeration within the group alone."""
    weights = np.linspace(-1, 1, len(row))
    found = weights * (row - background.mean(axis=0))
    for group in GROUPS:
        outside = np.zeros((len(background), len(row)))
        m, worth = len(group), {}
        for taken in itertools.product((False, True), repeat=m):
            outside[:, group] = np.where(taken, row[list(group)], background[:, group])
            worth[taken] = (_grouped(outside) - outside @ weights).mean()
        for at, feature in enumerate(group):
            for taken, value in worth.items():
                s = sum(taken) - taken[at]
                share = math.factorial(s) * math.factorial(m - s - 1) / math.factorial(m)
                found[feature] += value * (share if taken[at] else -share)
    return found


@pytest.mark.parametrize("engine", [KernelEngine(), PermutationEngine()], ids=lambda one: one.key)
def test_sampled_coalitions_of_many_features_are_within_their_stated_errors(engine: Any) -> None:
    """Of 16 features there are 65,534 coalitions, of which Kernel SHAP asks 544."""
    rng = np.random.default_rng(0)
    rows, background = rng.normal(size=(4, 16)), rng.normal(size=(12, 16))
    truth = np.stack([_grouped_truth(row, background) for row in rows])
    asked = subject(_grouped, tuple(f"x{at}" for at in range(16)))
    found = [run(engine, asked, rows, background, random_state=seed) for seed in range(4)]
    apart = np.stack([one.values[:, :, 0] - truth for one in found])
    errors = np.stack([one.errors[:, :, 0] for one in found])
    assert (errors > 0).mean() > 0.5  # nothing was enumerated
    assert (np.abs(apart) <= 1.96 * errors + 1e-9).mean() > 0.93
    assert (np.abs(apart) <= 5 * errors + 1e-9).all()
    assert np.sqrt((apart**2).mean() / (truth**2).mean()) < 0.1
    # and they are not wide for nothing
    assert 0.3 < np.sqrt((apart**2).mean() / (errors**2).mean()) < 1.2
    if engine.key == "kernel":
        assert "544 coalitions a row" in found[0].notes[0]
