"""Who computes next: by rank, as they came, never more than there is room for."""

from __future__ import annotations

import itertools
import threading
import time

import pytest

from components.turns import Stretch, Turns
from dashboard.errors import ModelError


def _never() -> bool:
    return False


def _waiting(turns: Turns, n: int) -> None:
    until = time.monotonic() + 5
    while len(turns._waiting) < n:
        assert time.monotonic() < until
        time.sleep(0.005)


def test_the_lowest_rank_is_let_in_first_and_equals_as_they_came() -> None:
    turns, order = Turns(1), []

    def work(rank: tuple[float, ...], name: str) -> None:
        with turns.turn(rank, _never):
            order.append(name)

    threads = []
    with turns.turn((0,), _never):
        for at, (rank, name) in enumerate([((2, 1), "late"), ((1, 9), "slow"), ((1, 1), "quick")]):
            threads.append(threading.Thread(target=work, args=(rank, name)))
            threads[-1].start()
            _waiting(turns, at + 1)
        threads.append(threading.Thread(target=work, args=((1, 1), "second")))
        threads[-1].start()
        _waiting(turns, 4)
    for one in threads:
        one.join(5)
    assert order == ["quick", "second", "slow", "late"]


def test_never_more_at_work_than_there_is_room_for() -> None:
    turns, now, most = Turns(2), [], []

    def work() -> None:
        with turns.turn((0,), _never):
            now.append(1)
            most.append(len(now))
            time.sleep(0.02)
            now.pop()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(5)
    assert len(most) == 8 and max(most) == 2


def test_a_slow_model_keeps_the_others_waiting_no_longer_than_patience_lasts() -> None:
    turns, let_in, done = Turns(1, patience=0.2), list[float](), threading.Event()

    def work() -> None:
        with turns.turn((0,), _never):
            let_in.append(time.monotonic())
            done.wait(5)

    begun = time.monotonic()
    with turns.turn((9,), _never):
        threads = [threading.Thread(target=work) for _ in range(2)]
        for one in threads:
            one.start()
        until = begun + 5
        while not let_in and time.monotonic() < until:
            time.sleep(0.01)
        assert let_in and let_in[0] - begun >= 0.2
        time.sleep(0.4)
        assert len(let_in) == 1, "as many again, and no more"
    done.set()
    for one in threads:
        one.join(5)
    assert len(let_in) == 2 and not turns._inside


def test_who_gives_up_while_waiting_keeps_nobody_from_his_turn() -> None:
    turns, gave_up = Turns(1), threading.Event()
    caught: list[Exception] = []

    def impatient() -> None:
        try:
            with turns.turn((0,), gave_up.is_set):
                raise AssertionError("it was not its turn")
        except ModelError as error:
            caught.append(error)

    with turns.turn((5,), _never):
        thread = threading.Thread(target=impatient)
        thread.start()
        _waiting(turns, 1)
        gave_up.set()
        thread.join(5)
    assert len(caught) == 1
    with turns.turn((9,), _never):
        pass


def test_work_that_fails_gives_its_turn_back() -> None:
    turns = Turns(1)
    with pytest.raises(ZeroDivisionError), turns.turn((0,), _never):
        raise ZeroDivisionError
    with turns.turn((0,), _never):
        pass


def _changes(seconds: float) -> int:
    """How often the turn goes to the other of two that want six turns each."""
    turns, order = Turns(1), []
    stretches = [Stretch(turns, seconds), Stretch(turns, seconds)]

    def work(which: int) -> None:
        for _ in range(6):
            with stretches[which].turn(_never):
                order.append(which)
                time.sleep(0.03)
            time.sleep(0.005)  # what a fit is followed by

    threads = [threading.Thread(target=work, args=(which,)) for which in (0, 1)]
    with turns.turn((0,), _never):
        for at, one in enumerate(threads):
            one.start()
            _waiting(turns, at + 1)
    for one in threads:
        one.join(20)
    assert sorted(order) == [0] * 6 + [1] * 6
    return sum(a != b for a, b in itertools.pairwise(order))


def test_a_stretch_is_many_turns_of_one_before_those_of_the_next() -> None:
    assert _changes(60.0) <= 3  # one, but for a machine that is late; 11 if they took turns


def test_a_stretch_ends_and_the_others_have_theirs() -> None:
    assert _changes(0.05) >= 3
