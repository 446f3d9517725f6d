"""Remake every sample from its seed: `python -m sample_models.build [KEY …]`.

Writes the files of each sample, `manifest.json` (what the dashboard reads) and the README's
tables. The same machine and versions give the same bytes.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before scikit-learn and TensorFlow load

import argparse
import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .recipes import RECIPES
from .scoring import answer, read_data, score
from .writing import digest

HERE = Path(__file__).resolve().parent
LIMIT = 15_000_000
PACKAGES = ("scikit-learn", "skops", "keras", "numpy", "pandas", "pyarrow")

Entry = dict[str, Any]


def build(key: str, folder: Path) -> Entry:
    """Write the files of one sample and return its complete entry."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        if old.is_file():
            old.unlink()
    sample = RECIPES[key](folder)
    X, y, rows, frame = read_data(folder, sample)
    for model in sample["models"]:
        found = answer(folder, sample, model, X, frame)
        model["scores"] = {
            name: float(f"{value:.9g}") for name, value in score(sample, found, y, rows).items()
        }
    sample["n_rows"], sample["n_evaluated"] = len(frame), int(rows.sum())
    sample["files"] = {
        path.name: {"sha256": digest(path), "bytes": path.stat().st_size}
        for path in sorted(folder.iterdir())
        if path.is_file()
    }
    return sample


def record_units(samples: list[Entry]) -> None:
    """In which units each model can be explained, so that a page need not ask all of them first."""
    from dashboard.data import build_evalset, read_table
    from dashboard.explanation import offered_units
    from dashboard.models import load_native
    from dashboard.samples import read_sample

    for entry in samples:
        sample = read_sample(entry["key"])
        table = read_table(sample.path(sample.data), sample.data)
        evalset = build_evalset(
            table,
            sample.roles_for(table),
            task=sample.task,
            pos_label=sample.pos_label,
            split_value=sample.split_value,
        )
        for model in entry["models"]:
            if model["kind"] == "model":
                opened = load_native(sample.path(model["file"]), model["file"])
                model["units"] = [unit.value for unit in offered_units(opened, evalset)]


def versions() -> dict[str, str]:
    """What the files were made with."""
    import tensorflow as tf

    found = {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}
    return found | {"tensorflow": tf.__version__}  # its package has another name on each platform


def _size(n: int) -> str:
    return f"{n / 1e6:.2f} MB" if n >= 1e6 else f"{n / 1e3:.0f} kB"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _section(sample: Entry) -> str:
    metrics = list(dict.fromkeys(name for model in sample["models"] for name in model["scores"]))
    scores = [
        [model["name"], f"`{model['file']}`"]
        + [f"{model['scores'][name]:.4g}" if name in model["scores"] else "–" for name in metrics]
        for model in sample["models"]
    ]
    files = [
        [f"`{name}`", _size(facts["bytes"]), f"`{facts['sha256']}`"]
        for name, facts in sample["files"].items()
    ]
    evaluated = (
        f"Evaluated on the {sample['n_evaluated']:,} rows whose `{sample['roles']['split']}` is "
        f"`{sample['split_value']}`, of {sample['n_rows']:,}."
        if sample["split_value"]
        else f"Evaluated on all {sample['n_rows']:,} rows."
    )
    return "\n\n".join(
        [
            f"## {sample['title']} (`{sample['key']}`)",
            sample["sentence"],
            f"Task: {sample['task']}. Target: `{sample['target'][0]}`"
            + (f", positive: `{sample['pos_label']}`. " if sample["pos_label"] else ". ")
            + evaluated,
            *NOTES.get(sample["key"], []),
            _table(["model", "file", *metrics], scores),
            _table(["file", "size", "sha-256"], files),
        ]
    )


