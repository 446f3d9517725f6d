"""A model of every row of the table of formats, uploaded in the browser and compared there.

The score on the page must be the one that the native library gives for the same rows.
"""

from __future__ import annotations

import io
import pickle
import re
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
from playwright.sync_api import expect
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.browser import Server, wait_until_idle

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


class Wine:
    """Data, files of every format, and what each model says by its own library."""

    def __init__(self, folder: Path) -> None:
        bunch = load_wine(as_frame=True)
        self.folder = folder
        # Two columns that overlap: scores that tell models apart.
        self.X = bunch.data[["alcohol", "malic_acid", "ash", "magnesium"]].astype("float32")
        self.y = (bunch.target == 0).astype(int).to_numpy()
        self.table = folder / "wine.csv"
        self.X.assign(choice=self.y).to_csv(self.table, index=False)
        self.X = pd.read_csv(self.table).drop(columns="choice")
        self.expected: dict[str, float] = {}
        self.train = (self.X[::2], self.y[::2])

    def add(self, name: str, content: bytes, score: Any) -> None:
        (self.folder / name).write_bytes(content)
        self.expected[name] = roc_auc_score(self.y, np.asarray(score, dtype=np.float64).ravel())

    def path(self, name: str) -> Path:
        return self.folder / name


def _zipped(folder: Path) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder))
    return packed.getvalue()


def _estimators(wine: Wine) -> None:
    linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.01)).fit(*wine.train)
    forest = RandomForestClassifier(10, max_depth=2, random_state=3).fit(*wine.train)
    chance, other = linear.predict_proba(wine.X)[:, 1], forest.predict_proba(wine.X)[:, 1]
    wine.add("pipeline.skops", skops.io.dumps(linear), chance)
    wine.add("pickled.pkl", pickle.dumps(forest), other)
    packed = io.BytesIO()
    joblib.dump(forest, packed, compress=("gzip", 3))
    wine.add("packed.joblib", packed.getvalue(), other)
    wine.add("notebook.pickle", cloudpickle.dumps(linear), chance)
    folder = wine.folder / "mlflow"
    folder.mkdir()
    (folder / "model.pkl").write_bytes(cloudpickle.dumps(forest))
    (folder / "MLmodel").write_text(
        "flavors:\n"
        "  python_function:\n    loader_module: mlflow.sklearn\n    model_path: model.pkl\n"
        "  sklearn:\n    pickled_model: model.pkl\n    serialization_format: cloudpickle\n"
        "    sklearn_version: 1.9.1\n"
    )
    wine.add("mlflow.zip", _zipped(folder), other)


def _boosters(wine: Wine) -> None:
    import catboost
    import lightgbm
    import xgboost

    X, y = wine.train
    boosted = xgboost.XGBClassifier(n_estimators=5, max_depth=2).fit(X, y)
    score = boosted.predict_proba(wine.X)[:, 1]
    wine.add("xgb.json", bytes(boosted.get_booster().save_raw("json")), score)
    wine.add("xgb-binary.ubj", bytes(boosted.get_booster().save_raw("ubj")), score)
    light = lightgbm.LGBMClassifier(n_estimators=5, num_leaves=4, min_child_samples=5, verbose=-1)
    light.fit(X, y)
    text = light.booster_.model_to_string().encode()
    wine.add("light.txt", text, light.predict_proba(wine.X)[:, 1])
    cat = catboost.CatBoostClassifier(
        iterations=5, depth=2, verbose=False, allow_writing_files=False, random_seed=0
    ).fit(X, y)
    for name, kind in (("cat.cbm", "cbm"), ("cat-text.json", "json")):
        cat.save_model(str(wine.path(name)), format=kind)
        wine.add(name, wine.path(name).read_bytes(), cat.predict_proba(wine.X)[:, 1])


