"""Training sizes as people write them: `500, 1000, 25 %, 100 %`."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from ..wording import listing, percent, plural, quoted

__all__ = ["WrittenSizes", "read_sizes"]

_GROUPED = re.compile(r"\d{1,3}(?:[  ]\d{3})+")  # thousands set apart by spaces
_HOW = "Write numbers of rows, or shares as 25 % or .25, with commas between them."


@dataclass(frozen=True)
class WrittenSizes:
    """What a text of sizes says.

    Attributes
    ----------
    sizes : rows as int, shares as float, as `SizeOptions` takes them, in the order written.
    unread : the parts that are neither, as they were written.
    """

    sizes: tuple[float, ...]
    unread: tuple[str, ...] = ()

    @property
    def problem(self) -> str:
        """A sentence on what could not be read; "" where all of it was."""
        if not self.unread:
            return ""
        verb = "is" if len(self.unread) == 1 else "are"
        what = listing([quoted(one) for one in self.unread], 4)
        return f"{what} {verb} no training size and {verb} left out. {_HOW}"

    def told(self, rows: int) -> str:
        """`25 % (120 rows) and 500 rows`: the sizes within the `rows` that folds learn from."""
        parts = [
            f"{percent(one)} ({plural(int(one * rows), 'row')})"
            if isinstance(one, float)
            else plural(one, "row")
            for one in self.sizes
            if (one * rows if isinstance(one, float) else one) <= rows
        ]
        return listing(parts, 20)


def read_sizes(text: str) -> WrittenSizes:
    """Whole numbers are rows; with a point or a percent sign they are shares of all, up to 100 %.

    Parts stand between commas, semicolons or line ends.
    """
    parts = [part.strip() for part in re.split(r"[,;\n]", text)]
    read = [(part, _size(part)) for part in parts if part]
    return WrittenSizes(
        tuple(size for _, size in read if size is not None),
        tuple(part for part, size in read if size is None),
    )


def _size(part: str) -> float | None:
    bare = re.sub(r"\s*rows?$", "", part, flags=re.IGNORECASE)
    is_share = bare.endswith("%")
    bare = bare.removesuffix("%").strip()
    if _GROUPED.fullmatch(bare) and not is_share:
        bare = re.sub(r"\D", "", bare)
    if not re.fullmatch(r"\+?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", bare, re.IGNORECASE):
        return None
    value = float(bare)
    if is_share or not bare.lstrip("+").isdigit():
        value = value / 100 if is_share else value
        whole = not is_share and value > 1 and value.is_integer()  # 1e3 rows
        return int(value) if whole else value if 0 < value <= 1 else None
    return int(value) if value >= 1 and math.isfinite(value) else None