NOTES: dict[str, list[str]] = {
    "loans": [
        'Synthetic. The planted weak slice is `employment == "self-employed"` and '
        "`months_of_history < 24`: there a coin with a default rate of 30 % decides, whatever the "
        "other columns say. No model can rank these rows, and what each of them learned elsewhere "
        "is wrong here. Customers are on one side of the split only, and some have several loans. "
        "Missing values: income, debt_ratio, home, customer_since. The date columns are not "
        "features of any model.",
    ],
    "five": [
        "From scikit-learn's digits. Both files hold 3-fold cross-validated answers for every "
        'row, so no model is asked about rows it was fitted on. Always answering "not 5", the '
        "baseline, has an accuracy of .899 and a recall of 0. One image gets exactly half of the "
        'forest\'s trees: the forest itself says "not 5" (recall .819), the rule '
        '`score >= threshold` says "5" (recall .824 at the threshold .5).',
    ],
    "digits": [
        "The pipelines take the 64 pixels of a row, the network takes the 8 × 8 image. Training "
        "histories are kept beside the network, as CSV and as JSON.",
        "`network_by_size.csv` is drawn on the page on learning, by training size: the accuracy "
        "of the network with 16 hidden units at five sizes, over five folds of all digits.",
        "`training_runs.zip` holds the logs of six more trainings, each a story for the page on "
        "learning: a small, a reference and a large network (4, 16, 512 and 512 units) on labels "
        "of which 15 % are drawn anew (the large one overfits from the first epochs, the small one "
        "does not); a learning rate that is too high; dropout, whose logged training loss is far "
        "above the real one (.184 logged, .065 measured without dropout at the end); the "
        "pixels as they are (0 to 16) times 255, with histograms of every layer (the first one is "
        "saturated and its gradients vanish).",
    ],
    "parabola": [
        "Synthetic, with the numbers of a book (Géron, Hands-On Machine Learning): 100 points of "
        "y = x²/2 + x + 2 and noise of standard deviation 1, so no model can reach an RMSE much "
        "below 1. On the shipped split, the error on the 20 test rows is 1.27 times that on the "
        "training rows for the parabola and 1.36 times for degree 10. Over 5 folds of all 100 "
        "rows, repeated 20 times, it is 1.03 and 1.17 times.",
    ],
    "diabetes": ["Set the split to `train` to see the unpruned tree's R² of 1."],
    "demand": [
        "Synthetic: one year of hourly values. The test part is the last eight weeks. "
        "`lag_1`, `lag_24` and `lag_168` are the values one hour, one day and one week before.",
    ],
    "churn_predictions": [
        "Synthetic. The two tables hold the customers in another order than the data; their "
        "class columns are named and ordered in two ways.",
    ],
}


def write_readme(manifest: Entry) -> None:
    """README.md from the manifest; nothing in it is written by hand."""
    total = sum(facts["bytes"] for one in manifest["samples"] for facts in one["files"].values())
    made = ", ".join(f"{name} {number}" for name, number in manifest["versions"].items())
    parts = [
        "# Sample models",
        f"{len(manifest['samples'])} samples, {_size(total)} in all (limit {_size(LIMIT)}). "
        "Written by `python -m sample_models.build` from fixed seeds; do not edit it by hand. "
        "`manifest.json` holds the same facts for the dashboard, and `tests/test_samples.py` "
        "checks that every file is as recorded, loads, and scores as recorded.",
        f"Made with {made}. The same versions on the same machine give the same bytes; elsewhere "
        "the scores of the networks may differ in the sixth digit.",
        "Breast cancer, digits and diabetes are the data sets that scikit-learn ships; loans, "
        "demand and churn are synthetic.",
        *[_section(sample) for sample in manifest["samples"]],
    ]
    text = "\n\n".join(parts) + "\n"
    (HERE / "README.md").write_text(text, encoding="utf-8", newline="\n")


def print_scores(sample: Entry) -> None:
    """One line a model."""
    print(f"{sample['key']}: {_size(sum(f['bytes'] for f in sample['files'].values()))}")
    for model in sample["models"]:
        scores = "  ".join(f"{name} {value:.4f}" for name, value in model["scores"].items())
        print(f"  {model['name']:<44} {scores}", flush=True)


def write_manifest(path: Path, manifest: Entry) -> None:
    text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8", newline="\n")


def main(arguments: list[str] | None = None) -> None:
    """Build the samples named, or all, and write manifest and README."""
    parser = argparse.ArgumentParser(description="Remake the sample data and models.")
    parser.add_argument("keys", nargs="*", metavar="KEY", help="samples to remake (default: all)")
    parser.add_argument("--list", action="store_true", help="print the known keys and stop")
    options = parser.parse_args(arguments)
    unknown = [key for key in options.keys if key not in RECIPES]
    if unknown or options.list:
        known = ", ".join(RECIPES)
        raise SystemExit(f"Unknown: {', '.join(unknown)}. Known: {known}" if unknown else known)
    path = HERE / "manifest.json"
    old = json.loads(path.read_text(encoding="utf-8"))["samples"] if path.is_file() else []
    entries = {entry["key"]: entry for entry in old}
    for key in options.keys or RECIPES:
        entries[key] = build(key, HERE / key)
        print_scores(entries[key])
    samples = [entries[key] for key in RECIPES if key in entries]
    manifest = {"versions": versions(), "samples": samples}
    write_manifest(path, manifest)
    record_units(samples)  # read from what was written
    write_manifest(path, manifest)
    write_readme(manifest)
    total = sum(facts["bytes"] for one in samples for facts in one["files"].values())
    print(f"{_size(total)} in all")
    if total > LIMIT:
        raise SystemExit(f"The samples take {total:,} bytes; the limit is {LIMIT:,}.")


if __name__ == "__main__":
    main()
