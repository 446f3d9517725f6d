"""Texts taken apart word by word: closed forms, enumeration, spans, colours, hostile texts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html.parser import HTMLParser
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline, make_union

from components.leading import lead_to_rows_with
from dashboard.contracts import OutputSpace, Task
from dashboard.data import evalset_from_frame
from dashboard.diagnostics.words import (
    WordExplanation,
    compute_strongest_words,
    split_text,
    text_columns,
)
from dashboard.errors import NotApplicable, ParameterError
from dashboard.explainers import words
from dashboard.explainers.answers import Asked
from dashboard.explainers.words import read_words, word_values
from dashboard.explanation import ExplainOptions, explain_words
from dashboard.figures import Clicked
from dashboard.figures.theme import LOWERS, RAISES, contrast, ink
from dashboard.figures.words import plot_words, words_html
from dashboard.frames import Frame, FrameError
from dashboard.models import adapt

ASKED = Asked(Task.BINARY, ("no", "yes"), 1, "liked")
GOOD, BAD = ["great", "lovely", "superb"], ["awful", "boring", "dull"]
PLAIN = ["the", "film", "was", "a", "story", "about", "people", "and", "music", "in", "town"]
HOSTILE = "<b>great</b> & $x$ *dull* `code` [a](b) <script>alert(1)</script>\nnext: ~~line~~"


@pytest.fixture(scope="module")
def reviews() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    liked = rng.integers(0, 2, 200)
    texts = [
        " ".join(rng.permutation([*rng.choice(PLAIN, 6), *rng.choice(GOOD if y else BAD, 2)]))
        for y in liked
    ]
    frame = pd.DataFrame({"review": texts, "stars": rng.integers(1, 6, 200)})
    frame["liked"] = np.where(liked, "yes", "no")
    frame.loc[0, "review"] = "Not dull: a lovely, lovely story!"
    frame.loc[1, "review"] = HOSTILE
    frame.loc[2, "review"] = "great"
    frame.loc[3, "review"] = "..."
    return frame


@pytest.fixture(scope="module")
def linear(reviews: pd.DataFrame) -> Any:
    pipeline = make_pipeline(CountVectorizer(), LogisticRegression())
    return adapt(pipeline.fit(reviews["review"], reviews["liked"]), "counts")


def explained(model: Any, rows: Any, row: int, **options: Any) -> WordExplanation:
    return word_values(model, rows, row, ASKED, name="m", **options)


# ---- splitting -------------------------------------------------------------------------------


def test_words_and_their_places() -> None:
    split = split_text("Don’t stop, STOP – don't!  7 times")
    assert split.terms == ("don’t", "stop", "don't", "7", "times")
    assert [split.text[start:end] for start, end, _ in split.spans][2] == "STOP"
    assert [term for _, _, term in split.spans] == [0, 1, 1, 2, 3, 4]
    gone = np.array([True, False, True, True, True])
    assert split.without(gone) == "Don’t ,  – don't!  7 times"
    assert split.without(np.ones(5, bool)) == split.text


def test_a_long_text_is_cut_into_runs() -> None:
    text = " ".join(f"word{at}" for at in range(25))
    split = split_text(text, most=10)
    assert split.run == 3
    assert len(split.terms) == 9
    assert split.terms[0] == "word0 word1 word2"
    assert split.without(np.zeros(9, bool)).strip() == ""
    assert split_text(text, most=25).run == 1
    assert split_text("").terms == ()


def test_free_text_is_told_from_categories(reviews: pd.DataFrame) -> None:
    frame = reviews.assign(place="near ocean", when=pd.Timestamp("2020-01-01"), none=None)
    assert text_columns(frame) == ("review",)


# ---- values ----------------------------------------------------------------------------------


def test_a_linear_model_of_counts_has_its_coefficients(linear: Any, reviews: Any) -> None:
    rows = reviews[["review"]]
    found = explained(linear, rows, 0, space="log-odds")
    vectoriser, model = linear.estimator
    counts = vectoriser.transform(rows["review"][:1]).toarray()[0]
    names = vectoriser.get_feature_names_out()
    exact = dict(zip(names, counts * model.coef_[0], strict=True))
    assert found.exact
    assert found.split.terms == ("not", "dull", "a", "lovely", "story")
    for term, value in zip(found.split.terms, found.values[:, 0], strict=True):
        assert value == pytest.approx(exact.get(term, 0.0), abs=1e-12)
    assert found.base == pytest.approx(model.intercept_)
    assert found.output_names == ("yes",)


def test_enumeration_against_every_order(reviews: Any) -> None:
    pipeline = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2)), RandomForestClassifier(10, random_state=0)
    ).fit(reviews["review"], reviews["liked"])
    found = explained(adapt(pipeline), reviews[["review"]], 0)
    split = found.split
    f = len(split.terms)
    slow = np.zeros(f)
    orders = list(permutations(range(f)))
    for order in orders:
        present = np.zeros(f, dtype=bool)
        last = pipeline.predict_proba([split.without(present)])[0, 1]
        for term in order:
            present[term] = True
            now = pipeline.predict_proba([split.without(present)])[0, 1] if f < 3 else None
            now = _known(pipeline, split, present) if now is None else now
            slow[term] += (now - last) / len(orders)
            last = now
    assert found.values[:, 0] == pytest.approx(slow, abs=1e-12)
    assert found.n_texts == 2**f + 2
    assert not found.errors.any()


_ASKED: dict[tuple[bool, ...], float] = {}


def _known(pipeline: Any, split: Any, present: Any) -> float:
    key = tuple(present.tolist())
    if key not in _ASKED:
        _ASKED[key] = float(pipeline.predict_proba([split.without(present)])[0, 1])
    return _ASKED[key]


def test_sampled_words_are_within_their_errors(
    reviews: Any, linear: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = reviews[["review"]].copy()
    rows.loc[0, "review"] = "a lovely great story, not boring and awful or dull"
    exact = explained(linear, rows, 0)
    assert exact.exact
    monkeypatch.setattr(words, "MOST_EXACT", 3)
    monkeypatch.setattr(words, "BUDGET", 800)
    drawn = [explained(linear, rows, 0, random_state=seed) for seed in range(12)]
    assert not drawn[0].exact
    apart = np.array([one.values - exact.values for one in drawn])
    errors = np.array([one.errors for one in drawn])
    for one in drawn:
        total = one.base + one.values.sum(axis=0)
        assert total == pytest.approx(one.predictions, abs=1e-12)
    moved = errors.mean(axis=(0, 2)) > 1e-6
    assert moved.sum() >= 5
    inside = np.abs(apart[:, moved]) <= 1.96 * errors[:, moved]
    assert 0.85 <= inside.mean() <= 1
    # not far too wide either
    ratio = np.sqrt((apart[:, moved] ** 2).mean() / (errors[:, moved] ** 2).mean())
    assert 0.4 < ratio < 1.4


def test_text_beside_other_columns(reviews: Any) -> None:
    table = make_column_transformer((TfidfVectorizer(), "review"), ("passthrough", ["stars"]))
    rows = reviews[["review", "stars"]]
    model = adapt(make_pipeline(table, LogisticRegression()).fit(rows, reviews["liked"]))
    found = explained(model, rows, 0)
    assert found.column == "review"
    alone = rows.iloc[:1].assign(review="")
    assert found.base[0] == pytest.approx(model.estimator.predict_proba(alone)[0, 1])
    with pytest.raises(NotApplicable, match="does not read stars word by word"):
        explained(model, rows, 0, column="stars")


def test_wherever_the_vectoriser_is(reviews: Any) -> None:
    union = make_union(CountVectorizer(), TfidfVectorizer(analyzer="char", ngram_range=(2, 3)))
    search = GridSearchCV(make_pipeline(union, LogisticRegression()), {}, cv=2)
    model = adapt(search.fit(reviews["review"], reviews["liked"]))
    found = explained(model, reviews[["review"]], 0)
    assert found.base + found.values.sum(axis=0) == pytest.approx(found.predictions)


def test_the_other_class_is_turned_round(linear: Any, reviews: Any) -> None:
    rows = reviews[["review"]]
    yes = explained(linear, rows, 0)
    asked = Asked(Task.BINARY, ("no", "yes"), 0, "liked")
    no = word_values(linear, rows, 0, asked, name="m")
    assert no.output_names == ("no",)
    assert no.values == pytest.approx(-yes.values)
    assert no.base == pytest.approx(1 - yes.base)
    assert no.predictions == pytest.approx(1 - yes.predictions)


def test_regression_and_a_function_of_texts(reviews: Any) -> None:
    asked = Asked(Task.REGRESSION, (), None, "stars")
    model = adapt(make_pipeline(CountVectorizer(), Ridge()).fit(reviews["review"], reviews.stars))
    found = word_values(model, reviews[["review"]], 0, asked, name="m")
    assert found.space is OutputSpace.TARGET
    assert found.output_names == ("stars",)

    def length(rows: Any) -> Any:
        return np.array([float(len(text.split())) for text in rows["review"]])

    counted = word_values(adapt(length), reviews[["review"]], 0, asked, name="m")
    assert counted.predictions == pytest.approx([6.0])
    assert counted.values.sum() == pytest.approx(6.0 - counted.base[0])


def test_one_word_and_none(linear: Any, reviews: Any) -> None:
    one = explained(linear, reviews[["review"]], 2)
    assert one.values.shape == (1, 1)
    assert one.base + one.values[0] == pytest.approx(one.predictions)
    with pytest.raises(NotApplicable, match="no words"):
        explained(linear, reviews[["review"]], 3)


def test_models_that_read_no_text(reviews: Any) -> None:
    model = adapt(RandomForestClassifier(3, random_state=0).fit(reviews[["stars"]], reviews.liked))
    with pytest.raises(NotApplicable, match="reads no text"):
        explained(model, reviews[["stars"]], 0)
    # a category is no text, even of two words
    rows = pd.DataFrame({"place": ["near ocean", "inland"]})
    function = adapt(lambda X: np.where(X["place"] == "inland", 1.0, 0.0))
    asked = Asked(Task.REGRESSION, (), None, "y")
    with pytest.raises(NotApplicable, match="reads no text"):
        word_values(function, rows, 0, asked, name="m")


def test_a_slow_model_is_refused_in_time(reviews: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "MOST_EXACT", 2)
    asked = Asked(Task.REGRESSION, (), None, "stars")
    model = adapt(lambda X: np.array([float(len(text)) for text in X["review"]]))
    with pytest.raises(NotApplicable, match="too long for the"):
        word_values(model, reviews[["review"]], 0, asked, name="m", seconds=1e-9)


def test_through_the_front_door(linear: Any, reviews: Any) -> None:
    evalset = evalset_from_frame(reviews[["review", "liked"]], target="liked")
    found = explain_words(linear, evalset, "counts", 0, ExplainOptions(space="log-odds"))
    assert found.model == "counts"
    assert found.space is OutputSpace.LOG_ODDS
    frame = found.frame()
    assert frame.loc[frame["word"] == "lovely", "times"].item() == 2
    assert frame["value"].sum() + frame["base"][0] == pytest.approx(frame["prediction"][0])


# ---- what a worker says ----------------------------------------------------------------------


def _frame(**changed: Any) -> Frame:
    header = {
        "column": "review",
        "outputs": [["s", "yes"]],
        "space": "probability",
        "n_texts": 4,
        "exact": True,
        "notes": [],
    }
    arrays = changed.pop("arrays", None) or (
        np.zeros((1, 1)), np.zeros((1, 1)), np.zeros(1), np.zeros(1),
    )  # fmt: skip
    return Frame({**header, **changed}, tuple(arrays))


@pytest.mark.parametrize(
    "changed",
    [
        {"column": "elsewhere"},
        {"space": "hearts"},
        {"n_texts": "4"},
        {"notes": "none"},
        {"outputs": []},
        {"arrays": [np.zeros((2, 1)), np.zeros((2, 1)), np.zeros(1), np.zeros(1)]},
        {"arrays": [np.full((1, 1), np.nan), np.zeros((1, 1)), np.zeros(1), np.zeros(1)]},
        {"arrays": [np.zeros((1, 1), np.float32), np.zeros((1, 1)), np.zeros(1), np.zeros(1)]},
        {"arrays": [np.zeros((1, 1))]},
    ],
)
def test_nonsense_is_not_believed(reviews: Any, changed: dict[str, Any]) -> None:
    with pytest.raises(FrameError):
        read_words(_frame(**changed), reviews[["review"]], 2, "m")


# ---- drawing ---------------------------------------------------------------------------------


class _Reader(HTMLParser):
    """The text of HTML and the tags in it."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_html_shows_the_text_and_nothing_else(linear: Any, reviews: Any) -> None:
    found = explained(linear, reviews[["review"]], 1)
    reader = _Reader()
    reader.feed(words_html(found))
    assert "".join(reader.text) == HOSTILE.replace("\n", "")
    assert {tag for tag, _ in reader.tags} <= {"div", "span", "br"}
    spans = {text: attrs for text, (tag, attrs) in _spans(words_html(found)) if tag == "span"}
    assert "solid" in str(spans["great"]["style"])
    assert "raises the probability of yes by" in str(spans["great"]["title"])
    assert "dotted" in str(spans["dull"]["style"])
    assert "lowers" in str(spans["dull"]["title"])


