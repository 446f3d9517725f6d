"""Pages give way to moves: between two charts, for as long as a move takes, and not for ever."""

from __future__ import annotations

import threading
import time

from components.courtesy import Courtesy


def _page(courtesy: Courtesy, done: list[str]) -> threading.Thread:
    def draw() -> None:
        courtesy.give_way()
        done.append("page")

    thread = threading.Thread(target=draw)
    thread.start()
    return thread


def test_a_page_waits_until_the_move_is_over() -> None:
    courtesy, done = Courtesy(patience=30), list[str]()
    with courtesy.move():
        page = _page(courtesy, done)
        page.join(0.2)
        done.append("move")
    page.join(10)
    assert done == ["move", "page"]


def test_nobody_is_held_up_for_longer_than_patience_lasts() -> None:
    courtesy, done = Courtesy(patience=0.05), list[str]()
    with courtesy.move():
        page = _page(courtesy, done)
        page.join(10)
        assert done == ["page"]


def test_moves_do_not_wait_for_each_other_nor_for_themselves() -> None:
    courtesy, done = Courtesy(patience=30), list[str]()

    def move() -> None:
        with courtesy.move():
            courtesy.give_way()
            done.append("other")

    started = time.monotonic()
    with courtesy.move():
        courtesy.give_way()
        other = threading.Thread(target=move)
        other.start()
        other.join(10)
        assert done == ["other"]
    assert time.monotonic() - started < 20


def test_a_move_that_fails_is_over() -> None:
    courtesy = Courtesy(patience=30)
    try:
        with courtesy.move():
            raise ValueError
    except ValueError:
        pass
    done = list[str]()
    _page(courtesy, done).join(10)
    assert done == ["page"]
