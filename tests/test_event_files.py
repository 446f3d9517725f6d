"""TensorBoard's event files: equal to TensorBoard's own reader, and nothing breaks the reader."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.contracts import Run
from dashboard.errors import DataError, LimitExceeded
from dashboard.logs import events as events_module
from dashboard.logs import read_runs
from dashboard.logs.events import Tag, read_events
from dashboard.logs.histograms import layer_and_kind
from dashboard.logs.records import checksum, split_records
from dashboard.settings import Settings

from .event_writing import (
    event,
    event_file,
    framed,
    histogram,
    metadata,
    simple,
    sized,
    tensor,
    varint,
)

FILES = Path(__file__).parent / "event_files"


def joined(tag: Tag) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    order = np.argsort(np.concatenate(tag.order), kind="stable")
    values = np.concatenate([one for one in tag.scalars if one is not None] or [np.empty(0)])
    found = (np.concatenate(tag.steps)[order], np.concatenate(tag.walls)[order])
    return (*found, values[order] if len(values) else values)


def one_run(*records: bytes) -> Run:
    (run,) = read_runs({"events.out.tfevents.1": event_file(*records)})
    return run


# --- what others wrote ---------------------------------------------------------------------------


def test_files_of_keras_tensorboardx_and_torch_read_as_tensorboard_reads_them() -> None:
    """`expected.json` is what TensorBoard's EventAccumulator says of the same files."""
    compared = tables = 0
    for folder, tags in json.loads((FILES / "expected.json").read_text()).items():
        (path,) = (FILES / folder).glob("events.out.tfevents.*")
        log = read_events(path.read_bytes(), path.name)
        assert set(tags) == {name for name, tag in log.tags.items() if tag.plugin != "hparams"}
        for name, said in tags.items():
            steps, walls, values = joined(log.tags[name])
            assert steps.tolist() == said["steps"], (folder, name)
            assert walls.tolist() == [float(one) for one in said["walls"]]
            np.testing.assert_array_equal(values, [float(one) for one in said["values"]])
            compared += len(values)
            for table, (edges, counts) in zip(
                said.get("tables", ()), in_steps(log.tags[name]), strict=True
            ):
                left, right, number = np.array(table, dtype=float).reshape(-1, 3).T
                if folder != "keras/train":  # the old form: without empty bins at its ends
                    held = np.flatnonzero(counts)
                    first, last = held[0], held[-1] + 1
                    counts, edges = counts[first:last], edges[first : last + 1].astype("float32")
                np.testing.assert_array_equal(counts, number)
                np.testing.assert_array_equal(edges, [*left, right[-1]])
                tables += 1
    assert compared > 100
    assert tables >= 18


def in_steps(tag: Tag) -> list[tuple[np.ndarray, np.ndarray]]:
    found = []
    for order, part in zip(tag.order, tag.histograms, strict=True):
        if part is not None:
            found += [(int(at), (part[0][k], part[1][k])) for k, at in enumerate(order)]
    return [one for _, one in sorted(found, key=lambda one: one[0])]


def test_the_folder_of_keras_is_one_run() -> None:
    (run,) = read_runs({"keras": FILES / "keras"})
    assert (run.name, run.source, run.metrics) == ("keras", "TensorBoard", ("loss", "accuracy"))
    assert run.config == {"units": 2, "rate": 0.01, "optimizer": "adam", "dropout": False}
    for part in ("train", "validation"):
        loss = run.get("loss", part)
        assert loss is not None
        assert (loss.unit, loss.steps.tolist(), loss.logged_as) == (
            "epoch",
            [0, 1, 2],
            "epoch_loss",
        )
    rate = run.get("learning_rate", "")
    assert rate is not None
    np.testing.assert_allclose(
        rate.values, 0.005 * (1 + np.cos(np.pi * np.array([2, 4, 6]) / 6)), atol=1e-9
    )
    units = {(one.metric, one.part, one.unit) for one in run.series}
    assert {("loss", "train", "batch"), ("loss", "validation", "iteration")} <= units
    kinds = [(one.layer, one.kind) for one in run.histograms]
    assert kinds == [
        (f"sequential/{name}", kind) for name in ("hidden", "out") for kind in ("weight", "bias")
    ]
    assert all((np.diff(one.edges) > 0).all() for one in run.histograms)
    assert [one.counts.sum() for one in run.histograms] == [18, 6, 6, 3]


