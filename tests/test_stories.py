"""The books' stories: what ships as logs, and what models of the samples say when fitted anew."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_digits

from dashboard.contracts import Finding, Run
from dashboard.diagnostics.epoch_findings import find_in_epochs
from dashboard.diagnostics.layer_histograms import compute_layer_curves, find_in_layers
from dashboard.diagnostics.verdicts import judge, judge_size_curves
from dashboard.learning import SizeOptions, learning
from dashboard.logs import read_runs
from dashboard.samples import read_sample
from sample_models.event_logs import event_log
from sample_models.stories import ARCHIVE, STORIES, train_story

SMALL, REFERENCE, LARGE, RATE, DROPOUT, UNSCALED = (one.name for one in STORIES)


@pytest.fixture(scope="module")
def runs() -> dict[str, Run]:
    path = read_sample("digits").path(ARCHIVE)
    return {one.name: one for one in read_runs({path.name: path})}


@pytest.fixture(scope="module")
def found(runs: dict[str, Run]) -> dict[str, dict[str, Finding]]:
    """Findings by run and code, those inside the network among them."""
    told = {}
    for name, run in runs.items():
        inside = find_in_layers(compute_layer_curves(run)) if run.histograms else []
        told[name] = {one.code: one for one in [*find_in_epochs(run), *inside]}
    return told


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


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_network_on_the_digits_by_training_size() -> None:
    """64-16-10 at five sizes; the book: .857, .932, .952, .963, .965."""
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler

    X, y = load_digits(return_X_y=True, as_frame=True)
    net = make_pipeline(
        MinMaxScaler((0, 1)),
        MLPClassifier(
            (16,), alpha=0.0, batch_size=32, learning_rate_init=0.01, max_iter=60, random_state=0
        ),
    ).fit(X[:100], y[:100])
    sizes = (125.0, 409.0, 691.0, 974.0, 1255.0)  # as many as the book's share of 1,257
    options = SizeOptions(metric="accuracy", sizes=sizes, n_splits=4, n_repeats=1, lanes=2)
    (curve,) = learning(X, y, models={"net": net}, options=options).curves
    scores = curve.validation.mean(axis=1)
    assert (np.diff(scores) > -0.003).all() and scores[1] - scores[0] > 0.02
    assert scores == pytest.approx([0.857, 0.932, 0.952, 0.963, 0.965], abs=0.04)
    codes = [one.code for one in judge_size_curves([curve])]
    assert "more_data_flat" not in codes  # though the last doubling may bring less than folds tell


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [SMALL, DROPOUT, UNSCALED])
def test_a_story_trained_again_tells_the_same(name: str, runs: dict[str, Run]) -> None:
    bunch = load_digits()
    story = next(one for one in STORIES if one.name == name)
    history, arrays, measured = train_story(story, bunch.images, bunch.target)
    for metric, part in (("loss", "train"), ("loss", "validation")):
        shipped: Any = runs[name].get(metric, part)
        again = history[metric if part == "train" else f"val_{metric}"]
        assert shipped.values == pytest.approx(again, rel=0.02, abs=0.01)
    if name == DROPOUT:
        assert history["loss"][-1] > 2 * measured
    assert bool(arrays) == (name == UNSCALED)


def test_the_archive_is_laid_out_as_its_writers_do() -> None:
    with zipfile.ZipFile(read_sample("digits").path(ARCHIVE)) as archive:
        names = archive.namelist()
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        frame = pd.read_csv(io.BytesIO(archive.read(f"{LARGE}.csv")))
    assert list(frame) == ["epoch", "accuracy", "loss", "val_accuracy", "val_loss"]
    assert sum(name.startswith(f"{UNSCALED}/") for name in names) == 2
