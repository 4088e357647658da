"""Reading ahead keeps order, passes errors on and ends its thread; laps add up."""

import threading
import time

import pytest

from u1core.common.ahead import map_ahead, read_ahead, read_in_turn
from u1core.common.clock import PHASES, Clock


def test_items_come_in_order_and_the_time_is_booked():
    clock = Clock()
    assert list(read_ahead(iter(range(10)), clock)) == list(range(10))
    assert clock.phases["decode"] > 0 and clock.phases["wait"] > 0 and clock.phases["forward"] == 0


def test_reading_is_never_more_than_the_depth_ahead():
    taken = []
    items = read_ahead((taken.append(i) or i for i in range(100)), Clock(), depth=2)
    assert next(items) == 0
    time.sleep(0.05)
    assert len(taken) <= 4
    items.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("u1-pixels")]


def test_workers_begin_nothing_while_it_is_not_their_turn():
    turn, begun = threading.Event(), []
    items = map_ahead(lambda i: begun.append(i) or i, range(20), workers=2, turn=turn)
    reader = read_in_turn(items, Clock(), turn)
    assert next(reader) == 0
    time.sleep(0.05)  # those that were under way come to their end
    held = len(begun)
    time.sleep(0.05)
    assert len(begun) == held and not turn.is_set()
    assert list(reader) == list(range(1, 20)) and sorted(begun) == list(range(20))


def test_closing_lets_go_of_workers_that_wait_for_their_turn():
    turn = threading.Event()
    items = map_ahead(lambda i: i, range(1000), workers=2, turn=turn)
    reader = read_in_turn(items, Clock(), turn)
    assert next(reader) == 0
    reader.close()
    items.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("u1-decode")]


def test_an_error_of_the_reader_reaches_the_caller():
    def broken():
        yield 1
        raise ValueError("no more")

    items = read_ahead(broken(), Clock())
    assert next(items) == 1
    with pytest.raises(ValueError, match="no more"):
        next(items)


def test_laps_add_up_to_the_phases():
    clock = Clock()
    laps = []
    for _ in range(3):
        with clock.phase("forward"):
            time.sleep(0.002)
        laps.append(clock.lap())
    for name in PHASES:
        assert sum(lap[1][name] for lap in laps) == pytest.approx(clock.phases[name])
    assert all(seconds >= phases["forward"] >= 0.002 for seconds, phases in laps)