def test_a_folder_of_runs_gives_each_its_name() -> None:
    runs = {run.name: run for run in read_runs({"event_files": FILES})}
    assert list(runs) == ["keras", "tensorboard_x", "torch"]
    other = runs["tensorboard_x"]
    assert other.config == {"lr": 0.1, "name": "adam", "flag": True}
    lost = other.get("loss", "validation")
    assert lost is not None
    assert np.isnan(lost.values[7]) and np.isinf(lost.values[9]) and not other.is_finite
    assert "acc = 0.9" in " ".join(other.notes)
    # a line of `add_scalars` has a folder of its own
    accuracy = [runs["torch"].get("accuracy", part) for part in ("train", "validation")]
    assert [one.values[4] for one in accuracy if one] == pytest.approx([0.8, 2 / 3], abs=1e-7)
    assert [one.kind for one in runs["torch"].histograms] == ["gradient"]
    # what lies beside the logs is counted
    assert "make.py" in runs["keras"].notes[-1] and "2 files" in runs["keras"].notes[-1]


# --- forms ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "content", "value"),
    [
        (1, sized(5, struct.pack("<f", 0.5)), 0.5),  # float_val, packed
        (1, b"\x2d" + struct.pack("<f", 0.5), 0.5),  # float_val, on its own
        (1, sized(4, struct.pack("<f", 0.5)), 0.5),  # tensor_content
        (2, sized(6, struct.pack("<d", 0.1)), 0.1),
        (2, b"\x31" + struct.pack("<d", 0.1), 0.1),
        (2, sized(4, struct.pack("<d", float("nan"))), float("nan")),
        (3, sized(7, varint(-3)), -3.0),
        (3, b"\x38" + varint(300), 300.0),
        (9, sized(10, varint(1 << 40)), float(1 << 40)),
        (9, sized(4, struct.pack("<q", -7)), -7.0),
        (19, sized(13, varint(0x3800)), 0.5),  # a half, its bits as a whole number
        (19, sized(4, b"\x00\x38"), 0.5),
        (14, sized(4, b"\x00\x3f"), 0.5),  # bfloat16
        (14, sized(13, varint(0x3F00)), 0.5),
        (10, sized(11, b"\x01"), 1.0),
        (4, sized(4, b"\xff"), 255.0),
        (17, sized(7, varint(65_535)), 65_535.0),
        (23, sized(17, varint(7)), 7.0),
    ],
)
def test_scalars_as_tensors_of_every_type(kind: int, content: bytes, value: float) -> None:
    run = one_run(
        event(3, tensor("loss", kind, content)), event(300, tensor("loss", kind, content))
    )
    (series,) = run.series
    assert series.steps.tolist() == [3, 300]
    np.testing.assert_array_equal(series.values, [value, value])


def test_several_values_in_one_event_and_steps_of_every_length() -> None:
    steps = [0, 1, 127, 128, 20_000, 1 << 40, -5]
    records = [
        event(step, simple("loss", k), simple("val_loss", -k)) for k, step in enumerate(steps)
    ]
    run = one_run(*records)
    for part, sign in (("train", 1), ("validation", -1)):
        series = run.get("loss", part)
        assert series is not None
        assert series.steps.tolist() == steps
        assert series.values.tolist() == [sign * k for k in range(len(steps))]
    assert "go back" in run.notes[0]


def test_files_of_one_folder_follow_each_other_in_time() -> None:
    """Whatever their names: a second writer may have the longer number or the earlier letter."""
    early = event_file(event(0, simple("loss", 3.0)), event(1, simple("loss", 2.0)))
    version = b"\x09" + struct.pack("<d", 2e9) + sized(3, b"brain.Event:2")
    late = framed(version) + framed(event(1, simple("loss", 1.0), wall=2e9))
    (run,) = read_runs({"a/events.out.tfevents.1": late, "a/events.out.tfevents.2": early})
    assert run.series[0].values.tolist() == [3, 2, 1]
    assert run.series[0].steps.tolist() == [0, 1, 1]
    assert run.series[0].wall is not None and run.series[0].wall.tolist() == [1e9, 1e9, 2e9]


