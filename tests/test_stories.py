"""The books' stories: what ships as logs, and what models of the samples say when fitted anew."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_digits
from sklearn.model_selection import RepeatedKFold

from dashboard.contracts import Finding, Run
from dashboard.diagnostics.epoch_findings import find_in_epochs
from dashboard.diagnostics.layer_histograms import compute_layer_curves, find_in_layers
from dashboard.diagnostics.size_tables import read_size_table
from dashboard.diagnostics.verdicts import judge, judge_size_curves
from dashboard.evaluation import as_evalset
from dashboard.learning import Fold, Folds, SizeOptions, learning, size_curve_in_stages
from dashboard.logs import read_runs
from dashboard.models import load_native
from dashboard.samples import read_sample
from sample_models.event_logs import event_log
from sample_models.growing import NAME, SIZES, TABLE
from sample_models.stories import ARCHIVE, STORIES, Story, log_of, train_story

SMALL, REFERENCE, LARGE, RATE, DROPOUT, UNSCALED = (one.name for one in STORIES)


@pytest.fixture(scope="module")
def runs() -> dict[str, Run]:
    path = read_sample("digits").path(ARCHIVE)
    return {one.name: one for one in read_runs({path.name: path})}


def findings_of(run: Run) -> dict[str, Finding]:
    """By code, those inside the network among them."""
    inside = find_in_layers(compute_layer_curves(run)) if run.histograms else []
    return {one.code: one for one in [*find_in_epochs(run), *inside]}


@pytest.fixture(scope="module")
def found(runs: dict[str, Run]) -> dict[str, dict[str, Finding]]:
    """Findings by run and code."""
    return {name: findings_of(run) for name, run in runs.items()}


def verdicts(found: dict[str, dict[str, Finding]]) -> dict[str, Finding]:
    everything = [one for told in found.values() for one in told.values()]
    return {one.subject: one for one in judge(everything)}


def test_all_stories_ship_and_are_small(runs: dict[str, Run]) -> None:
    sample = read_sample("digits")
    assert ARCHIVE in sample.histories
    assert set(runs) == {one.name for one in STORIES}
    assert sample.path(ARCHIVE).stat().st_size < 50_000
    for one in STORIES:
        loss = runs[one.name].get("loss", "validation")
        assert loss is not None and len(loss.values) == one.epochs and loss.unit == "epoch"
    assert not any(run.notes for run in runs.values())


def test_a_large_network_overfits_from_the_first_epochs(
    found: dict[str, dict[str, Finding]],
) -> None:
    """Chollet, Deep Learning with Python: small, reference and large on the same rows."""
    large, usual = found[LARGE]["overfitting"], found[REFERENCE]["overfitting"]
    assert large.evidence["from_first_epochs"] == 1 and usual.evidence["from_first_epochs"] == 0
    assert large.remedies[0] == "a smaller model"
    assert usual.remedies[0].startswith("stop at the best epoch")
    assert float(large.evidence["best_step"]) < float(usual.evidence["best_step"])
    assert float(large.evidence["change"]) > 2 * float(usual.evidence["change"])
    assert "overfitting" not in found[SMALL]
    by_run = verdicts(found)
    assert {name: by_run[name].code for name in (SMALL, REFERENCE, LARGE)} == {
        SMALL: "not_converged",
        REFERENCE: "overfitting",
        LARGE: "overfitting",
    }


def test_a_rate_that_is_too_high(found: dict[str, dict[str, Finding]]) -> None:
    assert set(found[RATE]) == {"rate_too_high"}
    assert verdicts(found)[RATE].remedies[0] == "divide the learning rate by 10"


def test_dropout_makes_the_logged_loss_too_high(
    runs: dict[str, Run], found: dict[str, dict[str, Finding]]
) -> None:
    told = found[DROPOUT]["validation_better"]
    assert told.severity == "info" and "dropout" in told.sentence
    assert not {"overfitting", "memorised"} & set(found[DROPOUT])
    train, held = (runs[DROPOUT].get("loss", part) for part in ("train", "validation"))
    assert train is not None and held is not None and train.values[-1] > held.values[-1]


def test_inputs_times_255_are_found_in_the_first_layer(
    found: dict[str, dict[str, Finding]],
) -> None:
    """Klaas, Machine Learning for Finance: the loss settles, the histograms say why."""
    told = found[UNSCALED]
    assert "converged" in told  # by epoch alone nothing is wrong
    for code in ("vanishing_gradients", "saturated_units"):
        assert told[code].subject == f"{UNSCALED}: hidden_1"
        assert any("Scale the inputs" in step for step in told[code].remedies)
    assert float(told["saturated_units"].evidence["share"]) > 0.99
    one = verdicts(found)[UNSCALED]
    assert (one.code, one.severity) == ("vanishing_gradients", "problem")
    assert one.evidence["layer"] == "hidden_1" and one.evidence["disagrees"] == "converged"


def test_a_layer_that_is_not_flat_is_not_saturated() -> None:
    rng = np.random.default_rng(0)
    kinds = {
        "tanh": np.tanh(rng.normal(size=4_000)),
        "softmax": np.r_[np.zeros(3_600), np.ones(400)],
        "wide": np.r_[np.full(2_000, -5.0), np.full(2_000, 5.0)],
        "flat": np.r_[np.full(2_000, -1.0), np.full(1_999, 1.0), 0.2],
    }
    arrays = {0: {f"{name}/activation/histogram": values for name, values in kinds.items()}}
    run = read_runs({"events.out.tfevents.1": event_log({"loss": [1.0]}, arrays)})[0]
    told = [one for one in find_in_layers(compute_layer_curves(run)) if "saturated" in one.code]
    assert [one.subject.partition(": ")[2] for one in told] == ["flat"]


def test_the_unpruned_tree_has_learned_its_rows_by_heart() -> None:
    """The sample's own trees, fitted anew on folds."""
    from sklearn.linear_model import LinearRegression
    from sklearn.tree import DecisionTreeRegressor

    X, y = load_diabetes(return_X_y=True, as_frame=True)
    models = {
        "tree": DecisionTreeRegressor(random_state=5).fit(X, y),
        "linear": LinearRegression().fit(X, y),
    }
    options = SizeOptions(metric="rmse", sizes=(0.5, 1.0), n_splits=4, n_repeats=3, lanes=1)
    result = learning(X, y, models=models, options=options)
    told = {one.subject: one for one in judge(judge_size_curves(list(result.curves)))}
    assert told["tree"].code == "memorised" and told["tree"].evidence["train"] == 0
    assert told["linear"].code in ("about_right", "undecided")
    assert list(told) == ["tree", "linear"]


