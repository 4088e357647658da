"""Lakes made of literal rows, inside an in-memory DuckDB."""

import math
import re
from datetime import UTC, datetime

import pytest

from u1core.lake.connect import connect, freeze
from u1core.lake.schema import CELL_TABLES
from u1core.lake.views import view_files

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
CLASSES = ["ant", "bee", "cow"]
PLACES = [("location", -0.5, 0.0), ("location", 0.5, 0.0), ("full", None, None), ("pooled", None, None)]


class LiteralLake:
    """A connection over empty raw tables, with rows typed in by hand."""

    def __init__(self, connection):
        self.connection = connection

    def insert(self, table, *rows, **common):
        """Insert dictionaries; keys left out are null, `common` applies to every row."""
        for row in rows:
            full = common | row
            names = ", ".join(f'"{name}"' for name in full)
            holes = ", ".join(f"${name}" for name in full)
            self.connection.execute(f"insert into lake.{table} ({names}) values ({holes})", full)

    def cell(self, key="k1", dataset="toy", model="net", variant="original", **more):
        """Insert a done cell of one layer 'last' with three classes; return its key columns."""
        keys = {"cell_key": key, "dataset": dataset, "model": model, "variant": variant}
        row = {
            "status": "done",
            "layers": ["last"],
            "bottleneck": "last",
            "class_names": CLASSES,
            "objective": None if more.get("weights") == "none" else "onehot",
            "rows": 0,
            "failures": 0,
            "images_memory": 0,
            "images_query": 0,
            "head_matches": False,
            "committed_at": NOON,
            "selected_at": NOON,
        }
        self.insert("cells", keys | row | more)
        return keys

    def angles(self, keys, angles_by_label, plane="image", split="query", layer="last"):
        """Insert one image per angle of {label: angles}; the other plane's angle is null."""
        column = f"theta_{plane}_rad"
        image = self.rows("select coalesce(max(image_id), -1) + 1 as i from lake.angles")[0]["i"]
        for label, angles in angles_by_label.items():
            for angle in angles:
                self.insert(
                    "angles",
                    {"image_id": image, "label": label, "class_name": CLASSES[label % 3], column: angle},
                    split=split,
                    layer=layer,
                    **keys,
                )
                image += 1

    def copy_cell(self, variant, key="k1"):
        """Insert every row of a cell again as another variant; return the copy's key columns."""
        copied = {"cell_key": f"{key}-{variant}", "variant": variant}
        for table in CELL_TABLES:
            self.connection.execute(
                f"""insert into lake.{table}
                select * replace ($cell_key as cell_key, $variant as variant)
                from lake.{table} where cell_key = $key""",
                copied | {"key": key},
            )
        return self.row("select dataset, model from lake.cells where cell_key = $key", key=key) | copied

    def rows(self, query, **params):
        """Run a query and return its rows as dictionaries."""
        return self.connection.sql(query, params=params or None).to_arrow_table().to_pylist()

    def row(self, query, **params):
        """Run a query that must give one row, and return it."""
        (row,) = self.rows(query, **params)
        return row


@pytest.fixture(scope="session")
def empty():
    """The one connection of all literal lakes, and what it was made of: binding the views takes a second."""
    connection = connect(None)
    return connection, _relations(connection)


@pytest.fixture
def lake(empty):
    connection, made_of = empty
    yield LiteralLake(connection)
    _restore(connection, made_of)


def _relations(connection):
    """Return kind, SQL and comment of every table and view, by schema and name; `register` makes views."""
    query = "select schema_name, {0}_name, '{0}', sql, comment from duckdb_{0}s() where not internal"
    found = [row for kind in ("table", "view") for row in connection.sql(query.format(kind)).fetchall()]
    return {(schema, name): (kind, _in_order(sql), comment) for schema, name, kind, sql, comment in found}