def test_metadata_may_be_on_the_first_event_only() -> None:
    content = sized(4, struct.pack("<f", 0.5))
    run = one_run(
        event(0, tensor("loss", 1, content)),
        *(event(k, tensor("loss", 1, content, plugin="")) for k in (1, 2)),
    )
    assert run.series[0].steps.tolist() == [0, 1, 2]


def test_what_is_no_number_is_left_out_and_named() -> None:
    text = tensor("notes", 7, sized(8, b"hello"), plugin="text")
    picture = sized(1, b"picture") + sized(4, b"\x08\x10")
    run = one_run(event(0, text), event(0, picture), event(1, simple("loss", 1.0)))
    assert [one.logged_as for one in run.series] == ["loss"]
    assert run.notes == ("Neither numbers nor histograms, left out: notes and picture.",)


def test_old_histograms_with_empty_bins_and_several_widths() -> None:
    run = one_run(
        event(0, histogram("a.weight", -1, 2, [-5, 0, 1, 1e308], [0, 3, 4, 5])),
        event(1, histogram("a.weight", 1, 1, [1.5], [7])),
        event(2, histogram("a.weight", float("nan"), 1, [1.5], [7])),
    )
    (found,) = run.histograms
    assert (found.layer, found.kind, found.steps.tolist()) == ("a", "weight", [0, 1])
    assert found.counts.tolist() == [[0, 3, 4, 5], [7, 0, 0, 0]]
    assert (np.diff(found.edges) > 0).all()
    np.testing.assert_allclose(found.edges[0], [-1, -1, 0, 1, 2], atol=1e-10)
    assert "1 of 3 histograms" in run.notes[0]


def test_one_wide_histogram_does_not_widen_all_others() -> None:
    """What comes out is never more than four times what the file holds."""
    wide = histogram("w", 0, 1, [(k + 1) / 5_000 for k in range(5_000)], [1.0] * 5_000)
    narrow = [event(step, histogram("w", 0, 1, [1.0], [9.0])) for step in range(1, 2_001)]
    (found,) = one_run(event(0, wide), *narrow).histograms
    assert found.counts.size <= 4 * 7_000
    assert found.counts.sum(axis=1)[:2].tolist() == [5_000, 9]


@pytest.mark.parametrize(
    ("tag", "found"),
    [
        ("hidden/kernel_0", ("hidden", "weight")),
        ("sequential/out/bias/histogram", ("sequential/out", "bias")),
        ("fc1.weight", ("fc1", "weight")),
        ("fc1.weight.grad", ("fc1", "gradient")),
        ("gradients/fc1.bias", ("fc1/bias", "gradient")),
        ("activations/relu_1", ("relu_1", "activation")),
        ("out/bias", ("out", "bias")),
        ("something", ("something", "")),
        ("bias", ("bias", "bias")),
    ],
)
def test_layers_and_kinds(tag: str, found: tuple[str, str]) -> None:
    assert layer_and_kind(tag) == found


# --- framing -------------------------------------------------------------------------------------


def test_checksums_are_crc_32c() -> None:
    """The values of RFC 3720, appendix B.4, and of the polynomial's catalogue, unmasked."""
    for content, expected in (
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (b"123456789", 0xE3069283),
    ):
        turned = (checksum(content) - 0xA282EAD8) & 0xFFFFFFFF
        assert (turned >> 17 | turned << 15) & 0xFFFFFFFF == expected
        assert len(split_records(framed(content) * 3).starts) == 3


@given(st.lists(st.binary(max_size=700), max_size=30), st.integers(0, 2**30))
def test_records_of_any_lengths_are_found(contents: list[bytes], repeats: int) -> None:
    """Checksums of a record at once and column by column agree; so do foretold lengths."""
    contents = contents * (1 + repeats % 40)
    found = split_records(b"".join(map(framed, contents)))
    rows = zip(found.starts, found.lengths, strict=True)
    assert [found.data[at : at + size].tobytes() for at, size in rows] == contents
    assert not found.left and not found.damaged


def test_long_records_are_folded() -> None:
    rng = np.random.default_rng(0)
    contents = [rng.bytes(size) for size in (255, 256, 257, 511, 513, 40_000, 70_001)]
    assert len(split_records(b"".join(map(framed, contents))).starts) == len(contents)
    for at, content in enumerate(contents):
        flipped = bytearray(framed(content))
        flipped[12 + int(rng.integers(len(content)))] ^= 4
        assert split_records(bytes(flipped)).damaged == 1, at


