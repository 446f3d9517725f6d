"""One text: what each of its words adds to the model's answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import Label, OutputSpace, normal_quantile
from ..errors import NotApplicable, ParameterError

__all__ = [
    "FREE_TEXT",
    "MOST_TERMS",
    "SplitText",
    "StrongestWords",
    "WordExplanation",
    "compute_strongest_words",
    "split_text",
    "text_columns",
]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

MOST_TERMS = 300
FREE_TEXT = 4  # words in a cell that is no category
_WORD = re.compile(r"\w+(?:['’]\w+)*")


@dataclass(frozen=True)
class SplitText:
    """A text cut into terms that can be taken out of it.

    Attributes
    ----------
    terms : distinct words, lower case, in the order of their first place; or, in texts of many
        words, runs of consecutive words.
    spans : `(start, end, term)` of every place in the text where a term stands, in order.
    run : words in a term, 1 unless the text has too many.
    """

    text: str
    terms: tuple[str, ...]
    spans: tuple[tuple[int, int, int], ...]
    run: int = 1

    def without(self, present: Bools) -> str:
        """The text with the other terms taken out; the space around them stays."""
        pieces, last = [], 0
        for start, end, term in self.spans:
            pieces.append(self.text[last:start])
            if present[term]:
                pieces.append(self.text[start:end])
            last = end
        pieces.append(self.text[last:])
        return "".join(pieces)


def split_text(text: str, most: int = MOST_TERMS) -> SplitText:
    """The words of a text; each distinct word is one term wherever it stands.

    Texts of more than `most` different words are cut into at most so many runs of words.
    """
    places = [(match.start(), match.end()) for match in _WORD.finditer(text)]
    known: dict[str, int] = {}
    spans = []
    for start, end in places:
        term = known.setdefault(text[start:end].lower(), len(known))
        spans.append((start, end, term))
    if len(known) <= most:
        return SplitText(text, tuple(known), tuple(spans))
    run = -(-len(places) // most)
    runs = [places[at : at + run] for at in range(0, len(places), run)]
    ends = [(part[0][0], part[-1][1]) for part in runs]
    return SplitText(
        text,
        tuple(" ".join(text[start:end].split()) for start, end in ends),
        tuple((start, end, term) for term, (start, end) in enumerate(ends)),
        run,
    )


def text_columns(frame: pd.DataFrame, rows: int = 100) -> tuple[str, ...]:
    """The columns whose cells are texts of several words, told from the first `rows` of them."""
    found = []
    for place, name in enumerate(frame.columns):
        cells = frame.iloc[:rows, place].dropna()
        if pd.api.types.is_numeric_dtype(cells.dtype) or not len(cells):
            continue
        texts = [cell for cell in cells if isinstance(cell, str)]
        words = [len(_WORD.findall(text)) for text in texts]
        if len(texts) == len(cells) and np.mean(words) >= FREE_TEXT:
            found.append(str(name))
    return tuple(found)


@dataclass(frozen=True, eq=False)
class WordExplanation:
    """One model's answer for one text: `base + values.sum(axis=0)` is the prediction.

    Attributes
    ----------
    row : position in the evaluation set; column : where the text stands.
    values : `(n_terms, n_outputs)` Shapley values of the game in which absent words are taken
        out of the text; errors : their standard errors, 0 where exact.
    base : `(n_outputs,)` the answer to the text without any of its words, all else as it is.
    n_texts : shortened texts that the model was asked about.
    """

    model: str
    row: int
    column: str
    split: SplitText
    values: Floats
    errors: Floats
    base: Floats
    predictions: Floats
    output_names: tuple[Label, ...]
    space: OutputSpace
    exact: bool
    n_texts: int
    notes: tuple[str, ...] = ()
    level: float = 0.95

    @property
    def spread(self) -> Floats:
        """`(n_terms, n_outputs)` half of the intervals of `level`."""
        return np.asarray(normal_quantile(self.level) * self.errors)

    def place(self, output: Label | None = None) -> int:
        """Where an output stands; None is the first.

        Raises
        ------
        ParameterError : no such output.
        """
        if output is None:
            return 0
        names = [str(name) for name in self.output_names]
        if str(output) not in names:
            raise ParameterError(f"{self.model} has no output {output!r}. It has {names}.")
        return names.index(str(output))

    def frame(self) -> pd.DataFrame:
        """Columns model, row, output, word, times, value, low, high, base, prediction."""
        times = np.bincount([term for _, _, term in self.split.spans], minlength=len(self.values))
        parts = []
        for k, name in enumerate(self.output_names):
            value, spread = self.values[:, k], self.spread[:, k]
            parts.append(
                pd.DataFrame(
                    {
                        "model": self.model,
                        "row": self.row,
                        "output": name,
                        "word": list(self.split.terms),
                        "times": times,
                        "value": value,
                        "low": value - spread,
                        "high": value + spread,
                        "base": self.base[k],
                        "prediction": self.predictions[k],
                    }
                )
            )
        return pd.concat(parts, ignore_index=True)


@dataclass(frozen=True, eq=False)
class StrongestWords:
    """The same text for one to several models: the words that move them most, in this order.

    Attributes
    ----------
    words : of the `n_words` different ones.
    output : the one that is looked at; None is the first.
    """

    explanations: tuple[WordExplanation, ...]
    words: tuple[str, ...]
    n_words: int
    output: Label | None = None

    def frame(self) -> pd.DataFrame:
        """As `WordExplanation.frame`, for all models and every word."""
        return pd.concat([one.frame() for one in self.explanations], ignore_index=True)


def compute_strongest_words(
    explanations: Sequence[WordExplanation], output: Label | None = None, limit: int = 15
) -> StrongestWords:
    """At most `limit` words, by their mean share of all movement.

    Raises
    ------
    NotApplicable : no model, or models that were given different texts.
    """
    if not explanations:
        raise NotApplicable("No model is explained on this text yet.")
    if len({one.split.text for one in explanations}) > 1:
        raise NotApplicable("The models read different texts of this row; look at one at a time.")
    shares = np.zeros(len(explanations[0].split.terms))
    for one in explanations:
        size = np.abs(one.values[:, one.place(output)])
        shares += size / (size.sum() or 1.0)
    order = np.argsort(-shares, kind="stable")[:limit]
    words = tuple(explanations[0].split.terms[at] for at in order)
    return StrongestWords(tuple(explanations), words, len(shares), output)
