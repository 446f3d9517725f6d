"""The results of searches that loaded models carry, and files of them with what they show."""

from __future__ import annotations

from ..contracts import Model, SearchResults
from ..errors import NotApplicable
from ..explainers.asking import ask
from ..logs.search_tables import read_cv_results
from ..refitting.search_results import read_search_columns

__all__ = ["search_of"]


def search_of(model: Model, name: str) -> SearchResults:
    """Every trial of a fitted search object: GridSearchCV, RandomizedSearchCV, their halving kin.

    Raises
    ------
    NotApplicable : the model is no search.
    ModelError : its worker failed.
    """
    columns = ask(model, "search_results", {"name": name}, {}, read=read_search_columns)
    if not any(key.startswith("mean_test_") for key in columns):
        raise NotApplicable(f"{name} carries no scores of a search.")
    return read_cv_results(columns, name)
