"""Protocol buffers field by field, against their own library."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import AttributeProto, NodeProto

from dashboard.models.wire import Malformed, delimited, fields, pieces, text_of, varint, within


def node(op: str, ints: list[int]) -> bytes:
    made = NodeProto(op_type=op, name="né", input=["a", "", "b"])
    made.attribute.append(AttributeProto(name="i", ints=ints, f=1.5, type=AttributeProto.INTS))
    return bytes(made.SerializeToString())


@given(st.text(max_size=20), st.lists(st.integers(-(2**63), 2**63 - 1), max_size=5))
def test_fields_are_those_of_the_library(op: str, ints: list[int]) -> None:
    view = memoryview(node(op, ints))
    assert text_of(view, 4) == op
    assert text_of(view, 3) == "né"
    assert [bytes(one) for one in within(view, 1)] == [b"a", b"", b"b"]
    found = next(within(view, 5))
    values = [value for number, value in fields(found) if number == 8]
    assert [one - (1 << 64) if one >= 1 << 63 else one for one in values] == ints
    assert [bytes(one) for number, one in fields(found) if number == 2] == [b"\x00\x00\xc0\x3f"]
    assert b"".join(raw for _, _, raw in pieces(view)) == view


@given(st.integers(1, 2**28), st.integers(0, 2**64 - 1), st.binary(max_size=300))
def test_what_is_written_is_read(number: int, value: int, content: bytes) -> None:
    both = memoryview(delimited(number, value) + delimited(number, content))
    assert list(fields(both)) == [(number, value), (number, content)]
    assert text_of(both, number + 1) == ""


@pytest.mark.parametrize(
    "content",
    [
        b"\x08",  # a number that is cut off
        b"\x08" + b"\xff" * 10 + b"\x01",  # more than ten bytes
        b"\x0a\x05abc",  # longer than its message
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7fabc",
        b"\x0d\x00",  # four bytes that are not there
        b"\x09\x00",  # eight
        b"\x0b\x0c",  # a group
        b"\x0e",  # no wire type
        b"\x00\x01",  # no field number
    ],
)
def test_malformed_bytes_are_said(content: bytes) -> None:
    with pytest.raises(Malformed):
        list(fields(memoryview(content)))


def test_a_number_knows_where_it_ends() -> None:
    assert varint(memoryview(b"\x00\xac\x02\x07"), 1) == (300, 3)


@given(st.binary(max_size=100))
def test_any_bytes_end(content: bytes) -> None:
    try:
        for _ in fields(memoryview(content)):
            pass
    except Malformed as error:
        assert str(error)
