"""Work in threads: progress, cancel, results and errors reach the script that waits."""

from __future__ import annotations

import threading

import pytest

from components.jobs import Job
from dashboard.errors import DiagnosticsError, ModelError


def test_it_runs_at_once_and_brings_its_result() -> None:
    job = Job("Adding", lambda _: 1 + 1)
    assert job.result() == 2
    assert job.done and job.wait(0)


def test_what_the_work_raises_is_raised_where_it_is_asked_for() -> None:
    def fail(_: Job[int]) -> int:
        raise ModelError("It is broken.")

    job = Job("Failing", fail)
    for _ in range(2):
        with pytest.raises(ModelError, match="broken"):
            job.result()


def test_progress_is_told_in_words() -> None:
    seen, go_on = threading.Event(), threading.Event()

    def work(job: Job[str]) -> str:
        job.report(1, 4, "block 1 of 4")
        seen.set()
        go_on.wait(10)
        job.report(5, 4)
        return "done"

    job = Job("Asking forest", work)
    assert seen.wait(10)
    assert not job.done and job.wait(0.01) is False
    assert job.words() == "Asking forest: block 1 of 4, 25% …"
    go_on.set()
    assert job.result() == "done"
    assert job.fraction == 1.0


def test_the_length_is_said_only_where_it_is_known() -> None:
    job = Job("Reading", lambda self: self.report(3, 0))
    job.result()
    assert job.fraction is None
    assert job.words() == "Reading …"


def test_work_that_takes_long_says_how_long() -> None:
    job = Job("Reading", lambda _: None)
    job._started -= 61
    assert job.words() == "Reading … 61 s"
    job._started -= 240
    assert job.words() == "Reading … 5 min"


def test_a_cancelled_job_knows_it() -> None:
    asked = threading.Event()

    def work(job: Job[bool]) -> bool:
        asked.wait(10)
        return job.cancelled()

    job = Job("Waiting", work)
    job.cancel()
    asked.set()
    assert job.result() is True


def test_a_job_never_keeps_the_server_from_stopping() -> None:
    go_on = threading.Event()
    job = Job("Endless", lambda _: go_on.wait(10))
    mine = [one for one in threading.enumerate() if one.name == "job Endless"]
    assert [one.daemon for one in mine] == [True]
    go_on.set()
    assert job.result() is True


def test_an_error_that_nobody_foresaw_is_one_sentence(caplog: pytest.LogCaptureFixture) -> None:
    def work(job: Job[int]) -> int:
        raise RuntimeError("secret detail")

    with pytest.raises(DiagnosticsError, match=r"Opening a\.pkl failed in a way that") as caught:
        Job("Opening a.pkl", work).result()
    assert "secret detail" not in str(caught.value)
    assert "secret detail" in caplog.text  # the log has it