def _spans(html: str) -> list[tuple[str, tuple[str, dict[str, str | None]]]]:
    reader = _Reader()
    found = []
    for part in html.split("<span")[1:]:
        reader = _Reader()
        reader.feed("<span" + part.split("</span>")[0])
        found.append(("".join(reader.text), reader.tags[0]))
    return found


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_words_stay_readable_on_their_colours(theme: Any) -> None:
    page, text = ink(theme).page, ink(theme).text
    for colour in (RAISES, LOWERS):
        mixed = "#" + "".join(
            f"{round(0.5 * int(colour[at : at + 2], 16) + 0.5 * int(page[at : at + 2], 16)):02x}"
            for at in (1, 3, 5)
        )
        assert contrast(mixed, text) >= 4.5


def test_figure_of_several_models(linear: Any, reviews: Any) -> None:
    forest = make_pipeline(CountVectorizer(), RandomForestClassifier(10, random_state=0))
    other = adapt(forest.fit(reviews["review"], reviews["liked"]))
    rows = reviews[["review"]]
    both = [
        word_values(model, rows, 0, ASKED, name=name)
        for name, model in (("counts", linear), ("forest", other))
    ]
    found = compute_strongest_words(both, limit=3)
    figure = plot_words(found, theme="dark")
    strongest = found.words
    assert found.n_words == 5
    assert len(found.frame()) == 10
    assert strongest[0] in ("lovely", "dull")
    assert figure.layout.meta["features"] == list(strongest)
    assert "3 of 5 words" in figure.layout.title.text
    at = both[1].split.terms.index(strongest[1])
    assert list(figure.data[1].x)[1] == pytest.approx(both[1].values[at, 0])
    assert figure.data[1].customdata[1] == [0, 1, 1]
    assert "without any word" in figure.layout.meta["caption"]
    with pytest.raises(ParameterError, match="no output"):
        both[0].place("maybe")
    with pytest.raises(NotApplicable, match="No model"):
        compute_strongest_words([])
    with pytest.raises(NotApplicable, match="different texts"):
        compute_strongest_words([both[0], word_values(linear, rows, 2, ASKED, name="c")])


