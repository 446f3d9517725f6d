"""The synthetic tables: loans, a noisy parabola, hourly demand, churn. Seeds are fixed."""

from __future__ import annotations

import numpy as np
import pandas as pd

N_LOANS = 12_000
N_CUSTOMERS = 9_000
WEAK_EMPLOYMENT = "self-employed"
WEAK_HISTORY = 24  # months of credit history, exclusive
WEAK_DEFAULT_RATE = 0.30

EMPLOYMENT = ("employed", "self-employed", "retired", "student")
REGIONS = ("coast", "north", "south", "capital", "highlands", "islands")
PURPOSES = ("car", "home repair", "medical", "education", "consolidation", "business", "travel")
HOMES = ("rent", "own", "mortgage")


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-x)))


def _customers(rng: np.random.Generator) -> pd.DataFrame:
    n = N_CUSTOMERS
    employment = rng.choice(EMPLOYMENT, n, p=(0.60, 0.19, 0.12, 0.09))
    age = np.clip(rng.normal(42, 13, n), 18, 80).round().astype("int64")
    age = np.where(employment == "retired", np.clip(age + 22, 58, 84), age)
    age = np.where(employment == "student", np.clip(age - 18, 18, 34), age)
    history = np.minimum(rng.gamma(1.7, 40, n), (age - 17) * 12).round().astype("int64")
    factor = pd.Series({"employed": 1.0, "self-employed": 1.1, "retired": 0.7, "student": 0.4})
    income = rng.lognormal(8.0, 0.42, n) * factor[employment].to_numpy()
    return pd.DataFrame(
        {
            "customer_id": [f"C{i:05d}" for i in range(1, n + 1)],
            "employment": employment,
            "region": rng.choice(REGIONS, n, p=(0.22, 0.2, 0.18, 0.25, 0.1, 0.05)),
            "home": rng.choice(HOMES, n, p=(0.45, 0.2, 0.35)),
            "age": age,
            "months_of_history": history,
            "income": income.round(-1),
            "late_payments": rng.poisson(rng.gamma(0.6, 1.1, n)),
        }
    )


def _loan_terms(rng: np.random.Generator, frame: pd.DataFrame) -> pd.DataFrame:
    n = len(frame)
    frame["purpose"] = rng.choice(PURPOSES, n, p=(0.24, 0.2, 0.08, 0.1, 0.2, 0.08, 0.1))
    frame["amount"] = (rng.lognormal(9.0, 0.7, n)).round(-2)
    frame["term_months"] = rng.choice([12, 24, 36, 48, 60], n, p=(0.12, 0.22, 0.32, 0.2, 0.14))
    frame["has_guarantor"] = rng.random(n) < 0.15
    instalment = frame["amount"] / frame["term_months"]
    other = rng.gamma(1.6, 0.09, n)
    frame["debt_ratio"] = np.clip(other + instalment / frame["income"], 0.01, 1.6).round(3)
    days = rng.integers(0, 3 * 365, n)
    frame["applied_on"] = pd.Timestamp("2022-01-03") + pd.to_timedelta(days, unit="D")
    since = frame["applied_on"] - pd.to_timedelta(rng.integers(5, 4_000, n), unit="D")
    frame["customer_since"] = since.mask(rng.random(n) < 0.12)
    return frame


def _log_odds(frame: pd.DataFrame) -> np.ndarray:
    """The relation that models can learn; bends and interactions are what a linear one misses."""
    ratio = frame["debt_ratio"].to_numpy()
    late = frame["late_payments"].to_numpy()
    history = frame["months_of_history"].to_numpy()
    bend = 3.4 * np.maximum(ratio - 0.38, 0) + 1.1 * ratio
    late_effect = 0.55 * np.minimum(late, 4) * (1 + 0.9 * (ratio > 0.4))
    young = 0.9 * (frame["age"].to_numpy() < 25) + 0.4 * (frame["age"].to_numpy() > 70)
    purpose = frame["purpose"].map({"business": 0.8, "travel": 0.4, "medical": 0.3}).fillna(0.0)
    home = frame["home"].map({"rent": 0.45, "own": -0.4, "mortgage": 0.0})
    work = frame["employment"].map({"student": 0.5, "retired": -0.3}).fillna(0.0)
    guarantor = np.where(frame["has_guarantor"], -1.2 * (late > 0), 0.0)
    income = -0.55 * (np.log(frame["income"].to_numpy()) - 8.0)
    return np.asarray(
        1.35 * (bend + late_effect + young + purpose + home + work + guarantor + income)
        - 0.006 * np.minimum(history, 120),
        dtype="float64",
    )


def _offset(log_odds: np.ndarray, rate: float) -> float:
    low, high = -20.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _sigmoid(log_odds + middle).mean() < rate else (low, middle)
    return (low + high) / 2


def weak_slice(frame: pd.DataFrame) -> pd.Series:
    """Rows of the planted slice of `loans`: self-employed with a short credit history."""
    return (frame["employment"] == WEAK_EMPLOYMENT) & (frame["months_of_history"] < WEAK_HISTORY)