def _networks(wine: Wine) -> None:
    import keras

    keras.utils.set_random_seed(1)
    network = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Rescaling([0.1, 0.2, 0.5, 0.01]),
            keras.layers.Dense(3, activation="tanh"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    score = network.predict(wine.X.to_numpy("float32"), verbose=0)
    for name in ("network.keras", "network.h5"):
        network.save(wine.path(name))
        wine.add(name, wine.path(name).read_bytes(), score)
    parts = wine.folder / "parts"
    parts.mkdir()
    (parts / "architecture.json").write_text(network.to_json())
    network.save_weights(parts / "network.weights.h5")
    wine.add("parts.zip", _zipped(parts), score)
    network.export(wine.folder / "saved", verbose=False)
    wine.add("savedmodel.zip", _zipped(wine.folder / "saved"), score)
    network.export(wine.path("network.onnx"), format="onnx", verbose=False)
    wine.add("network.onnx", wine.path("network.onnx").read_bytes(), score)


def _converted(wine: Wine) -> None:
    from skl2onnx import to_onnx

    linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.1)).fit(*wine.train)
    graph = to_onnx(linear, wine.X[:1].to_numpy("float32"))
    wine.add("linear.onnx", graph.SerializeToString(), linear.predict_proba(wine.X)[:, 1])


@pytest.fixture(scope="module")
def wine(tmp_path_factory: pytest.TempPathFactory) -> Wine:
    made = Wine(tmp_path_factory.mktemp("formats"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries that write the files
        for make in (_estimators, _boosters, _networks, _converted):
            make(made)
    return made


def _upload(page: Any, server: Server, wine: Wine, names: list[str]) -> None:
    page.goto(server.url)
    expect(page.get_by_test_id("stHeading").first).to_be_visible(timeout=60_000)
    wait_until_idle(page)
    uploads = page.get_by_test_id("stFileUploaderDropzoneInput")
    uploads.nth(0).set_input_files(wine.table)
    expect(page.get_by_text("All 178 rows").first).to_be_visible(timeout=60_000)
    uploads.nth(1).set_input_files([wine.path(name) for name in names])


def _consent(page: Any, n: int) -> None:
    """Open every file that carries code, when all of them have been looked into."""
    ask = page.get_by_role("button", name="Open it in the confined worker")
    expect(ask).to_have_count(n, timeout=120_000)
    for left in range(n, 0, -1):
        ask.first.click()
        expect(ask).to_have_count(left - 1, timeout=60_000)


def _scores(page: Any) -> Iterator[tuple[str, float]]:
    table = page.locator("table.sl-scores")
    heads = [head.strip().lower() for head in table.locator("thead th").all_inner_texts()]
    at = next(i for i, head in enumerate(heads) if head.startswith("roc auc"))
    for row in table.locator("tbody tr").all():
        cells = row.locator("th, td").all_inner_texts()
        found = re.search(r"\d*\.?\d+", cells[at])
        assert found, cells
        yield cells[0].strip(), float(found.group())


GROUPS: dict[str, tuple[list[str], int]] = {
    "estimators": (
        ["pipeline.skops", "pickled.pkl", "packed.joblib", "notebook.pickle", "mlflow.zip"],
        4,
    ),
    "boosters": (
        ["xgb.json", "xgb-binary.ubj", "light.txt", "cat.cbm", "cat-text.json", "linear.onnx"],
        0,
    ),
    "networks": (
        ["network.keras", "network.h5", "parts.zip", "savedmodel.zip", "network.onnx"],
        1,
    ),
}


@pytest.mark.parametrize("group", GROUPS)
def test_every_format_is_uploaded_and_scores_as_its_library_says(
    page: Any, server: Server, wine: Wine, screenshots: Path, group: str
) -> None:
    names, carrying_code = GROUPS[group]
    _upload(page, server, wine, names)
    _consent(page, carrying_code)
    sidebar = page.get_by_test_id("stSidebar")
    for name in names:
        stem = name.rsplit(".", 1)[0]
        expect(
            sidebar.get_by_text(re.compile(rf"^{re.escape(stem)}( \(2\))?$")).first
        ).to_be_visible(timeout=180_000)
    page.get_by_test_id("stSidebarNavLink").filter(has_text="Performance").click()
    table = page.locator("table.sl-scores")
    expect(table.locator("tbody tr")).to_have_count(len(names) + 1, timeout=180_000)
    wait_until_idle(page, 120)
    shown = dict(_scores(page))
    for name in names:
        stem = name.rsplit(".", 1)[0]
        found = next(value for model, value in shown.items() if model.startswith(stem))
        assert found == pytest.approx(wine.expected[name], abs=6e-4), (name, shown)
    assert page.get_by_test_id("stException").count() == 0
    page.screenshot(path=screenshots / f"formats-{group}.png", full_page=True)
