"""Power laws through curves with a known one, and curves that none describes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.optimize import curve_fit

from dashboard.diagnostics.projections import FURTHEST, project
from dashboard.diagnostics.size_curves import SizeCurve
from dashboard.errors import NotApplicable, ParameterError
from dashboard.figures.size_curves import plot_size_curves

SIZES = np.array([100, 219, 478, 1_046, 2_287, 5_000])


def _law(n: npt.ArrayLike, c: float, a: float, b: float) -> npt.NDArray[np.float64]:
    return np.asarray(c - a * np.asarray(n, dtype=np.float64) ** -b)


def _curve(
    validation: npt.NDArray[np.float64], *, higher: bool = True, metric: str = "roc_auc"
) -> SizeCurve:
    return SizeCurve(
        model="net",
        metric=metric,
        title="ROC AUC" if higher else "RMSE",
        larger_is_better=higher,
        sizes=SIZES[: len(validation)],
        train=validation,
        validation=validation,
        fit_seconds=validation * 0 + 1,
        independent=validation.shape[1],
    )


def _noisy(seed: int, noise: float = 0.004) -> SizeCurve:
    rng = np.random.default_rng(seed)
    shared = rng.normal(0, noise, 5)  # a fold is hard at every size
    return _curve(_law(SIZES, 0.95, 1.2, 0.5)[:, None] + shared + rng.normal(0, noise, (6, 5)))


def test_a_law_without_noise_is_found_exactly() -> None:
    shift = np.linspace(-0.004, 0.004, 5)
    found = project(_curve(_law(SIZES, 0.95, 1.2, 0.5)[:, None] + shift))
    assert found.exponent == pytest.approx(0.5, rel=1e-3)
    assert found.limit == pytest.approx(0.95, abs=1e-5)
    assert found.values == pytest.approx(_law(found.sizes, 0.95, 1.2, 0.5), abs=1e-5)
    assert (found.base, found.furthest) == (5_000, 20_000)
    assert found.sizes[-1] == FURTHEST * 5_000 and found.miss < 0.1


def test_an_error_falls_the_same_way() -> None:
    shift = np.linspace(-0.4, 0.4, 5)
    values = 20 + 300 * SIZES[:, None] ** -0.7 + shift
    found = project(_curve(values, higher=False, metric="rmse"))
    assert found.exponent == pytest.approx(0.7, rel=2e-3)
    assert found.limit == pytest.approx(20, abs=1e-2)
    gain = found.gain(5_000)
    assert gain.value == pytest.approx(300 * (5_000**-0.7 - 10_000**-0.7), rel=2e-2)
    assert "lower RMSE" in gain.sentence


def test_the_fit_is_scipy_s() -> None:
    curve = _noisy(3)
    spread = curve.validation.std(axis=1, ddof=1)
    weight = np.sqrt((spread**2 + (spread**2).mean()) / 2)
    theirs, _ = curve_fit(
        _law, SIZES, curve.validation_mean, p0=(0.95, 1, 0.5), sigma=weight, maxfev=10_000
    )
    found = project(curve)
    assert (found.limit, found.amplitude, found.exponent) == pytest.approx(theirs, rel=2e-3)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    held = []
    for seed in range(40):
        found = project(_noisy(seed))
        true = _law(found.sizes, 0.95, 1.2, 0.5)
        held.append(found.low[-1] <= true[-1] <= found.high[-1])
    assert np.mean(held) >= 0.9
    gain = found.gain(10_000)
    assert gain.low <= gain.value <= gain.high
    assert "Another 10,000 rows may raise ROC AUC by" in gain.sentence


def test_nothing_is_said_beyond_four_times_the_rows() -> None:
    found = project(_noisy(0))
    assert found.gain(15_000).more == 15_000
    with pytest.raises(NotApplicable, match="more than 4 times"):
        found.gain(15_001)
    with pytest.raises(ParameterError, match="At least 1"):
        found.gain(0)


def test_a_share_stays_within_its_bounds() -> None:
    values = 1 - 0.9 * SIZES[:, None] ** -0.1 + np.linspace(-0.01, 0.01, 5)
    found = project(_curve(values))
    assert found.limit <= 1 and found.high.max() <= 1


@pytest.mark.parametrize(
    ("values", "what"),
    [
        (_law(SIZES, 0.8, 0, 1), "no trend to continue"),
        (_law(SIZES, 0.8, -0.5, 0.5), "no trend to continue"),
        (np.array([0.6, 0.6, 0.6, 0.6, 0.6, 0.9]), "do not follow a power law"),
        (np.array([0.6, 0.9, 0.6, 0.9, 0.6, 0.9]), "do not follow a power law"),
        (_law(SIZES, 0.9, 1, 0.5)[:3], "at least 4 sizes"),
    ],
    ids=["flat", "falling", "jump", "zigzag", "few"],
)
def test_curves_that_no_law_describes_are_not_continued(
    values: npt.NDArray[np.float64], what: str
) -> None:
    noise = np.random.default_rng(0).normal(0, 0.004, (len(values), 5))
    with pytest.raises(NotApplicable, match=what):
        project(_curve(values[:, None] + noise))


def test_too_few_folds_or_too_narrow() -> None:
    with pytest.raises(NotApplicable, match="in 2"):
        project(_curve(_noisy(0).validation[:, :2]))
    curve = _noisy(0)
    narrow = SizeCurve(**{**vars(curve), "sizes": np.array([100, 110, 120, 130, 140, 150])})
    with pytest.raises(NotApplicable, match="4 times the smallest"):
        project(narrow)


def test_it_is_drawn_beyond_the_last_size_only() -> None:
    curve = _noisy(1)
    found = project(curve)
    figure = plot_size_curves(curve, projection={"net": found})
    (line,) = [trace for trace in figure.data if "projected" in str(trace.name)]
    assert line.x.min() == 5_000 and line.x.max() == 20_000 and line.line.dash == "dash"
    assert "power law" in figure.layout.meta["caption"]
