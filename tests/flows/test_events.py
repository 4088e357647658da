"""What an interrupted sweep leaves in its process: workers that end, and a next sweep that is free of it."""

import pytest

from tasks import events
from tasks.events import Moved, Stopped, listening, stoppable, tell

MOVED = Moved("a cell", "extract", 1, 2)


def test_work_ends_at_its_next_event_until_another_sweep_begins():
    heard = []
    with listening(heard.append):
        with pytest.raises(KeyboardInterrupt), stoppable():
            tell(MOVED)
            raise KeyboardInterrupt
        with pytest.raises(Stopped):
            tell(MOVED)
        events.begin()
        tell(MOVED)
    assert heard == [MOVED, MOVED]
