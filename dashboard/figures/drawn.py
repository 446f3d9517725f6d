"""A figure as it is sent to a browser; Plotly's objects are made only where somebody asks for them.

Plotly copies every array of a figure three times and makes an object of every property, which takes
longer than all else that a move of a slider has to do. A figure that is only sent needs neither.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
from _plotly_utils.utils import is_skipped_key, to_typed_array_spec

__all__ = ["Drawn", "Trace", "add_meta", "bar", "heatmap", "image", "meta_of", "scatter"]

Trace = dict[str, Any]

_SHORT = {"<f4": "f4", "<f8": "f8", "|i1": "i1", "|u1": "u1", "<i2": "i2", "<i4": "i4"}
_WHOLE = (str, int, float, bool, type(None))


class Drawn(go.Figure):  # type: ignore[misc]  # Plotly has no types
    """Plotly's figure of one specification, which nobody changes while it is only that.

    Traces (as mappings), notes and shapes can be added. Whatever else is asked of it but `to_dict`
    is asked of Plotly's own objects, which are made then.
    """

    def __init__(self, data: Any = None, layout: Any = None, **options: Any) -> None:
        self._later: tuple[Any, Any, dict[str, Any]] | None = None
        if options.keys() <= {"_validate"} and isinstance(data, list):
            self._later = [*data], {**(layout or {})}, options
        else:  # parts of another figure, as copies and pickles give them
            super().__init__(data, layout, **options)

    def __getattr__(self, name: str) -> Any:
        """What is missing is there when Plotly's objects are."""
        later = vars(self).get("_later")
        if later is None:
            raise AttributeError(name)
        self._later = None
        data, layout, options = later
        super().__init__(data, layout, **options)
        return getattr(self, name)

    @property
    def specification(self) -> dict[str, Any] | None:
        """`{"data": …, "layout": …}` as it was given, None since Plotly's objects were made."""
        return None if self._later is None else {"data": self._later[0], "layout": self._later[1]}

    def add_trace(self, trace: Any, *args: Any, **options: Any) -> Drawn:
        if self._later is None or args or options or not isinstance(trace, dict):
            super().add_trace(trace, *args, **options)
        else:
            self._later[0].append(trace)
        return self

    def add_traces(self, data: Any, *args: Any, **options: Any) -> Drawn:
        if args or options:
            super().add_traces(data, *args, **options)
            return self
        for trace in data:
            self.add_trace(trace)
        return self

    def add_annotation(self, arg: Any = None, **properties: Any) -> Drawn:
        if not self._add("annotations", arg, properties):
            super().add_annotation(arg, **properties)
        return self

    def add_shape(self, arg: Any = None, **properties: Any) -> Drawn:
        if not self._add("shapes", arg, properties):
            super().add_shape(arg, **properties)
        return self

    def add_vline(self, x: Any, *args: Any, **options: Any) -> Drawn:
        whole = {"xref": "x", "yref": "y domain", "x0": x, "x1": x, "y0": 0, "y1": 1}
        if args or not self._add_line(whole, options):
            super().add_vline(x, *args, **options)
        return self

    def add_hline(self, y: Any, *args: Any, **options: Any) -> Drawn:
        whole = {"xref": "x domain", "yref": "y", "x0": 0, "x1": 1, "y0": y, "y1": y}
        if args or not self._add_line(whole, options):
            super().add_hline(y, *args, **options)
        return self

    def _add_line(self, whole: dict[str, Any], options: dict[str, Any]) -> bool:
        """The same for a line across the drawing; one with words is left to Plotly."""
        plain = options.keys() <= {"line", "layer", "opacity", "xref", "yref"}
        return plain and self._add("shapes", {"type": "line", **whole, **options}, {})

    def _add(self, kind: str, one: Any, properties: dict[str, Any]) -> bool:
        """Whether it could be put into the specification; what has a subplot is left to Plotly."""
        given = {**(one if isinstance(one, dict) else {}), **properties}
        parts = {"row", "col", "secondary_y", "exclude_empty_subplots"}
        if self._later is None or not isinstance(one, dict | None) or parts & given.keys():
            return False
        layout = self._later[1]
        layout[kind] = [*layout.get(kind, ()), given]
        return True

    def to_dict(self) -> dict[str, Any]:
        """As Plotly writes it, with the same numbers; nothing in it is the figure's own.

        One that is to be checked (made without `_validate=False`) is written by Plotly itself.
        """
        told = self.specification
        if told is None or not (self._later and self._later[2]):
            plotlys: dict[str, Any] = super().to_dict()
            return plotlys
        sent: dict[str, Any] = _sent(told)
        return sent


def _sent(value: Any) -> Any:
    """A copy with every array in the form that Plotly's library in the browser reads at once."""
    if isinstance(value, _WHOLE):
        return value
    if isinstance(value, dict):
        return {
            name: _encoded(one)
            if isinstance(one, np.ndarray) and not is_skipped_key(name)
            else _sent(one)
            for name, one in value.items()
            if one is not None
        }
    if isinstance(value, (list, tuple)):
        return [_sent(one) for one in value]
    return value


def _encoded(array: npt.NDArray[Any]) -> Any:
    """An array as its bytes; what Plotly has no short name for is left to Plotly."""
    short = _SHORT.get(array.dtype.str)
    if short is None or not array.ndim or not array.size:
        return to_typed_array_spec(array)
    found = {"dtype": short, "bdata": base64.b64encode(array.tobytes()).decode("ascii")}
    if array.ndim > 1:
        found["shape"] = str(array.shape)[1:-1]
    return found


def meta_of(figure: go.Figure) -> dict[str, Any]:
    """`layout.meta` of a figure, which stays as it is."""
    told = figure.specification if isinstance(figure, Drawn) else None
    meta = figure.layout.meta if told is None else told["layout"].get("meta")
    return dict(meta or {})


def add_meta(figure: go.Figure, **more: Any) -> None:
    """Put more into `layout.meta`."""
    meta = {**meta_of(figure), **more}
    told = figure.specification if isinstance(figure, Drawn) else None
    if told is None:
        figure.layout.meta = meta
    else:
        told["layout"]["meta"] = meta


def scatter(**properties: Any) -> Trace:
    """A trace of marks and lines, as a mapping: what Plotly calls `Scatter`."""
    return {"type": "scatter", **properties}


def bar(**properties: Any) -> Trace:
    return {"type": "bar", **properties}


def heatmap(**properties: Any) -> Trace:
    return {"type": "heatmap", **properties}


def image(**properties: Any) -> Trace:
    return {"type": "image", **properties}
