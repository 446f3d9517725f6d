"""Every page × task × {nothing, predictions only, models}, through the entry file."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.datasets import make_classification, make_multilabel_classification, make_regression
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from streamlit.testing.v1 import AppTest

from components.state import AppState
from dashboard.contracts import Task
from dashboard.models import adapt

ROOT = Path(__file__).resolve().parent.parent
APP = str(ROOT / "dashboard" / "app.py")
PERFORMANCE = str(ROOT / "pages" / "performance.py")
TASKS = ("binary", "multiclass", "multilabel", "regression", "multi-output regression")


def _case(task: str) -> tuple[pd.DataFrame, list[str], object]:
    """A small data set of the task, its target columns and a fitted model."""
    names = ["a", "b", "c", "d"]
    if task == "multilabel":
        X, Y = make_multilabel_classification(120, n_features=4, n_classes=3, random_state=0)
        frame = pd.DataFrame(X, columns=names).assign(red=Y[:, 0], blue=Y[:, 1], green=Y[:, 2])
        return (
            frame,
            ["red", "blue", "green"],
            MultiOutputClassifier(LogisticRegression()).fit(frame[names], Y),
        )
    if "regression" in task:
        n = 2 if task.startswith("multi") else 1
        X, y = make_regression(120, n_features=4, n_targets=n, noise=5, random_state=0)
        frame = pd.DataFrame(X, columns=names)
        y = y.reshape(120, n)
        targets = [f"out{i}" for i in range(n)]
        model = LinearRegression().fit(frame[names], y if n > 1 else y[:, 0])
        return frame.assign(**{t: y[:, i] for i, t in enumerate(targets)}), targets, model
    n = 2 if task == "binary" else 3
    X, y = make_classification(
        120, n_features=4, n_informative=3, n_redundant=0, n_classes=n, random_state=0
    )
    frame = pd.DataFrame(X, columns=names).assign(kind=np.array(["x", "y", "z"])[y])
    return frame, ["kind"], LogisticRegression().fit(frame[names], frame["kind"])


def _predictions(frame: pd.DataFrame, targets: list[str], model: object) -> bytes:
    predicted = pd.DataFrame(model.predict(frame[["a", "b", "c", "d"]]))
    names = ["prediction"] if len(targets) == 1 else targets
    predicted.columns = names
    return predicted.to_csv(index=False).encode()


def _texts(at: AppTest) -> str:
    parts = [*at.markdown, *at.caption, *at.error, *at.info, *at.warning, *at.title, *at.header]
    return "\n".join(str(element.value) for element in parts)


def _sound(at: AppTest) -> AppTest:
    assert not at.exception, [one.value for one in at.exception]
    assert "Traceback" not in _texts(at)
    return at


def _open(task: str, what: str) -> AppTest:
    """The app with the task's data uploaded, and predictions or a model beside it."""
    frame, targets, model = _case(task)
    at = _sound(AppTest.from_file(APP, default_timeout=60).run())
    at.file_uploader(key="upload-data").upload(
        f"{task}.csv", frame.to_csv(index=False).encode(), "text/csv"
    )
    _sound(at.run())
    if len(targets) > 1:
        at.multiselect[0].set_value(targets)
        _sound(at.run())
    files = []
    if what == "predictions only":
        files = [("said.csv", _predictions(frame, targets, model), "text/csv")]
    if what == "models":
        buffer = io.BytesIO()
        buffer.write(skops.io.dumps(model))
        files = [("fitted.skops", buffer.getvalue(), "application/octet-stream")]
    for name, content, mime in files:
        at.file_uploader(key="upload-models").upload(name, content, mime)
    return _sound(at.run())


@pytest.mark.parametrize("what", ["nothing", "predictions only", "models"])
@pytest.mark.parametrize("task", TASKS)
def test_every_page_for_every_task(task: str, what: str) -> None:
    at = _open(task, what)
    assert not at.error, [one.value for one in at.error]
    assert "All 120 rows" in _texts(at)
    _sound(at.switch_page(PERFORMANCE).run())
    assert at.title[0].value == "Where does each model go wrong?"
    if what == "nothing":
        assert "Add model files" in at.info[0].value
    else:
        assert not at.error, [one.value for one in at.error]
        heads = {one.value for one in at.header}
        expected = "Predicted against actual" if "regression" in task else "Confusion matrices"
        assert expected in heads