def _in_order(sql):
    """Return SQL with the columns that a star leaves out in order: DuckDB keeps them in any."""
    return re.sub(r"EXCLUDE \(([^()]*)\)", lambda left: f"EXCLUDE {sorted(left[1].split(', '))}", sql)


def _restore(connection, made_of):
    """Empty the tables, and bring back whatever a test made, dropped or froze."""
    there = _relations(connection)
    for schema, name in {**there, **made_of}:
        is_, was = there.get((schema, name)), made_of.get((schema, name))
        if was and was[0] == "table":
            connection.execute(was[1].replace("CREATE TABLE", "CREATE OR REPLACE TABLE", 1))
        elif is_ != was:
            if is_:
                connection.execute(f'drop {is_[0]} {schema}."{name}"')
            if was:
                connection.execute(f"create view {name} as\n{view_files()[name]}")
    assert _relations(connection) == made_of


@pytest.fixture
def healthy_lake(lake):
    """A lake of one cell that every check accepts: 6 images, 3 classes, a failure, two searches."""
    return make_healthy(lake)


@pytest.fixture
def controlled_lake(healthy_lake):
    """The healthy lake's cell again as the baseline of the pictures, at random weights and permuted."""
    return add_controls(healthy_lake)


@pytest.fixture(scope="module")
def frozen_lake():
    """A controlled lake whose answers are tables, of a connection of its own: to be left as it was."""
    lake = add_controls(make_healthy(LiteralLake(connect(None))))
    freeze(lake.connection, [name for name in view_files() if name not in CELL_TABLES])
    return lake


def make_healthy(lake):
    """Fill an empty lake with `healthy_lake`."""
    counts = {
        "pictures_found": 12,
        "pictures_unlabelled": 2,
        "pictures_ignored": 3,
        "pictures_not_selected": 0,
    }
    counts |= {"images_memory": 3, "images_query": 4, "location_memory": 3, "location_query": 3}
    keys = lake.cell(rows=6, failures=1, pictures_repeated=1, **counts)
    lake.insert(
        "failures", {"image_id": 9, "split": "query", "label": 0, "stage": "decode", "error": "torn"}, **keys
    )
    for image in range(6):
        _insert_image(lake, keys, image)
    lake.insert("frames", _frame(), **keys)
    frames = ("coupled", "loco", "within", "swapped", "random", "principal")
    lake.insert("planes", *({"frame": frame} for frame in frames), **_planes(), **keys)
    for label in range(3):
        lake.insert("loco_directions", *({"half": half} for half in (0, 1)), **_direction(label), **keys)
    for split in ("memory", "query"):
        lake.insert("energy_maps", _energy_map(None, 3), split=split, **keys)
        for label in range(3):
            lake.insert("energy_maps", _energy_map(label, 1), split=split, **keys)
    _insert_training_run(lake)
    return lake


def add_controls(lake):
    """Add three cells to `healthy_lake`."""
    lake.connection.execute("update lake.cells set weights = 'some'")
    for variant in ("random-init", "channel-permuted"):
        lake.copy_cell(variant)
    pixels = lake.copy_cell("pixels")["cell_key"]
    for table in CELL_TABLES:
        lake.connection.execute(
            f"update lake.{table} set model = 'pixels', variant = 'original' where cell_key = $key",
            {"key": pixels},
        )
    lake.connection.execute("update lake.cells set weights = 'none' where model = 'pixels'")
    return lake


def _insert_training_run(lake):
    """One run of two epochs, tested on two images."""
    keys = {"run_key": "r", "experiment": "e", "task": "toy", "network": "net", "arm": "u1", "seed": 0}
    row = {"epochs": 2, "is_tested": True, "images_test": 2, "planned_angles_rad": [0.5, math.pi]}
    lake.insert("training_runs", keys | row | {"selected_at": NOON})
    for i in range(2):
        lake.insert("training_epochs", keys | {"epoch": i + 1})
        lake.insert("training_predictions", keys | {"image_id": i, "label": i, "theta_rad": 3.0 * i})