def make_loans() -> pd.DataFrame:
    """12,000 loans of 9,000 customers, about 8 % defaults.

    In the planted slice a coin with `WEAK_DEFAULT_RATE` decides, whatever the columns say: no
    model can rank these rows, and each one learns relations elsewhere that are wrong here.
    """
    rng = np.random.default_rng(20_240_117)
    customers = _customers(rng)
    once = np.arange(N_CUSTOMERS)
    again = rng.choice(N_CUSTOMERS, N_LOANS - N_CUSTOMERS)
    frame = customers.iloc[np.concatenate([once, again])].reset_index(drop=True)
    frame = _loan_terms(rng, frame)
    weak = weak_slice(frame).to_numpy()
    log_odds = _log_odds(frame)
    probability = _sigmoid(log_odds + _offset(log_odds[~weak], 0.072))
    probability = np.where(weak, WEAK_DEFAULT_RATE, probability)
    frame["default"] = np.where(rng.random(N_LOANS) < probability, "yes", "no")
    test_customers = rng.permutation(customers["customer_id"])[: int(0.3 * N_CUSTOMERS)]
    frame["split"] = np.where(frame["customer_id"].isin(test_customers), "test", "train")
    frame["income"] = frame["income"].mask(rng.random(N_LOANS) < 0.06)
    frame["debt_ratio"] = frame["debt_ratio"].mask(rng.random(N_LOANS) < 0.03)
    frame["home"] = frame["home"].mask(rng.random(N_LOANS) < 0.05)
    frame = frame.iloc[np.argsort(frame["applied_on"].to_numpy(), kind="stable")]
    frame = frame.reset_index(drop=True)
    frame.insert(0, "loan_id", [f"L{i:06d}" for i in range(1, N_LOANS + 1)])
    for name in ("employment", "region", "home", "purpose"):
        frame[name] = frame[name].astype("category")
    order = ["loan_id", "customer_id", "applied_on", "customer_since", "employment", "region"]
    order += ["home", "purpose", "age", "income", "debt_ratio", "late_payments"]
    order += ["months_of_history", "amount", "term_months", "has_guarantor", "default", "split"]
    return frame[order]


def make_demand() -> pd.DataFrame:
    """One year of hourly demand in MW: season plus a slowly decaying disturbance.

    The disturbance repeats 98 % of itself every hour, so repeating the last value scores an
    R² of about .93 without knowing anything.
    """
    rng = np.random.default_rng(20_240_229)
    n_lead, n = 168, 365 * 24
    stamp = pd.date_range("2023-01-02", periods=n + n_lead, freq="h")
    hour, weekday = stamp.hour.to_numpy(), stamp.dayofweek.to_numpy()
    yearly = 60 * np.cos(2 * np.pi * (stamp.dayofyear.to_numpy() - 15) / 365)
    daily = 52 * np.sin(2 * np.pi * (hour - 8) / 24) + 24 * np.sin(4 * np.pi * (hour - 5) / 24)
    weekend = np.where(weekday >= 5, -38.0, 0.0)
    shocks = rng.normal(0, 12.0, n + n_lead)
    slow = np.zeros(n + n_lead)
    for i in range(1, n + n_lead):
        slow[i] = 0.98 * slow[i - 1] + shocks[i]
    load = (620 + yearly + daily + weekend + slow).round(1)
    frame = pd.DataFrame({"timestamp": stamp, "load_mw": load})
    for lag in (1, 24, 168):
        frame[f"lag_{lag}"] = frame["load_mw"].shift(lag)
    frame["hour"], frame["weekday"] = hour.astype("int64"), weekday.astype("int64")
    frame = frame.iloc[n_lead:].reset_index(drop=True)
    frame["split"] = np.where(np.arange(n) < n - 56 * 24, "train", "test")
    return frame


def make_churn() -> pd.DataFrame:
    """5,000 customers: features and what they did; recipes keeps the last 2,400 rows."""
    rng = np.random.default_rng(20_240_303)
    n = 5_000
    frame = pd.DataFrame(
        {
            "customer_id": [f"K{i}" for i in rng.permutation(np.arange(100_000, 100_000 + n))],
            "plan": rng.choice(["basic", "plus", "premium"], n, p=(0.5, 0.35, 0.15)),
            "tenure_months": rng.gamma(2.0, 14, n).round().astype("int64"),
            "support_calls": rng.poisson(1.4, n),
            "price_rise": rng.choice([0, 5, 10], n, p=(0.6, 0.25, 0.15)),
        }
    )
    calls, rise = frame["support_calls"].to_numpy(), frame["price_rise"].to_numpy()
    unhappy = 0.95 * calls + 0.22 * rise - 0.06 * np.minimum(frame["tenure_months"].to_numpy(), 60)
    premium = (frame["plan"] != "basic").to_numpy() * 1.0
    odds = np.column_stack(
        [-4.4 + 2.6 * premium + 0.75 * unhappy, -2.6 + 1.3 * unhappy, np.zeros(n)]
    )
    share = np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)
    draw = (rng.random(n)[:, None] > share.cumsum(axis=1)).sum(axis=1)
    frame["outcome"] = pd.Series(["downgrades", "leaves", "stays"])[draw].to_numpy()
    return frame


def make_parabola() -> pd.DataFrame:
    """100 points of y = x²/2 + x + 2 with noise of standard deviation 1: the numbers of the book.

    Géron, Hands-On Machine Learning, chapter 4, with the seed of its notebook.
    """
    rng = np.random.RandomState(42)
    x = 6 * rng.rand(100) - 3
    return pd.DataFrame({"x": x, "y": 0.5 * x**2 + x + 2 + rng.randn(100)})
