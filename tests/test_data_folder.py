"""Files are opened from the one folder that the operator allows, and from nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboard.data import DataFile, list_data_files, read_data_files
from dashboard.errors import DataError, LimitExceeded
from dashboard.settings import Settings

CSV = b"a,b\n1,x\n2,y\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    (root / "parts").mkdir(parents=True)
    (tmp_path / "secret.csv").write_bytes(CSV)
    (root / "big.csv").write_bytes(CSV)
    (root / "parts" / "train.csv").write_bytes(CSV)
    (root / "parts" / "test.csv").write_bytes(b"a,b\n3,x\n")
    (root / ".hidden.csv").write_bytes(CSV)
    (root / "notes.md").write_bytes(b"# no table")
    (root / "out.csv").symlink_to(tmp_path / "secret.csv")
    (root / "away").symlink_to(tmp_path)
    (root / "in.csv").symlink_to(root / "big.csv")
    return root


def test_the_list(folder: Path) -> None:
    settings = Settings(data_dir=str(folder))
    assert list_data_files(settings) == [
        DataFile("big.csv", 12),
        DataFile("in.csv", 12),
        DataFile("parts/test.csv", 8),
        DataFile("parts/train.csv", 12),
    ]
    assert list_data_files(Settings()) == []
    assert list_data_files(Settings(data_dir=str(folder / "none"))) == []


def test_reading(folder: Path) -> None:
    settings = Settings(data_dir=str(folder))
    assert read_data_files(["big.csv"], settings).frame["a"].tolist() == [1, 2]
    both = read_data_files(["parts/train.csv", "parts/test.csv"], settings)
    assert both.frame["split"].tolist() == ["train", "train", "test"]
    assert read_data_files(["big.csv"], settings, delimiter=",").n_read == 2


@pytest.mark.parametrize(
    "name",
    [
        "../secret.csv",
        "parts/../../secret.csv",
        "out.csv",
        "away/secret.csv",
        ".hidden.csv",
        "",
        ".",
        "parts",
        "none.csv",
        "big.csv\0",
        "/etc/passwd",
        "x" * 5000,
        "circle.csv",
    ],
)
def test_nothing_outside(folder: Path, name: str) -> None:
    (folder / "circle.csv").symlink_to("circle.csv")
    with pytest.raises(DataError, match="There is no file"):
        read_data_files([name], Settings(data_dir=str(folder)))
    with pytest.raises(DataError, match="There is no file"):
        read_data_files([str(folder.parent / "secret.csv")], Settings(data_dir=str(folder)))


def test_no_folder_is_set(folder: Path) -> None:
    with pytest.raises(DataError, match="SIDELIGHT_DATA_DIR"):
        read_data_files(["big.csv"], Settings())


def test_larger_than_an_upload(folder: Path) -> None:
    settings = Settings(data_dir=str(folder), upload_limit_mb=1)
    rows = b"1,2\n" * 400_000
    (folder / "large.csv").write_bytes(b"a,b\n" + rows)
    assert read_data_files(["large.csv"], settings).n_read == 400_000
    (folder / "large.csv").write_bytes(b"a,b\n" + rows * 3)
    with pytest.raises(LimitExceeded, match=r"large.csv is 4.6 MB; the limit .* is 4 MB"):
        read_data_files(["large.csv"], settings)
