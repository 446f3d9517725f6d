"""Pictures and sequences under what each cell adds: numbers, colours, clicks, hostile names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from dashboard.contracts import Attributions, Background, OutputSpace
from dashboard.diagnostics.pictures import compute_mean_pictures, compute_pictures
from dashboard.diagnostics.sentences import explain_in_words
from dashboard.diagnostics.waterfalls import compute_waterfalls
from dashboard.errors import NotApplicable, ParameterError
from dashboard.explainers.pipelines import cell_names
from dashboard.figures.panels import clicked
from dashboard.figures.pictures import MOST_MARKS, heat_scale, plot_pictures
from dashboard.figures.theme import LOWERS, RAISES, translucent

HOSTILE = "<b>x</b> & %{y} $a$ <script>alert(1)</script>"


def explained(
    shape: tuple[int, ...] = (4, 5),
    model: str = "net",
    *,
    seed: int = 0,
    steps: bool = False,
    space: OutputSpace = OutputSpace.PROBABILITY,
    size: float = 0.1,
    data: Any = None,
    **more: Any,
) -> Attributions:
    rng = np.random.default_rng(seed)
    cells = int(np.prod(shape))
    values = size * rng.normal(size=(3, cells, 2))
    base = np.array([0.4, 0.6])
    return Attributions(
        model=model,
        values=values,
        base_values=base,
        predictions=base + values.sum(axis=1),
        data=rng.integers(0, 17, (3, *shape)).astype(np.uint8) if data is None else data,
        feature_names=cell_names(shape, steps=steps),
        output_names=("no", "yes"),
        space=space,
        engine="gradients",
        method="Expected gradients (not Shapley values)",
        exact=False,
        background=Background(10, 100, "10 rows"),
        rows=np.array([7, 3, 90]),
        n_given=100,
        additivity_error=1e-9,
        tolerance=1e-6,
        errors=np.full((3, cells, 2), 0.01),
        cell_shape=shape,
        **more,
    )


def test_heat_is_the_values_of_the_row_in_their_places() -> None:
    one = explained()
    (picture,) = compute_pictures([one], 3, "yes")
    assert picture.heat == pytest.approx(one.values[1, :, 1].reshape(4, 5))
    assert np.array_equal(picture.cells, one.data[1])
    assert picture.span == pytest.approx(np.abs(picture.heat).max())
    assert picture.base + picture.values.sum() == pytest.approx(picture.prediction)
    frame = picture.frame()
    assert list(frame.columns[:4]) == ["model", "row", "output", "feature"]
    assert frame["feature"].iloc[7] == "pixel 2, 3"
    assert frame["value"].iloc[7] == pytest.approx(picture.heat[1, 2])
    assert frame["data"].iloc[7] == one.data[1, 1, 2]
    assert (frame["high"] - frame["low"]).to_numpy() == pytest.approx(2 * norm.ppf(0.975) * 0.01)


def test_channels_are_summed_and_brightness_is_weighed() -> None:
    data = np.zeros((3, 2, 2, 3))
    data[0, 0, 0] = 255, 0, 0
    data[0, 0, 1] = 0, 255, 0
    data[0, 1, 1] = 255, 255, 255
    one = explained((2, 2, 3), data=data)
    (picture,) = compute_pictures([one], 7)
    assert picture.heat == pytest.approx(one.values[0, :, 0].reshape(2, 2, 3).sum(axis=2))
    assert picture.heat_errors == pytest.approx(np.full((2, 2), 0.01 * 3**0.5))
    assert picture.grey == pytest.approx(np.array([[0.2126, 0.7152], [0.0, 1.0]]))
    figure = plot_pictures([picture])
    photo = next(trace for trace in figure.data if trace.type == "image")
    assert np.asarray(photo.z)[0, 0].tolist() == [255, 0, 0]


def test_one_channel_is_a_plain_picture_and_a_flat_one_is_dark() -> None:
    one = explained((3, 3, 1), data=np.full((3, 3, 3, 1), 5.0))
    (picture,) = compute_pictures([one], 90)
    assert picture.heat.shape == (3, 3)
    assert not picture.grey.any()


def test_models_share_one_scale_where_units_are_the_same() -> None:
    small, large = explained(size=0.01), explained(model="b", size=0.5, seed=1)
    both = compute_pictures([small, large], 3)
    assert both[0].span == both[1].span == pytest.approx(np.abs(both[1].heat).max())
    odds = explained(model="c", space=OutputSpace.LOG_ODDS, size=2, seed=2)
    apart = compute_pictures([small, odds], 3)
    assert apart[0].span == pytest.approx(np.abs(apart[0].heat).max())
    figure = plot_pictures(both)
    heats = [trace for trace in figure.data if str(trace.name).startswith("heat")]
    assert len({(trace.zmin, trace.zmax) for trace in heats}) == 1


def test_what_is_no_picture() -> None:
    with pytest.raises(NotApplicable, match="No model is explained"):
        compute_pictures([], 3)
    with pytest.raises(NotApplicable, match="Row 4 is not among"):
        compute_pictures([explained()], 4)
    table = explained()
    object.__setattr__(table, "cell_shape", None)
    with pytest.raises(NotApplicable, match="columns of a table"):
        compute_pictures([table], 3)
    with pytest.raises(NotApplicable, match="cannot be drawn"):
        compute_pictures([explained((2, 2, 2, 2))], 3)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_figure_says_what_it_shows(n: int) -> None:
    several = [explained(model=f"model {k}", seed=k) for k in range(n)]
    pictures = compute_pictures(several, 3, "yes")
    figure = plot_pictures(pictures, theme="dark")
    meta = figure.layout.meta
    assert meta["models"] == [one.model for one in several]
    assert "row 3" in meta["alt"]
    assert "half of all movement" in meta["caption"]
    targets = [trace for trace in figure.data if str(trace.name).startswith("cells")]
    assert len(targets) == n
    hit = clicked(meta, targets[-1].customdata[7])
    assert hit[:3] == (3, "pixel 2, 3", several[-1].model)
    verb = "raises" if pictures[-1].heat[1, 2] > 0 else "lowers"
    assert targets[-1].text[7].startswith("Pixel 2, 3 = ")
    assert f"{verb} the probability of yes by" in targets[-1].text[7]
    # the picture alone stands beside up to three models
    greys = [trace for trace in figure.data if trace.name == "picture"]
    assert len(greys) == n + (n < 4)


def test_caption_counts_by_hand() -> None:
    one = explained((2, 2))
    one.values[1, :, 0] = [0.5, -0.2, 0.2, 0.1]
    one.predictions[1, 0] = 0.4 + 0.6
    (picture,) = compute_pictures([one], 3)
    said = plot_pictures([picture]).layout.meta["caption"]
    assert "half of all movement comes from 1 of 4 pixels" in said
    assert "+.800 and −.200 make 1.00" in said


def test_colours_are_clear_at_zero_and_blue_above() -> None:
    scale = heat_scale()
    assert scale[0] == [0.0, translucent(LOWERS, 0.92)]
    assert scale[-1] == [1.0, translucent(RAISES, 0.92)]
    middle = [colour for place, colour in scale if place == 0.5]
    assert middle == [translucent(LOWERS, 0), translucent(RAISES, 0)]
    assert [place for place, _ in scale] == sorted(place for place, _ in scale)


def test_large_pictures_have_no_marks_and_still_tell_each_pixel() -> None:
    side = int(MOST_MARKS**0.5) + 1
    figure = plot_pictures(compute_pictures([explained((side, side))], 3))
    assert not [trace for trace in figure.data if str(trace.name).startswith("cells")]
    heat = next(trace for trace in figure.data if str(trace.name).startswith("heat"))
    assert heat.hoverinfo is None


def test_names_are_plain_text_and_many_models_are_refused() -> None:
    one = explained(model=HOSTILE)
    figure = plot_pictures(compute_pictures([one], 3))
    assert "<script>" not in figure.to_json().replace("\\u003c", "<").split('"meta"')[0]
    with pytest.raises(ParameterError, match="5 models"):
        plot_pictures(compute_pictures([explained(model=str(k)) for k in range(5)], 3))
    with pytest.raises(ParameterError, match="different shapes"):
        plot_pictures([*compute_pictures([one], 3), *compute_pictures([explained((2, 2))], 3)])


def test_sequences_are_bars_of_steps() -> None:
    one = explained((6, 2), steps=True)
    (picture,) = compute_pictures([one], 90, "no")
    assert picture.is_sequence
    assert picture.heat == pytest.approx(one.values[2, :, 0].reshape(6, 2).sum(axis=1))
    figure = plot_pictures([picture])
    bars = next(trace for trace in figure.data if trace.type == "bar")
    assert list(bars.y) == pytest.approx(picture.heat.tolist())
    colours = [RAISES if value >= 0 else LOWERS for value in picture.heat]
    assert list(bars.marker.color) == colours
    assert clicked(figure.layout.meta, bars.customdata[2])[:3] == (90, "step 3, channel 1", "net")
    assert bars.hovertext[2].startswith("Step 3 = ")
    assert list(bars.error_y.array) == pytest.approx([norm.ppf(0.975) * 0.01 * 2**0.5] * 6)


def test_steps_of_one_number() -> None:
    one = explained((6, 1), steps=True, data=np.arange(18.0).reshape(3, 6, 1))
    (picture,) = compute_pictures([one], 7)
    assert picture.grey == pytest.approx(np.linspace(0, 1, 6))
    assert plot_pictures([picture]).layout.meta["features"][5] == "step 6"


def test_the_mean_picture_is_that_of_the_rows_with_the_highest_answers() -> None:
    one, other = explained(), explained(model="other", seed=1, size=0.3)
    found = compute_mean_pictures([one, other], "yes", share=0.7)
    for picture, each in zip(found, (one, other), strict=True):
        best = np.argsort(-each.predictions[:, 1])[:2]
        assert picture.heat == pytest.approx(each.values[best, :, 1].mean(axis=0).reshape(4, 5))
        assert picture.cells == pytest.approx(np.asarray(each.data)[best].mean(axis=0))
        assert picture.prediction == pytest.approx(each.predictions[best, 1].mean())
        assert picture.base + picture.values.sum() == pytest.approx(picture.prediction)
        assert picture.heat_errors == pytest.approx(np.full((4, 5), 0.01 / 2**0.5))
        assert (picture.row, picture.n_rows) == (-1, 2)
    assert found[0].span == found[1].span == max(float(np.abs(p.heat).max()) for p in found)
    figure = plot_pictures(found)
    assert "Where high answers come from" in figure.layout.title.text
    marks = [trace.customdata[0] for trace in figure.data if trace.customdata]
    assert clicked(figure.layout.meta, marks[0]).row is None
    alone = compute_mean_pictures([one], "yes", share=0.01)[0]
    assert (alone.row, alone.n_rows) == (int(one.rows[np.argmax(one.predictions[:, 1])]), 1)


def test_a_picture_is_told_by_where_it_is_hot() -> None:
    one = explained((6, 6))
    values = np.zeros((3, 36, 2))
    values[0, [0, 1, 35], 1] = 0.2, 0.1, -0.05
    one = replace(one, values=values, predictions=one.base_values + values.sum(axis=1))
    (picture,), (fall,) = compute_pictures([one], 7, "yes"), compute_waterfalls([one], 7, "yes")
    said = explain_in_words(fall, picture=picture)
    assert said.endswith(
        "Half of all movement comes from 1 of 36 pixels; most of what brings it up lies at the "
        "upper left."
    )
    still = compute_pictures([one], 3, "yes")[0]
    assert explain_in_words(fall, picture=still).endswith("No pixel moves its answer.")
    steps = explained((9,), steps=True)
    values = np.zeros((3, 9, 2))
    values[0, 8, 1] = -0.2
    steps = replace(steps, values=values, predictions=steps.base_values + values.sum(axis=1))
    row = compute_pictures([steps], 7, "yes")[0]
    assert "1 of 9 steps; most of what brings it down lies at the end" in explain_in_words(
        compute_waterfalls([steps], 7, "yes")[0], picture=row
    )