def test_opens_with_a_sample_and_its_models() -> None:
    at = _sound(AppTest.from_file(APP, default_timeout=120).run())
    assert not at.error
    assert at.query_params["sample"] == "loans"
    assert any("Histogram" in one.label for one in at.button)


def test_a_link_reproduces_the_view() -> None:
    at = AppTest.from_file(APP, default_timeout=120)
    at.query_params["sample"] = "cancer"
    at.query_params["threshold"] = "0.3"
    at.query_params["rule"] = "recall"
    _sound(at.run())
    _sound(at.switch_page(PERFORMANCE).run())
    assert at.slider(key="threshold").value == 0.3
    assert at.query_params["sample"] == "cancer"
    assert at.query_params["threshold"] == "0.3"
    assert at.query_params["rule"] == "recall"


def test_a_link_to_nowhere_says_so_and_opens_the_default() -> None:
    at = AppTest.from_file(APP, default_timeout=120)
    at.query_params["sample"] = "moon"
    _sound(at.run())
    assert "moon" in at.error[0].value and "loans" in at.error[0].value
    _sound(at.switch_page(PERFORMANCE).run())  # the link may lead to any page
    assert "moon" in at.error[0].value
    assert at.query_params["sample"] == "loans"


def test_the_last_model_stays_shown_and_hidden_ones_are_in_the_link() -> None:
    at = AppTest.from_file(APP, default_timeout=120)
    at.query_params["sample"] = "cancer"
    _sound(at.run())
    eyes = [one for one in at.button if str(one.key).startswith("eye-")]
    assert len(eyes) == 3
    for key in [one.key for one in eyes]:
        at.button(key=key).click()
        _sound(at.run())
    assert at.query_params["models"] == "svm.skops"


def test_selections_survive_a_page_change() -> None:
    at = AppTest.from_file(APP, default_timeout=120)
    at.query_params["sample"] = "cancer"
    _sound(at.run())
    _sound(at.switch_page(PERFORMANCE).run())
    at.slider(key="threshold").set_value(0.2)
    _sound(at.run())
    _sound(at.switch_page(str(ROOT / "pages" / "home.py")).run())
    _sound(at.switch_page(PERFORMANCE).run())
    assert at.slider(key="threshold").value == 0.2


BAD = {
    "empty.csv": (b"", "empty"),
    "header.csv": (b"a,b,y\n", "no rows"),
    "one.csv": (b"a\n1\n2\n", "one column"),
    "twice.csv": (b"a,a,y\n1,2,x\n3,4,z\n", "twice"),
    "lost.csv": (b"a,y\n1,\n2,\n", "label"),
    "same.csv": (b"a,y\n1,no\n2,no\n", "one class"),
    "picture.csv": (b"\x89PNG\r\n\x1a\n" + b"\0" * 64, "PNG"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_data_is_one_message_and_nothing_is_lost(name: str) -> None:
    content, word = BAD[name]
    at = AppTest.from_file(APP, default_timeout=120)
    at.query_params["sample"] = "cancer"
    _sound(at.run())
    at.file_uploader(key="upload-data").upload(name, content, "text/csv")
    _sound(at.run())
    assert len(at.error) == 1
    assert name.split(".")[0] in at.error[0].value
    assert word.lower() in at.error[0].value.lower()
    if at.button and any(one.key == "go-back" for one in at.button):
        at.button(key="go-back").click()
        _sound(at.run())
        assert not at.error
    _sound(at.switch_page(PERFORMANCE).run())
    assert {one.value for one in at.header} >= {"Confusion matrices"}


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("old.pkl", b"\x80\x04K\x01.", "skops"),
        ("photo.keras", b"\x89PNG\r\n\x1a\n" + b"\0" * 64, "PNG"),
        ("cut.skops", b"PK\x03\x04" + b"\0" * 40, "cut"),
        ("short.csv", b"prediction\nbenign\n", "569"),
    ],
)
def test_bad_models_leave_the_others_alone(name: str, content: bytes, word: str) -> None:
    at = AppTest.from_file(APP, default_timeout=120)
    at.query_params["sample"] = "cancer"
    _sound(at.run())
    at.file_uploader(key="upload-models").upload(name, content, "application/octet-stream")
    _sound(at.run())
    _sound(at.switch_page(PERFORMANCE).run())
    assert {one.value for one in at.header} >= {"Confusion matrices", "ROC and precision–recall"}