def test_a_log_may_be_cut_off_anywhere() -> None:
    """As many numbers as there are whole records, and a sentence on the rest."""
    whole = event_file(*(event(k, simple("loss", k)) for k in range(6)))
    ends = [int(a + b + 4) for a, b in zip(*_places(whole), strict=True)]
    for size in range(ends[1], len(whole)):
        (run,) = read_runs({"events.out.tfevents.1": whole[:size]})
        records = sum(end <= size for end in ends)
        assert run.series[0].values.tolist() == list(range(records - 1))
        assert ("cut off" in " ".join(run.notes)) == (size not in ends)
    for size in range(ends[1]):
        with pytest.raises(DataError, match=r"empty|no event file|no training log"):
            read_runs({"events.out.tfevents.1": whole[:size]})


def _places(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    found = split_records(content)
    return found.starts, found.lengths


def test_a_flipped_bit_costs_one_record_or_the_rest() -> None:
    whole = event_file(*(event(k, simple("loss", k)) for k in range(300)))
    rng = np.random.default_rng(1)
    for _ in range(60):
        flipped = bytearray(whole)
        flipped[int(rng.integers(100, len(whole)))] ^= 1 << int(rng.integers(8))
        (run,) = read_runs({"events.out.tfevents.1": bytes(flipped)})
        values = run.series[0].values
        assert set(values) <= set(range(300)) and (np.diff(values) > 0).all()
        assert len(values) >= 299 or "cut off or damaged" in run.notes[0]
        assert run.notes


def test_foreign_and_empty_files_are_refused_in_a_sentence() -> None:
    for content, said in (
        (b"", "is empty"),
        (b"\0" * 100, "no event file"),
        (framed(b"\x0a\x05hello") * 3, "no event file"),  # records of something else
        (event_file()[:20], "no event file"),
    ):
        with pytest.raises(DataError, match=said):
            read_runs({"events.out.tfevents.1": content})
    with pytest.raises(DataError, match="holds no training log"):
        read_runs({"events.out.tfevents.1": event_file()})


# --- hostile -------------------------------------------------------------------------------------


def test_lying_lengths_allocate_nothing() -> None:
    good = event_file(event(0, simple("loss", 1.0)))
    for length in (1 << 31, 1 << 62, (1 << 64) - 1):
        head = struct.pack("<Q", length)
        log = read_events(good + head + struct.pack("<I", checksum(head)) + b"x" * 50, "e")
        assert (log.records, log.left) == (2, 62)
    huge = tensor("h", 2, sized(4, b"\0" * 24), (1 << 40, 3), plugin="histograms")
    endless = sized(1, b"x") + b"\x2a" + varint(1 << 50)
    run = one_run(event(0, simple("loss", 1.0)), event(1, huge), event(2, endless))
    assert len(run.series) == 1 and not run.histograms
    assert "1 record" in run.notes[0] and "damaged" in run.notes[0]


def test_millions_of_records_like_no_other_end_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "_MOST_LAYOUTS", 500)
    content = event_file(*(event(1, simple(f"tag {k:04}", 1.0)) for k in range(1_000)))
    with pytest.raises(LimitExceeded, match="built like no other"):
        read_events(content, "e")
    records = [event(k, simple(f"tag {k % 100:04}", k)) for k in range(2_000)]
    log = read_events(event_file(*records), "e")
    assert len(log.tags) == 100
    for k, tag in enumerate(log.tags.values()):
        steps, _, values = joined(tag)
        assert steps.tolist() == values.tolist() == list(range(k, 2_000, 100))
    with pytest.raises(LimitExceeded, match="max_rows"):
        read_events(event_file(*records), "e", Settings(max_rows=100))


@given(st.binary(max_size=120))
def test_any_content_in_a_sound_frame_is_answered(content: bytes) -> None:
    log = read_events(event_file(content, event(1, simple("loss", 1.0)), content, content), "e")
    assert log.tags["loss"].steps


def test_odd_hyper_parameters_are_harmless() -> None:
    for content in (b"", b"\x1a\x05\x0a\xff", sized(3, sized(1, sized(1, b"a"))), b"\xff" * 9):
        value = sized(1, b"_hparams_/session_start_info") + metadata("hparams", content)
        run = one_run(event(0, value), event(1, simple("loss", 1.0)))
        assert set(run.config) <= {"a"}
