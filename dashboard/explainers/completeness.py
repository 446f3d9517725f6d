"""Whether expected gradients add up to a network's answers, within what can be chance."""

from __future__ import annotations

import math

import numpy as np

from ..errors import ModelError
from ..wording import number
from .subjects import FloatArray

__all__ = ["check_complete", "rounded_up"]

SEVERAL = 10  # rows, over which chance would even out


def check_complete(gaps: FloatArray, allowed: FloatArray, usual: FloatArray) -> None:
    """Before sums are settled: raises `ModelError` where they miss by more than their errors say.

    `allowed` in any row; `usual` over all of them, since chance is as often small as large.
    """
    off = (np.abs(gaps) > allowed).any(axis=1)
    overall, chance = (np.sqrt((each**2).mean(axis=0)) for each in (gaps, usual))
    if off.any() or (len(gaps) >= SEVERAL and (overall > chance).any()):
        worst = np.unravel_index(np.argmax(np.abs(gaps) / allowed), gaps.shape)
        raise ModelError(
            "Expected gradients do not add up to the network's answers: "
            f"{number(abs(float(gaps[worst])))} is missing in one of {len(gaps):,} rows where "
            f"{number(float(allowed[worst]))} can be chance. The network has steps that gradients "
            "do not see."
        )


def rounded_up(x: float) -> str:
    """To 1, 2 or 5 times a power of ten, so that blocks of rows say the same."""
    if x <= 0:
        return "0"
    power = 10.0 ** math.floor(math.log10(x))
    return number(power * next(step for step in (1, 2, 5, 10) if x <= step * power * 1.0000001))
