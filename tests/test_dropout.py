"""MC dropout against the variance that dropout has by its definition, and what it leaves alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from dashboard.contracts import DropoutSpread, NetworkSummary, Task
from dashboard.data import EvalSet, evalset_from_frame
from dashboard.diagnostics.network_findings import find_in_network
from dashboard.frames import Frame, FrameError
from dashboard.learning.networks import network_summary
from dashboard.models import adapt
from dashboard.refitting.dropout import MOST_ROWS, PASSES
from dashboard.refitting.network_summaries import read_summary

WEIGHTS = np.array([[2.0], [-1.0], [0.5], [3.0]], dtype=np.float32)


def _rows(task: str) -> EvalSet:
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(300, 4)), columns=list("abcd"))
    if task == "regression":
        return evalset_from_frame(X.assign(y=X["a"] * 2.5), target="y", task="regression")
    return evalset_from_frame(X.assign(y=(X["a"] > 0).astype(int)), target="y", pos_label=1)


def _network(activation: str | None, rate: float = 0.25, *more: Any) -> Any:
    import keras

    layers = [keras.Input((4,)), *more, keras.layers.Dropout(rate)]
    made = keras.Sequential([*layers, keras.layers.Dense(1, activation, name="last")])
    made.get_layer("last").set_weights([WEIGHTS, np.zeros(1, dtype=np.float32)])
    return made


def _spread(network: Any, task: str) -> DropoutSpread:
    found = network_summary(adapt(network, "net"), _rows(task), "Net").dropout
    assert found is not None
    return found


def test_the_spread_is_that_of_dropout_and_the_network_stays_as_it_was() -> None:
    import keras

    network = _network(None, 0.25, keras.layers.BatchNormalization(name="norm"))
    before = [np.asarray(one).copy() for one in network.variables]
    summary = network_summary(adapt(network, "net"), _rows("regression"), "Net")
    found = summary.dropout
    assert found is not None
    assert (found.n_passes, found.n_rows) == (PASSES, MOST_ROWS) and found.changed is None
    # inverted dropout of rate p keeps the mean; the variance is p / (1 - p) sum (w x)^2. Fresh
    # batch normalisation divides by sqrt(1 + epsilon): its running means, not the batch's
    X = _rows("regression").X.to_numpy() / np.sqrt(1.001)
    expected = np.sqrt(0.25 / 0.75 * np.square(X * WEIGHTS[:, 0]).sum(axis=1))
    assert found.mean_sd == pytest.approx(expected.mean(), rel=0.05)
    assert found.answers_sd == pytest.approx((X @ WEIGHTS)[:, 0].std(), rel=0.1)
    for one, value in zip(network.variables, before, strict=True):
        np.testing.assert_array_equal(np.asarray(one), value)
    assert network.get_layer("norm").trainable
    assert _spread(network, "regression") == found  # seeded
    (said,) = [one for one in find_in_network(summary) if one.code == "dropout_spread"]
    assert "varies by" in said.sentence and "it is no interval" in said.sentence


def test_rows_that_change_their_class_are_counted() -> None:
    calm, wild = (
        _spread(_network("sigmoid", 0.01), "binary"),
        _spread(_network("sigmoid"), "binary"),
    )
    assert calm.changed is not None and wild.changed is not None
    assert calm.changed < wild.changed < 1 and calm.mean_sd < wild.mean_sd
    # a row changes if a mask turns its sign: each of the 16 masks is drawn with a known chance
    X = _rows("binary").X.to_numpy()
    masks = np.array(np.meshgrid(*[[0, 1]] * 4)).reshape(4, -1).T
    chance = np.prod(np.where(masks == 1, 0.75, 0.25), axis=1)
    signs = (X[:, None, :] * masks * WEIGHTS[:, 0]).sum(axis=2) >= 0
    turned = ((signs != (X @ WEIGHTS >= 0)) * chance).sum(axis=1)
    assert wild.changed == pytest.approx((1 - (1 - turned) ** PASSES).mean(), abs=0.06)
    assert wild.n_sure is not None and wild.n_shaky is not None
    assert 0 <= wild.n_shaky <= wild.n_sure <= MOST_ROWS
    summary = network_summary(adapt(_network("sigmoid"), "net"), _rows("binary"), "Net")
    found = {one.code: one for one in find_in_network(summary, Task.BINARY)}
    assert found["dropout_spread"].evidence["changed"] == wild.changed


def test_networks_without_it_and_with_other_noise_have_none() -> None:
    import keras

    noisy = _network("sigmoid", 0.25, keras.layers.GaussianNoise(0.1))
    summary = network_summary(adapt(noisy, "net"), _rows("binary"), "Net")
    assert summary.dropout is None and any("GaussianNoise would be" in one for one in summary.notes)
    plain = network_summary(adapt(_network("sigmoid", 0.0), "net"), _rows("binary"), "Net")
    assert plain.dropout is None and plain.notes == ()


def test_what_a_worker_says_of_it_is_checked() -> None:
    told = {"model": "n", "layers": [], "n_parameters": 1, "n_trainable": 1, "n_rows": 1}
    told |= {"n_given": 1, "losses": [], "optimizer": "", "measured_loss": "", "notes": []}
    good = {"n_passes": 20, "n_rows": 5, "mean_sd": 0.1, "largest_sd": 0.2, "changed": 0.5}
    read = read_summary(Frame({**told, "dropout": good}))
    assert isinstance(read, NetworkSummary)
    assert read.dropout == DropoutSpread(20, 5, 0.1, 0.2, changed=0.5)
    for wrong in (
        "x",
        {**good, "n_passes": -1},
        {**good, "mean_sd": None},
        {**good, "n_sure": 1.5},
    ):
        with pytest.raises(FrameError):
            read_summary(Frame({**told, "dropout": wrong}))
