"""Training runs for tests: the histories of the samples, and curves drawn from known shapes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dashboard.contracts import Run, Series

SAMPLES = Path(__file__).resolve().parent.parent / "sample_models"


def sample_run(name: str) -> Run:
    """What Keras logged while the sample's network was fitted."""
    table = pd.read_csv(SAMPLES / name / "network_history.csv")
    steps = table["epoch"].to_numpy()
    series = tuple(
        Series(
            column.removeprefix("val_"),
            "validation" if column.startswith("val_") else "train",
            steps,
            table[column].to_numpy(),
            "epoch",
        )
        for column in table.columns[1:]
    )
    return Run(name, "Keras CSVLogger", series)


def logged(
    train: Any = None,
    validation: Any = None,
    *,
    name: str = "net",
    metric: str = "loss",
    steps: Any = None,
    unit: str = "epoch",
    rates: Any = None,
    config: dict[str, Any] | None = None,
) -> Run:
    """A run of one metric; steps count from 0 unless given."""
    series = []
    for part, values in (("train", train), ("validation", validation)):
        if values is not None:
            given = np.asarray(values, np.float64)
            at = np.arange(len(given)) if steps is None else np.asarray(steps)
            series.append(Series(metric, part, at, given, unit))
    if rates is not None:
        given = np.asarray(rates, np.float64)
        at = np.arange(len(given)) if steps is None else np.asarray(steps)
        series.append(Series("learning_rate", "", at, given, unit))
    return Run(name, "test", tuple(series), config=config or {})


def falling(
    n: int = 60,
    seed: int = 0,
    *,
    level: float = 0.3,
    noise: float = 0.02,
    rise: float = 0.25,
    **more: Any,
) -> Run:
    """Training falls to .1; validation to `level` and rises by `rise` in the last 60 %."""
    rng, at = np.random.default_rng(seed), np.arange(n)
    fall = np.exp(-at / (n / 8))
    train = 0.1 + 1.8 * fall - 0.05 * at / n + 0.4 * noise * rng.normal(size=n)
    validation = level + 1.7 * fall + rise * np.clip(at / n - 0.4, 0, None)
    return logged(train, validation + noise * rng.normal(size=n), **more)
