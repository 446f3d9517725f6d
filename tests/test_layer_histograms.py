"""Histograms of a network over its steps: moments and quantiles by hand, layers named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dashboard.contracts import Histograms, Run
from dashboard.diagnostics.layer_histograms import compute_layer_curves, find_in_layers
from dashboard.errors import NotApplicable
from dashboard.figures import plot_layer_heatmap, plot_layer_norms, plot_ridges


def _histograms(layer: str, kind: str, spreads: Any, zeros: float = 0.0) -> Histograms:
    rng, edges, counts = np.random.default_rng(0), [], []
    for spread in spreads:
        values = rng.normal(0.5, spread, 2_000)
        values[: int(2_000 * zeros)] = 0
        found, at = np.histogram(values, 40)
        edges.append(at)
        counts.append(found)
    return Histograms(
        layer, kind, np.arange(len(edges)), np.array(edges), np.array(counts, dtype=float)
    )


def _run(*histograms: Histograms) -> Run:
    return Run("run", "TensorBoard", (), histograms)


def test_moments_and_quantiles_of_a_histogram_written_by_hand() -> None:
    edges = np.array([[-1.0, 1.0, 3.0, 5.0]])
    given = Histograms("dense", "weight", np.array([7]), edges, np.array([[1.0, 2.0, 1.0]]))
    (found,) = compute_layer_curves(_run(given))
    assert found.mean[0] == pytest.approx(2)  # (0 + 2 + 2 + 4) / 4
    assert found.sd[0] == pytest.approx(np.sqrt(2))
    assert found.norm[0] == pytest.approx(np.sqrt(24))
    assert found.near_zero[0] == pytest.approx(0.25)
    # a quarter lies below 1, three quarters below 3; linear between
    assert found.quantiles[0] == pytest.approx([-0.6, 1, 2, 3, 4.6])
    assert found.frame().loc[0, "q50"] == pytest.approx(2)


def test_of_steps_out_of_order_or_logged_twice_the_last_counts() -> None:
    edges = np.array([[0.0, 1.0]] * 3)
    given = Histograms("a", "bias", np.array([5, 2, 5]), edges, np.array([[1.0], [2.0], [3.0]]))
    (found,) = compute_layer_curves(_run(given))
    assert found.steps.tolist() == [2, 5]
    assert found.count.tolist() == [2, 3]


def test_against_the_numbers_themselves() -> None:
    (found,) = compute_layer_curves(_run(_histograms("a", "weight", [0.3])))
    values = np.random.default_rng(0).normal(0.5, 0.3, 2_000)
    assert found.mean[0] == pytest.approx(values.mean(), abs=0.005)
    assert found.sd[0] == pytest.approx(values.std(), rel=0.02)
    assert found.norm[0] == pytest.approx(np.linalg.norm(values), rel=0.01)
    exact = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])
    assert found.quantiles[0] == pytest.approx(exact, abs=0.02)


def test_vanishing_dead_exploding_and_still_layers_are_named() -> None:
    steps = np.ones(5)
    curves = compute_layer_curves(
        _run(
            _histograms("first", "gradient", 1e-6 * steps),
            _histograms("last", "gradient", 0.1 * steps),
            _histograms("wild", "gradient", [0.1, 1, 10, 100, 1_000]),
            _histograms("hidden", "activation", steps, zeros=0.95),
            _histograms("moving", "weight", np.linspace(0.1, 0.5, 5)),
        )
    )
    rng_same = _histograms("frozen", "weight", [0.2])
    frozen = Histograms(
        "frozen",
        "weight",
        np.arange(5),
        np.repeat(rng_same.edges, 5, axis=0),
        np.repeat(rng_same.counts, 5, axis=0),
    )
    found = find_in_layers([*curves, *compute_layer_curves(_run(frozen))])
    named = {(one.code, one.subject) for one in found}
    assert ("vanishing_gradients", "run: first") in named
    assert ("exploding_gradients", "run: wild") in named
    assert ("dead_units", "run: hidden") in named
    assert ("not_moving", "run: frozen") in named
    assert not any(layer in subject for _, subject in named for layer in ("moving", "last"))
    assert all(one.remedies and one.evidence for one in found)


def test_healthy_layers_give_no_finding() -> None:
    steps = np.linspace(0.1, 0.2, 5)
    curves = compute_layer_curves(
        _run(
            *(_histograms(layer, kind, steps) for layer in "ab" for kind in ("gradient", "weight")),
            _histograms("a", "activation", steps, zeros=0.5),
        )
    )
    assert find_in_layers(curves) == []


def test_without_histograms_it_says_how_to_log_them() -> None:
    with pytest.raises(NotApplicable, match="histogram_freq"):
        compute_layer_curves(Run("run", "Keras CSVLogger"))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_figures_show_what_was_computed(theme: Any) -> None:
    curves = compute_layer_curves(
        _run(*(_histograms(f"layer {k}", "weight", np.linspace(0.1, 0.4, 300)) for k in range(15)))
    )
    ridges = plot_ridges(curves[0], theme=theme)
    assert "24 of 300 steps" in ridges.layout.title.text.replace("<br>", " ")
    assert sum(len(trace.x) for trace in ridges.data) < 5_000
    heat = plot_layer_heatmap(curves[0], theme=theme)
    assert heat.data[2].y[-1] == pytest.approx(curves[0].quantiles[-1, 2], rel=1e-6)
    norms = plot_layer_norms(curves, theme=theme)
    assert "first 12 of 15 layers" in norms.layout.title.text.replace("<br>", " ")
    assert norms.data[3].y[-1] == pytest.approx(curves[3].norm[-1], rel=1e-6)


def test_a_layer_whose_numbers_are_all_the_same_is_drawn() -> None:
    edges = np.array([[0.0, 0.0 + 1e-12]])
    given = Histograms("a", "bias", np.array([0]), edges, np.array([[5.0]]))
    (found,) = compute_layer_curves(_run(given))
    assert plot_ridges(found).data and plot_layer_heatmap(found).data
