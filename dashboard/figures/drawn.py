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

__all__ = ["Drawn", "meta_of"]

_SHORT = {"<f4": "f4", "<f8": "f8", "|i1": "i1", "|u1": "u1", "<i2": "i2", "<i4": "i4"}
_WHOLE = (str, int, float, bool, type(None))


class Drawn(go.Figure):  # type: ignore[misc]  # Plotly has no types
    """Plotly's figure of one specification, which nobody changes while it is only that.

    Whatever but `to_dict` is asked of it (its layout, another trace) is asked of Plotly's own
    objects, which are made then.
    """

    def __init__(self, data: Any = None, layout: Any = None, **options: Any) -> None:
        self._later: tuple[Any, Any, dict[str, Any]] | None = None
        if options.keys() <= {"_validate"} and isinstance(data, list):
            self._later = data, layout, options
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

    def to_dict(self) -> dict[str, Any]:
        """As Plotly writes it, with the same numbers; nothing in it is the figure's own."""
        told = self.specification
        if told is None:
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
    if short is None or array.ndim != 1 or not array.size:
        return to_typed_array_spec(array)
    return {"dtype": short, "bdata": base64.b64encode(array.tobytes()).decode("ascii")}


def meta_of(figure: go.Figure) -> dict[str, Any]:
    """`layout.meta` of a figure, which stays as it is."""
    told = figure.specification if isinstance(figure, Drawn) else None
    meta = figure.layout.meta if told is None else (told["layout"] or {}).get("meta")
    return dict(meta or {})