def _cancer() -> AppTest:
    at = AppTest.from_file(APP, default_timeout=120)
    at.query_params["sample"] = "cancer"
    return _sound(at.run())


def _state(at: AppTest) -> AppState:
    state: AppState = at.session_state["sidelight"]
    return state


def test_rename_reorder_reference_remove() -> None:
    at = _cancer()
    first, second, third = (entry.key for entry in _state(at).entries)
    at.text_input(key=f"name-{first}").set_value("Champion")
    _sound(at.run())
    at.text_input(key=f"name-{second}").set_value("Champion")
    _sound(at.run())
    assert [entry.name for entry in _state(at).entries][:2] == ["Champion", "Champion (2)"]
    colour = _state(at).entries[0].style.colour
    at.button(key=f"move1-{first}").click()
    _sound(at.run())
    assert [entry.key for entry in _state(at).entries] == [second, first, third]
    assert _state(at).entries[1].style.colour == colour  # a model keeps its colour
    at.button(key=f"reference-{third}").click()
    _sound(at.run())
    assert at.query_params["reference"] == _state(at).entries[2].file
    assert at.query_params["models"] == ["forest.skops", "logistic.skops", "svm.skops"]
    assert at.query_params["name"] == ["forest.skops=Champion (2)", "logistic.skops=Champion"]
    again = AppTest.from_file(APP, default_timeout=120)
    again.query_params.update({name: at.query_params[name] for name in at.query_params})
    _sound(again.run())
    names = [entry.name for entry in _state(again).entries]
    assert names == ["Champion (2)", "Champion", "Support vector machine"]
    at.button(key=f"remove-{second}").click()
    _sound(at.run())
    assert [entry.key for entry in _state(at).entries] == [first, third]
    _sound(at.switch_page(PERFORMANCE).run())
    table = next(str(one.proto.body) for one in at.get("html") if "sl-scores" in one.proto.body)
    assert "Champion" in table and "★ reference" in table


def test_what_was_understood_is_corrected_in_place_with_undo() -> None:
    at = _cancer()
    positive = next(one for one in at.selectbox if one.label == "Positive class")
    assert positive.value == 1  # benign, malignant
    positive.set_value(0)
    _sound(at.run())
    assert _state(at).evalset.target.pos_label == 0
    at.button(key="undo").click()
    _sound(at.run())
    assert _state(at).evalset.target.pos_label == 1
    next(one for one in at.selectbox if one.label == "Rows evaluated").set_value(0)
    _sound(at.run())
    rows = next(one for one in at.metric if one.label == "Rows evaluated")
    assert rows.value == "228"  # the test part, chosen for the person
    next(one for one in at.multiselect if one.label == "Target").set_value(["mean_radius"])
    _sound(at.run())
    assert _state(at).evalset.target.task == "regression"


def test_a_correction_that_cannot_be_is_one_message_and_is_taken_back() -> None:
    at = _cancer()
    next(one for one in at.selectbox if one.label == "Task").set_value(Task.REGRESSION)
    _sound(at.run())
    assert len(at.error) == 1 and "diagnosis" in at.error[0].value
    assert _state(at).evalset.target.task == "binary"


def test_a_refused_target_does_not_stick() -> None:
    at = _cancer()
    target = next(one for one in at.multiselect if one.label == "Target")
    target.set_value(["diagnosis", "mean_radius"])
    _sound(at.run())
    assert len(at.error) == 1
    at.button(key=next(one.key for one in at.button if "dismiss" in str(one.key))).click()
    _sound(at.run())
    assert not at.error
    assert next(one for one in at.multiselect if one.label == "Target").value == ["diagnosis"]