def test_polynomials_have_the_ratios_of_the_reference() -> None:
    """1.03 against 1.17 in repeated cross-validation, where one split has 1.27 against 1.36."""
    sample = read_sample("parabola")
    frame = pd.read_csv(sample.path(sample.data))
    rows = as_evalset(frame[["x"]], frame["y"], None)
    drawn = RepeatedKFold(n_splits=5, n_repeats=20, random_state=0).split(frame)
    pairs = [Fold(*pair, at // 5, at % 5) for at, pair in enumerate(drawn)]
    folds = Folds(tuple(pairs), "given", 5, 20, 0, "As given.", np.arange(100), 100)
    ratio, curves = {}, []
    for degree in (2, 10):
        model = load_native(sample.path(f"degree_{degree}.skops"), f"degree_{degree}.skops")
        options = SizeOptions(metric="rmse", sizes=(1.0,))
        *_, curve = size_curve_in_stages(model, rows, str(degree), options, folds=folds)
        ratio[degree] = curve.validation.mean() / curve.train.mean()
        curves.append(curve)
    assert ratio == pytest.approx({2: 1.03, 10: 1.17}, abs=0.005)
    assert [one.code for one in judge_size_curves(curves)] == ["about_right", "overfitting"]


@pytest.mark.parametrize(
    ("n_repeats", "codes"),
    [
        (1, {"Parabola": "undecided", "Polynomial of degree 10": "undecided"}),
        (
            5,
            {
                "Line": "underfitting",
                "Parabola": "about_right",
                "Polynomial of degree 10": "overfitting",
            },
        ),
    ],
)
def test_repeated_folds_tell_the_polynomials_of_the_sample_apart(
    n_repeats: int, codes: dict[str, str]
) -> None:
    """As the page on learning divides the rows: the test part is in no fold."""
    sample = read_sample("parabola")
    frame = pd.read_csv(sample.path(sample.data))
    models = {one.name: load_native(sample.path(one.file), one.file) for one in sample.models}
    options = SizeOptions(metric="rmse", sizes=(1.0,), n_repeats=n_repeats)
    result = learning(frame, target="y", models=models, options=options, split_value="all rows")
    told = {one.subject: one.code for one in judge(judge_size_curves(list(result.curves)))}
    assert codes.items() <= told.items()


def test_the_table_of_sizes_has_the_scores_of_the_book() -> None:
    """.857, .932, .952, .963 and .965, of other rows and of another library."""
    sample = read_sample("digits")
    assert sample.size_tables == (TABLE,)
    (curve,) = read_size_table(pd.read_csv(sample.path(TABLE)))
    assert curve.model == NAME in {one.name for one in sample.models}
    assert tuple(curve.sizes) == SIZES and curve.validation.shape == (5, 5)
    scores = curve.validation.mean(axis=1)
    assert scores == pytest.approx([0.857, 0.932, 0.952, 0.963, 0.965], abs=0.012)
    assert [one.code for one in judge_size_curves([curve])] == ["overfitting"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_network_on_the_digits_by_training_size() -> None:
    """64-16-10 at five sizes; the book: .857, .932, .952, .963, .965."""
    X, y = load_digits(return_X_y=True)
    net = load_native(read_sample("digits").path("hidden_16.skops"), "hidden_16.skops")
    options = SizeOptions(metric="accuracy", sizes=SIZES, n_splits=4, n_repeats=1, lanes=2)
    (curve,) = learning(X, y, models={"net": net}, options=options).curves
    scores = curve.validation.mean(axis=1)
    assert (np.diff(scores) > -0.003).all() and scores[1] - scores[0] > 0.02
    assert scores == pytest.approx([0.857, 0.932, 0.952, 0.963, 0.965], abs=0.04)
    codes = [one.code for one in judge_size_curves([curve])]
    assert "more_data_flat" not in codes  # though the last doubling may bring less than folds tell


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("story", STORIES, ids=[one.name for one in STORIES])
def test_a_story_trained_again_tells_the_same(
    story: Story, runs: dict[str, Run], found: dict[str, dict[str, Finding]]
) -> None:
    """The numbers within what processors differ by, the findings and the verdict to the letter."""
    bunch = load_digits()
    history, arrays, measured = train_story(story, bunch.images, bunch.target)
    (run,) = read_runs(log_of(story, history, arrays))
    told = findings_of(replace(run, name=story.name))
    assert {code: one.subject for code, one in told.items()} == {
        code: one.subject for code, one in found[story.name].items()
    }
    (verdict,) = judge(list(told.values()))
    shipped_verdict = verdicts(found)[story.name]
    assert (verdict.code, verdict.severity, verdict.remedies) == (
        shipped_verdict.code,
        shipped_verdict.severity,
        shipped_verdict.remedies,
    )
    if story.name != RATE:  # whose losses jump about: a last digit becomes another path
        for part, logged in (("train", "loss"), ("validation", "val_loss")):
            shipped: Any = runs[story.name].get("loss", part)
            assert shipped.values == pytest.approx(history[logged], rel=0.02, abs=0.01)
    if story.name == DROPOUT:
        assert history["loss"][-1] > 2 * measured
    assert bool(arrays) == (story.name == UNSCALED)


def test_the_archive_is_laid_out_as_its_writers_do() -> None:
    with zipfile.ZipFile(read_sample("digits").path(ARCHIVE)) as archive:
        names = archive.namelist()
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        frame = pd.read_csv(io.BytesIO(archive.read(f"{LARGE}.csv")))
    assert list(frame) == ["epoch", "accuracy", "loss", "val_accuracy", "val_loss"]
    assert sum(name.startswith(f"{UNSCALED}/") for name in names) == 2