def _insert_image(lake, keys, image):
    """Images 0-2 are memory, 3-5 query; image i has class i % 3 and every query finds all of the memory."""
    label = image % 3
    identity = keys | {
        "layer": "last",
        "image_id": image,
        "split": "memory" if image < 3 else "query",
        "label": label,
        "class_name": CLASSES[label],
    }
    measures = {
        "energy_total": 2.0,
        "dipole_x": 0.1 * math.cos(label + image),
        "dipole_y": 0.1 * math.sin(label + image),
        "ee50_radius": 0.5,
        "ee80_radius": 0.8,
        "centre_density_ratio": 1.5,
        "anisotropy": 0.1,
        "negative_share": 0.0,
        "polar_angle_rad": 0.4,
        "sombrero_a": 1.0,
        "sombrero_b": 2.0 + 0.1 * label,
        "sombrero_c": 2.0,
    }
    lake.insert("records", identity | measures)
    lake.insert("vectors", identity | {"pooled": [1.0, 2.0]})
    angles = {"theta_image_rad": label - 1.0, "theta_feature_rad": label - 1.1}
    lake.insert("angles", identity | angles, strength_image=0.1, strength_feature=0.2)
    if image >= 3:
        for rank in (1, 2, 3):
            neighbour = (label + rank - 1) % 3
            found = {"rank": rank, "memory_image_id": neighbour, "memory_label": neighbour}
            query = {name: identity[name] for name in (*keys, "layer", "image_id", "label")}
            lake.insert("neighbours", query | found, scheme="theta", similarity=1 - 0.1 * rank)
        for scheme, x, y in PLACES:
            found = {"scheme": scheme, "x": x, "y": y, "memory_image_id": label, "memory_label": label}
            lake.insert("location_neighbours", query | found, similarity=0.9)


def _frame():
    return {
        "layer": "last",
        "layer_index": 0,
        "is_bottleneck": True,
        "channels": 2,
        "height": 1,
        "width": 2,
        "n_memory": 3,
        "mean_dipole_x": sum(0.1 * math.cos(2 * image) for image in range(3)) / 3,
        "mean_dipole_y": sum(0.1 * math.sin(2 * image) for image in range(3)) / 3,
        "frame_x": [0.6, 0.8],
        "frame_y": [-0.8, 0.6],
        "coupling_1": 0.2,
        "coupling_2": 0.1,
        "floor_image": 0.01,
        "floor_feature": 0.02,
    }


def _planes():
    """What is the same of every frame."""
    return {
        "layer": "last",
        "classes": 3,
        "agreement": 0.9,
        "agreement_p": 0.05,
        "null_agreement_low": -0.5,
        "null_agreement_high": 0.5,
        "joint_effect": 0.2,
        "joint_effect_p": 0.05,
        "draws": 200,
        "accuracy": 0.4,
        "accuracy_high": 0.4,
    }


def _direction(label):
    """What is the same of both halves of a class: the joint effect of `_planes` is their product."""
    return {
        "layer": "last",
        "label": label,
        "class_name": CLASSES[label],
        "n": 1,
        "resultant_image_x": 0.4,
        "resultant_image_y": 0.0,
        "resultant_feature_x": 0.5,
        "resultant_feature_y": 0.1 * label,
    }


def _energy_map(label, n):
    return {
        "layer": "last",
        "layer_index": 0,
        "label": label,
        "n": n,
        "height": 1,
        "width": 2,
        "mean_energy": [1.0, 1.0],
        "ee50_radius": 0.5,
        "ee80_radius": 0.8,
        "anisotropy": 0.1,
        "radius": [0.5],
        "radial_energy": [1.0],
        "sombrero_a": 1.0,
        "sombrero_b": 2.1,
        "sombrero_c": 2.0,
        "trough_radius": math.sqrt(2.1 / 4),
        "r_squared": 0.95,
    }
