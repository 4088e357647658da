"""Readers while a sweep writes: committed cells only, whole ones, and never an error."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

SWEEP = ["sweep", "--models", "pixels", "--datasets", "digits,phantom", "--variants", "original,controls"]
IMAGES = 40
READER = """
import json, sys, time
from pathlib import Path
from flows.ask import ask

QUERY = '''
select cells.cell_key, images_memory + images_query as images, count(distinct image_id) as seen
from cells left join records using (cell_key)
where status = 'done'
group by all
'''
asked, most = 0, 0
while not Path("ended").exists() or not asked:
    if not Path("lake/u1lake.json").exists():
        time.sleep(0.05)
        continue
    rows = ask("lake", QUERY).to_pylist()
    assert all(row["images"] == row["seen"] for row in rows), rows
    asked, most = asked + 1, max(most, len(rows))
print(json.dumps([asked, most]))
"""


def test_eight_readers_see_whole_cells_and_no_error(u1, environment, tmp_path):
    command = ["nice", sys.executable, "-c", READER]  # or eight of them leave the sweep no core
    pipes = {"text": True, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    readers = [subprocess.Popen(command, cwd=tmp_path, env=environment, **pipes) for _ in range(8)]
    try:
        done = u1(*SWEEP, "--limit", IMAGES, "--location-limit", 0)
    finally:
        (tmp_path / "ended").touch()
        ends = [(*reader.communicate(timeout=300), reader.returncode) for reader in readers]
    assert done.returncode == 0, done.stderr
    assert [(errors, status) for _, errors, status in ends] == [("", 0)] * 8
    for said, _, _ in ends:
        asked, most = json.loads(said)
        assert asked > 1
        assert most <= 12
    assert max(json.loads(said)[1] for said, _, _ in ends) > 0