def test_columns_of_a_prediction_file_are_corrected() -> None:
    at = AppTest.from_file(APP, default_timeout=120)
    at.query_params["sample"] = "five"
    _sound(at.run())
    entry = _state(at).entries[1]
    assert entry.columns.label == "prediction"
    label = next(
        one for one in at.selectbox if str(one.key).startswith(f"correct-label-{entry.key}")
    )
    label.set_value("")
    _sound(at.run())
    assert _state(at).entries[1].columns.label is None
    _sound(at.switch_page(PERFORMANCE).run())
    assert not at.error


def test_two_sessions_do_not_share_what_was_loaded() -> None:
    mine = _open("binary", "models")
    yours = _cancer()
    assert _state(mine).table.digest != _state(yours).table.digest
    assert "fitted" not in _texts(yours)


def test_one_file_with_truth_and_predictions_is_all_it_takes() -> None:
    rows = pd.DataFrame(
        {"y_true": list("abab") * 9, "x": range(36), "forest_pred": list("abbb") * 9}
    )
    at = _cancer()
    at.file_uploader(key="upload-data").upload("both.csv", rows.to_csv(index=False).encode())
    _sound(at.run())
    assert [entry.name for entry in _state(at).entries] == ["forest"]
    assert _state(at).roles.features == ("x",)
    _sound(at.switch_page(PERFORMANCE).run())
    assert not at.error and "Confusion matrices" in {one.value for one in at.header}


def _shuffled() -> tuple[bytes, bytes]:
    """Data and predictions that agree by id, and do not by position."""
    rng = np.random.default_rng(4)
    rows = pd.DataFrame({"id": [f"k{i:03}" for i in range(60)], "x": rng.normal(size=60)})
    rows["bought"] = np.where(rows["x"] > 0, "yes", "no")
    said = pd.DataFrame({"id": rows["id"], "proba_yes": 1 / (1 + np.exp(-rows["x"]))})
    data = rows.to_csv(index=False).encode()
    return data, said.sample(frac=1, random_state=1).to_csv(index=False).encode()


def test_predictions_uploaded_before_their_data_are_joined_by_id() -> None:
    data, said = _shuffled()
    at = _cancer()
    at.file_uploader(key="upload-models").upload("said.csv", said)
    _sound(at.run())
    at.file_uploader(key="upload-data").upload("data.csv", data)
    _sound(at.run())
    assert _state(at).entries[0].columns.id == "id"
    _sound(at.switch_page(PERFORMANCE).run())
    table = next(str(one.proto.body) for one in at.get("html") if "sl-scores" in one.proto.body)
    assert table.count(">1.00</span>") >= 4  # every answer is right


def test_another_data_file_takes_its_own_models_along() -> None:
    both = pd.DataFrame({"y_true": list("abab") * 9, "forest_pred": list("abbb") * 9})
    at = _cancer()
    for name in ("one.csv", "two.csv"):
        at.file_uploader(key="upload-data").upload(name, both.to_csv(index=False).encode())
        _sound(at.run())
    assert [entry.name for entry in _state(at).entries] == ["forest"]


def test_no_model_answers() -> None:
    at = _cancer()
    state = _state(at)
    state.entries = state.entries[:1]
    state.entries[0].model = adapt(lambda X: 1 / 0, "broken")
    state.entries[0].key += "-broken"
    _sound(at.run())
    _sound(at.switch_page(PERFORMANCE).run())
    assert "gave no answers" in at.error[0].value
    assert "None of the shown models" in at.info[0].value


def test_removing_the_last_shown_model_shows_another() -> None:
    at = _cancer()
    first, second, third = (entry.key for entry in _state(at).entries)
    at.button(key=f"eye-{first}").click()
    _sound(at.run())
    at.button(key=f"eye-{second}").click()
    _sound(at.run())
    at.button(key=f"remove-{third}").click()
    _sound(at.run())
    assert [entry.key for entry in _state(at).shown] == [first]


def test_the_class_in_focus_is_kept_by_its_name() -> None:
    at = AppTest.from_file(APP, default_timeout=120)
    at.query_params["sample"] = "digits"
    at.query_params["class"] = "3"
    at.query_params["threshold"] = "nan"
    _sound(at.run())
    assert "no number" in at.error[0].value
    _sound(at.switch_page(PERFORMANCE).run())
    assert at.selectbox(key="focus").value == 3
    at.selectbox(key="focus").set_value(7)
    _sound(at.run())
    assert at.query_params["class"] == "7"
