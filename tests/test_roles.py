"""Which column is what, why, and how a person changes it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dashboard.data.readers import Table, read_table
from dashboard.data.roles import ROLES, Roles, infer_roles, snake_name
from dashboard.errors import DataError, ParameterError

N = 40


def table(**columns: object) -> Table:
    return Table.from_frame("t.csv", pd.DataFrame(columns))


def loans(**more: object) -> Table:
    rng = np.random.default_rng(0)
    columns: dict[str, object] = {
        "Unnamed: 0": np.arange(N),
        "application_id": [f"A{i:05d}" for i in range(N)],
        "customer_id": np.arange(N) // 3,
        "weight": rng.uniform(50, 90, N),
        "income": rng.normal(size=N),
        "applied": pd.date_range("2024-01-01", periods=N),
        "default": np.arange(N) % 2,
        "sample_weight": np.ones(N),
        "split": ["train", "test"] * (N // 2),
        "region": ["north", "south"] * (N // 2),
    }
    return table(**{**columns, **more})


def test_every_role_has_a_reason() -> None:
    roles = infer_roles(loans())
    assert roles.target == ("default",)
    assert roles.features == ("weight", "income", "region")
    assert roles.id == "application_id"
    assert roles.group == "customer_id"
    assert roles.weight == "sample_weight"
    assert roles.time == "applied"
    assert roles.split == "split"
    assert roles.ignore == ("Unnamed: 0",)
    for column in loans().columns:
        if roles.role_of(column) != "feature":
            assert roles.reasons[column].endswith(".")


def test_a_body_weight_is_a_feature() -> None:
    health = table(age=range(N), weight=np.linspace(50, 90, N), outcome=[0, 1] * (N // 2))
    roles = infer_roles(health)
    assert roles.weight is None
    assert roles.features == ("age", "weight")
    negative = table(a=range(N), sample_weight=-np.ones(N), y=[0, 1] * (N // 2))
    assert infer_roles(negative).weight is None


@pytest.mark.parametrize(
    ("names", "target"),
    [
        (["a", "target", "b"], "target"),
        (["Label", "a", "b"], "Label"),
        (["a", "y", "class"], "y"),
        (["a", "churn_label", "b"], "churn_label"),
        (["a", "b", "price"], "price"),
    ],
)
def test_the_target_is_found_by_name_else_last(names: list[str], target: str) -> None:
    roles = infer_roles(table(**{name: np.arange(N) / 7 for name in names}))
    assert roles.target == (target,)
    assert ("last column" in roles.reasons[target]) == (target == "price")


def test_given_targets() -> None:
    given = table(a=range(N), b=range(N), c=range(N))
    assert infer_roles(given, target="b").target == ("b",)
    assert infer_roles(given, target=["c", "a"]).target == ("a", "c")
    assert infer_roles(given, target="c, a").target == ("a", "c")
    assert infer_roles(given, target=["c", "a"]).named == ("c", "a")
    assert infer_roles(given, target=["c", "a"]).features == ("b",)
    with pytest.raises(DataError, match="given twice"):
        infer_roles(given, target=["a", "a"])
    with pytest.raises(DataError, match="at least one"):
        infer_roles(given, target=[])


def test_a_target_that_is_not_there_suggests_names() -> None:
    with pytest.raises(DataError, match=r"not a column of t.csv.*Did you mean 'default'"):
        infer_roles(loans(), target="defualt")
    with pytest.raises(DataError, match="Columns: "):
        infer_roles(loans(), target="zzz")


def test_a_given_target_is_never_an_id_or_a_time() -> None:
    roles = infer_roles(loans(), target="customer_id")
    assert roles.target == ("customer_id",)
    assert roles.group is None


def test_one_column_is_too_few() -> None:
    with pytest.raises(DataError, match="one column, 'a'"):
        infer_roles(table(a=[1, 2]))


def test_only_ids_leave_no_target() -> None:
    with pytest.raises(DataError, match="no column left"):
        infer_roles(table(**{"id": range(N), "Unnamed: 0": range(N)}))


def test_ids() -> None:
    y = [0, 1] * (N // 2)
    assert infer_roles(table(PassengerId=range(N), x=range(N), y=y)).id == "PassengerId"
    codes = table(name=[f"INV-{i}" for i in range(N)], x=range(N), y=y)
    assert infer_roles(codes).id == "name"
    texts = table(review=[f"text number {i} is free" for i in range(N)], y=y)
    assert infer_roles(texts).features == ("review",)
    both = table(order_id=range(N), id=range(N, 2 * N), y=y)
    assert infer_roles(both).id == "id"
    repeated = table(id=[1, 1, *range(2, N)], x=range(N), y=y)
    assert infer_roles(repeated).id is None


def test_an_ab_group_is_a_feature() -> None:
    roles = infer_roles(table(group=["a", "b"] * (N // 2), x=range(N), y=[0, 1] * (N // 2)))
    assert roles.group is None
    assert "group" in roles.features


def test_a_numeric_time_is_a_feature_but_a_timestamp_is_a_time() -> None:
    y = [0, 1] * (N // 2)
    assert infer_roles(table(time=np.arange(N) / 3, y=y)).time is None
    assert infer_roles(table(timestamp=np.arange(N) * 1.5, x=y, y=y)).time == "timestamp"


def test_a_split_needs_the_usual_values() -> None:
    y = [0, 1] * (N // 2)
    assert infer_roles(table(split=["a", "b"] * (N // 2), y=y)).split is None
    assert infer_roles(table(Subset=["Train", "Valid"] * (N // 2), x=y, y=y)).split == "Subset"


def test_lists_are_ignored() -> None:
    assert infer_roles(table(e=[[1.0]] * N, x=range(N), y=[0, 1] * (N // 2))).ignore == ("e",)


def test_array_tables() -> None:
    one_hot = np.eye(3)[np.arange(6) % 3]
    given = Table.from_arrays("a", {"X": np.zeros((6, 4)), "y": one_hot})
    assert infer_roles(given).target == ("y_0", "y_1", "y_2")
    with pytest.raises(DataError, match="no labels"):
        infer_roles(Table.from_arrays("a", {"X": np.zeros((6, 4, 4)), "n": np.zeros(2)}))


def test_replace_role_moves_one_column_consistently() -> None:
    start = infer_roles(loans())
    moved = start.replace_role("weight", "weight")
    assert moved.weight == "weight"
    assert moved.role_of("sample_weight") == "feature"
    assert "weight" not in moved.features
    assert moved.reasons["weight"] == "Chosen by you."
    assert set(moved.as_dict()) == set(start.as_dict()) == set(loans().columns)
    assert start.weight == "sample_weight"
    assert start.replace_role("income", "feature") is start


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("column", loans().columns)
def test_every_move_keeps_one_role_per_column(column: str, role: str) -> None:
    moved = infer_roles(loans()).replace_role(column, role)
    assert moved.role_of(column) == role
    held = [*moved.features, *moved.target, *moved.ignore]
    held += [c for c in (moved.id, moved.weight, moved.group, moved.time, moved.split) if c]
    assert sorted(held) == sorted(loans().columns)


def test_targets_are_added_or_replaced() -> None:
    start = infer_roles(loans())
    assert start.replace_role("income", "target").target == ("income", "default")
    exact = start.with_targets(["region"])
    assert exact.target == ("region",)
    assert exact.role_of("default") == "feature"
    assert start.with_targets(["region", "default"]).target == ("default", "region")
    with pytest.raises(ParameterError, match="no column 'nope'"):
        start.with_targets(["nope"])


@pytest.mark.parametrize("picks", [("c", "b", "a"), ("b", "c", "a"), ("a", "c", "b")])
def test_targets_stand_in_the_order_of_the_table_however_they_were_picked(
    picks: tuple[str, ...],
) -> None:
    given = table(x=range(N), a=range(N), b=range(N), c=range(N))
    one_by_one = infer_roles(given)
    assert one_by_one.target == ("c",)
    for pick in picks:
        one_by_one = one_by_one.replace_role(pick, "target")
    at_once = infer_roles(given).with_targets(picks)
    back_and_forth = at_once.replace_role("b", "feature").replace_role("b", "target")
    named = infer_roles(given, target=picks)
    for roles in (one_by_one, at_once, back_and_forth, named):
        assert roles.target == ("a", "b", "c")
        assert roles.features == ("x",)
    assert at_once.named == named.named == picks


def test_features_keep_the_order_of_the_table_after_a_target_was_changed() -> None:
    roles = infer_roles(table(a=range(N), y=range(N), b=range(N))).with_targets(["b"])
    assert roles.features == ("a", "y")


def test_a_guess_from_the_last_column_only_is_a_guess_until_it_is_chosen() -> None:
    given = table(a=range(N), price=range(N))
    assert infer_roles(given).target_is_guess
    assert not infer_roles(given, target="price").target_is_guess
    assert not infer_roles(given).with_targets(["price"]).target_is_guess
    assert not infer_roles(table(a=range(N), churn=range(N))).target_is_guess


def test_unknown_roles_and_columns() -> None:
    roles = Roles(target=("y",), features=("a",))
    with pytest.raises(ParameterError, match=r"no role 'label'.*target, feature"):
        roles.replace_role("a", "label")
    with pytest.raises(ParameterError, match="no column 'b'"):
        roles.replace_role("b", "target")
    assert replace(roles, id="k").role_of("k") == "id"


def test_snake_name() -> None:
    assert snake_name("PassengerId") == "passenger_id"
    assert snake_name(" Sample-Weight ") == "sample_weight"
    assert snake_name("customerID") == "customer_id"


def test_housing(housing_path: Path) -> None:
    roles = infer_roles(read_table(housing_path), target="median_house_value")
    assert len(roles.features) == 9
    assert roles.id is roles.weight is roles.group is roles.time is roles.split is None
