"""Do the rules of the claims tell an effect from its artefacts? Worlds of known answer, judged by them.

Every world is extracted, framed and committed as a sweep does it, with the controls that its verdicts need,
and judged by the view `claims_by_cell`. Shape legend: B images.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import save_file

from u1core.catalog.entries import DatasetEntry, ModelEntry, Preprocessing
from u1core.cells.cell import Cell
from u1core.cells.extract import extract, load_sums
from u1core.cells.finish import commit, fit_frames
from u1core.cells.open_cell import OpenCell
from u1core.cells.search import search_memory
from u1core.cells.variants import SEEDED
from u1core.common.runtime import Runtime
from u1core.images.cache import Images
from u1core.lake.guard import run_query
from u1core.lake.schema import CELL_TABLES
from u1core.lake.store import Lake
from u1core.networks.resolve import resolve
from u1core.networks.weights import pin
from u1core.validate.angles import clear
from u1core.validate.outcome import Finding, Outcome, Size, Table, binomial_band
from u1core.validate.trainings import TRAININGS, insert_trainings
from u1core.validate.worlds import (
    LIGHT,
    OPPOSED,
    SLOPES,
    Draw,
    Reader,
    Scene,
    any_hue,
    anywhere,
    bell,
    centred,
    coloured,
    dealt,
    draw_images,
    drawn,
    in_the_middle,
    leaning,
    paraboloid,
    ring,
    toned,
    written,
)

PADDINGS = ("pad-circular", "pad-reflect")
NATIVE = tuple(name for name in SEEDED if not name.startswith("pad-"))
"""Random weights under their own padding."""

LEVEL = 0.05
"""Share of worlds in which a claim may hold that is false there."""

POWER = 0.5
"""Share of worlds in which a claim must hold that is plainly true there."""

_PREPROCESSING = Preprocessing(32, 1.0, "bilinear", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@dataclass(frozen=True)
class World:
    """Pictures, a network that sees them, and what is true.

    Attributes:
        name: In tables.
        network: What is written down; None for weights at random.
        false: Claims that must not hold.
        true: Claims that may: how often they do is their power.
        open: Claims that hold though they should not: the rules can't tell it from what is meant, and say so
            in docs/method.md.
    """

    name: str
    network: Reader | None
    false: tuple[int, ...] = ()
    true: tuple[int, ...] = ()
    open: tuple[int, ...] = ()


@dataclass(frozen=True)
class Pictures:
    """Pictures of one kind and the worlds that are made of them.

    Attributes:
        draw: What they show.
        worlds: By who looks at them; all share the networks at random.
        controls: Variants beside the original and `PADDINGS`.
    """

    draw: Draw
    worlds: tuple[World, ...]
    controls: tuple[str, ...] = SEEDED


_PASSING, _OPPOSED, _EDGES = Reader(), Reader(mixed=OPPOSED), Reader(seen=SLOPES, mixed=np.eye(8)[:, :4])

KINDS: dict[str, Pictures] = {
    "nothing": Pictures(
        Scene(anywhere),
        (
            World("no effect", _PASSING, false=(1, 2, 3, 4)),
            World("padding alone concentrates", Reader(taps="box"), false=(1, 2, 3, 4)),
            World("weights at random", None, false=(1, 2, 3, 4)),
        ),
    ),
    "centred": Pictures(
        Scene(centred, grey=0.25),
        (
            World("centred pictures, textures and light", _PASSING, false=(1, 2, 3, 4)),
            World("centred pictures, light alone", Reader(mixed=LIGHT), false=(2, 3, 4), open=(1,)),
            World("centred pictures, weights at random", None, false=(1, 2, 3, 4)),
        ),
    ),
    "focus": Pictures(
        Scene(centred, any_hue), (World("a focus of the network", _OPPOSED, false=(2, 3, 4), true=(1,)),)
    ),
    "tones": Pictures(
        Scene(anywhere, whole=toned),
        (
            World("dipoles by padding alone", Reader(aside=True), false=(2, 3)),
            World("memory in any plane", _OPPOSED, false=(2, 3, 4)),
        ),
        NATIVE,
    ),
    "uncoupled": Pictures(
        Scene(leaning, dealt), (World("both planes lean, not coupled", _OPPOSED, false=(2, 3)),), NATIVE
    ),
    "edges": Pictures(
        Scene(leaning, stripes=0.25), (World("edges lean by class", _EDGES, false=(2, 3, 4)),), NATIVE
    ),
    "coupled": Pictures(
        Scene(leaning, coloured), (World("theta coupled", _OPPOSED, false=(2,), true=(3,)),), NATIVE
    ),
    "ring": Pictures(
        Scene(in_the_middle, any_hue, profile=ring),
        (
            World("a Sombrero", _OPPOSED, false=(3, 4), true=(2,)),
            World("a Sombrero, weights at random", None, false=(3, 4)),
        ),
        (),
    ),
    "vignette": Pictures(
        Scene(in_the_middle, grey=0.25, profile=ring),
        (World("a Sombrero in the light of the pictures", Reader(mixed=LIGHT), false=(3, 4), open=(2,)),),
        (),
    ),
    "dome": Pictures(
        Scene(in_the_middle, any_hue, profile=bell), (World("a dome", _OPPOSED, false=(2, 3, 4)),), ()
    ),
    "parabola": Pictures(
        Scene(in_the_middle, any_hue, profile=paraboloid),
        (World("a parabola", _OPPOSED, false=(2, 3, 4)),),
        (),
    ),
}
"""Worlds by the pictures that they share."""


def run_kind(
    connection: duckdb.DuckDBPyConnection, kind: str, per_class: int, rng: np.random.Generator
) -> None:
    """Draw pictures of one kind, run all of its worlds and their controls, and fill the raw tables."""
    pictures = KINDS[kind]
    images = draw_images(pictures.draw, per_class, rng)
    with tempfile.TemporaryDirectory(prefix="u1-worlds-") as folder:
        lake = Lake.open(Path(folder) / "lake", create=True)
        dataset = DatasetEntry(kind, "generated", ("generated",), images.class_names, kind)
        for number, world in enumerate(pictures.worlds):
            model = _model(world, images, Path(folder), int(rng.integers(2**31)), kind)
            controls = () if number else pictures.controls
            for variant in ("original", *PADDINGS, *controls):
                cell = Cell(model, dataset, images.fingerprint, variant)
                run_cell(OpenCell(cell, images, lake), searched=variant not in SEEDED)
        _insert(connection, lake)
    first, *others = (world.name for world in pictures.worlds)
    for other in others:
        _share(connection, kind, first, other)


def run_cell(opened: OpenCell, *, searched: bool = True) -> None:
    """Run one cell from pixels to committed rows, without an orchestrator."""
    runtime = Runtime(batch_size=128, compile=False)
    extract(opened, runtime)
    sums = load_sums(opened)
    fit_frames(opened, sums)
    commit(opened, sums, search_memory(opened) if searched else {}, runtime)


def _model(world: World, images: Images, folder: Path, seed: int, label_space: str) -> ModelEntry:
    memory = ~images.is_query
    shown = torch.from_numpy(np.asarray(images.pixels)[memory]).permute(0, 3, 1, 2).expand(-1, 3, -1, -1)
    inputs = (shown / 255 - 0.5) / 0.5
    label = images.labels[memory]
    state = drawn(seed, inputs, label) if world.network is None else written(world.network, inputs, label)
    path = folder / f"{world.name}.safetensors"
    save_file(state, path)
    entry = ModelEntry(
        world.name,
        "small_cnn:16",
        f"file:{path}",
        preprocessing=_PREPROCESSING,
        label_space=label_space,
        class_names=images.class_names,
    )
    resolved = resolve(entry)
    return pin(replace(resolved, layers=(resolved.bottleneck,)))


def _insert(connection: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    """Copy a lake into the raw tables of a connection."""
    for table in CELL_TABLES:
        files = sorted((Path(lake.root) / table).rglob("*.parquet"))
        if files:
            rows = pa.concat_tables([pq.ParquetFile(file).read() for file in files])
            connection.register("_given", rows)
            connection.execute(f"insert into lake.{table} by name select * from _given")
            connection.unregister("_given")


def _share(connection: duckdb.DuckDBPyConnection, kind: str, of: str, to: str) -> None:
    """Give a network the networks at random of another one: of one architecture, they are the same."""
    for table in CELL_TABLES:
        connection.execute(
            f"""
            insert into lake.{table}
            select * replace ($to as model, cell_key || '-' || $to as cell_key)
            from lake.{table}
            where dataset = $kind and model = $of and contains(variant, 'random-init')
            """,
            {"kind": kind, "of": of, "to": to},
        )


# -- judged -------------------------------------------------------------------------------------------------

STATES = ("holds", "refuted", "inconclusive", "not tested")

_JUDGED = """
select dataset, model, claim, is_seen, is_beyond_controls, verdict
from claims_by_cell
"""


@dataclass(frozen=True)
class Told:
    """What the product said of one claim in every draw of one world.

    Attributes:
        world: Its name.
        claim: 1 to 5.
        answers: (is_seen, is_beyond_controls, verdict) of every draw.
        truth: 'false', 'may hold', 'not told' (see `World.open`), or empty where neither would be a mistake.
    """

    world: str
    claim: int
    answers: tuple[tuple[str, str, str], ...]
    truth: str

    @property
    def held(self) -> int:
        """In how many draws the claim is said to hold."""
        return sum(answer[-1] == "holds" for answer in self.answers)

    def row(self) -> tuple[str, ...]:
        """Return the row of the table."""
        shares = (self._shares(question) for question in range(3))
        return (str(self.claim), self.world, self.truth, str(len(self.answers)), *shares)

    def _shares(self, question: int) -> str:
        """Return the shares of the four states, in their order, in percent."""
        counts = [sum(answer[question] == state for answer in self.answers) for state in STATES]
        return " / ".join(f"{100 * count / len(self.answers):.0f}" for count in counts)


def rules_of_claims(connection: duckdb.DuckDBPyConnection, size: Size, rng: np.random.Generator) -> Outcome:
    """Draw every world, ask the product for its verdicts, and count claims that hold where they must not."""
    answers: dict[tuple[str, int], list[tuple[str, str, str]]] = {}
    trainings = [training.name for training in TRAININGS]
    for number in range(size.rounds):
        clear(connection)
        for kind in size.kinds or KINDS:
            run_kind(connection, kind, size.images_of_worlds, rng)
        if not number:
            insert_trainings(connection, size.trainings, rng)
        rows = run_query(connection, _JUDGED).to_pylist()
        for row in rows:
            world = trainings[int(row["dataset"].split()[0])] if row["claim"] == 5 else row["model"]
            said = (row["is_seen"], row["is_beyond_controls"], row["verdict"])
            answers.setdefault((world, row["claim"]), []).append(said)
    return judge(answers)


def judge(answers: Mapping[tuple[str, int], Sequence[tuple[str, str, str]]]) -> Outcome:
    """Compare what the product said, by world and claim, with what is true."""
    truths = _truths()
    told = [
        Told(world, claim, tuple(said), truths.get((world, claim), ""))
        for (world, claim), said in sorted(answers.items(), key=lambda item: (item[0][1], item[0][0]))
    ]
    false = [one for one in told if one.truth == "false"]
    findings = [_no_more_than_chance("all worlds where one is false", false)]
    for claim in sorted({one.claim for one in false}):
        of_claim = [one for one in false if one.claim == claim]
        findings += [_no_more_than_chance(f"claim {claim}", of_claim)]
        findings += [_no_more_than_chance(f"claim {claim}, {one.world}", [one]) for one in of_claim]
    findings += [_often_enough(one) for one in told if one.truth == "may hold"]
    can_fail = [finding for finding in findings if finding is not None]
    columns = ("claim", "world", "truth", "draws", "is seen", "is beyond controls", "verdict")
    title = f"verdicts in worlds of known answer, in percent: {' / '.join(STATES)}"
    return Outcome(can_fail, [Table(title, columns, [one.row() for one in told])])


def _no_more_than_chance(test: str, told: Sequence[Told]) -> Finding | None:
    """Compare how often claims hold that are false with what chance allows; None where that is always."""
    draws, held = sum(len(one.answers) for one in told), sum(one.held for one in told)
    most = binomial_band(draws, LEVEL)[1] if draws else 1.0
    if most >= 1:
        return None
    return Finding(
        f"false 'holds', {test}",
        f"at most {most:.2f}",
        f"{held / draws:.2f} of {draws}",
        held / draws <= most,
    )


def _often_enough(told: Told) -> Finding:
    share = told.held / len(told.answers)
    test = f"power, claim {told.claim}, {told.world}"
    observed = f"{share:.2f} of {len(told.answers)}"
    return Finding(test, f"at least {POWER:g}", observed, share >= POWER)


def _truths() -> dict[tuple[str, int], str]:
    """Return what is true, by world and claim."""
    worlds = [world for pictures in KINDS.values() for world in pictures.worlds]
    of_cells = {
        **{(world.name, claim): "false" for world in worlds for claim in world.false},
        **{(world.name, claim): "may hold" for world in worlds for claim in world.true},
        **{(world.name, claim): "not told" for world in worlds for claim in world.open},
    }
    return of_cells | {(training.name, 5): training.truth for training in TRAININGS}