# ---- the page --------------------------------------------------------------------------------


@pytest.mark.slow
def test_page_of_a_row_with_text(linear: Any, reviews: Any) -> None:
    import skops.io
    from streamlit.testing.v1 import AppTest

    app = Path(__file__).resolve().parent.parent / "dashboard" / "app.py"
    at = AppTest.from_file(str(app), default_timeout=90).run()
    rows = reviews[["review", "liked"]].iloc[4:]
    at.file_uploader(key="upload-data").upload("r.csv", rows.to_csv(index=False).encode()).run()
    content = skops.io.dumps(linear.estimator)
    at.file_uploader(key="upload-models").upload("counts.skops", content).run()
    at.switch_page("../pages/one_row.py").run()
    assert not at.exception
    assert not at.error, [one.value for one in at.error]
    assert next(tab.label for tab in at.tabs) == "Paths of many rows"  # the words stand above
    coloured = [one.value for one in at.get("html") if "sidelight-words" in one.value]
    assert len(coloured) == 1
    assert "the log&#45;odds of yes by" in coloured[0]
    said = next(one.value for one in at.get("html") if "sl-headline" in one.value)
    assert "Of the words of review, “" in said
    charts = [json.loads(one.proto.spec)["layout"]["meta"] for one in at.get("plotly_chart")]
    names = [one["name"] for one in charts]
    assert names[0].startswith("words-row-") and not any("waterfall" in name for name in names)
    above = "\n".join(one.value for one in at.markdown).split("reads review")[0]
    assert above.count("nothing is at work") == 1  # one line for the row and its words
    state = at.session_state["sidelight"]
    lead_to_rows_with(state, Clicked(4, "dull", "counts"))
    at.run()
    assert not at.exception
    assert state.explored.pick == "table"
    found = next(one.value for one in at.caption if "rows found are listed" in one.value)
    holding = int(rows["review"].str.contains("dull").sum())
    assert f"{holding} of {holding} rows found" in found
