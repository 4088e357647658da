"""Every .sql file keeps the house style, and the public views keep their columns."""

import re
from pathlib import Path

import pytest

from u1core.cells.variants import VARIANTS
from u1core.lake import views
from u1core.lake.connect import connect, freeze
from u1core.lake.guard import run_query
from u1core.lake.schema import SCHEMAS
from u1core.lake.views import analysis

FILES = sorted(views.sql_dir().rglob("*.sql"))
QUERIES = [path for path in FILES if path.parent.name != "macros"]


def kind_of(path):
    """The folder of sql/ that the file lies in, at whatever depth."""
    return path.relative_to(views.sql_dir()).parts[0]


def name_of(path):
    return path.relative_to(views.sql_dir()).with_suffix("").as_posix()


LAYER_KEYS = "cell_key dataset model variant layer "
IMAGE_KEYS = LAYER_KEYS + "image_id split label class_name "
MEMORY_KEYS = LAYER_KEYS + "split scheme k "
FOCUS = "ee50_radius ee80_radius "

CONTRACT = {
    "records": IMAGE_KEYS + FOCUS + "energy_total dipole_x dipole_y polar_angle_rad",
    "angles": IMAGE_KEYS
    + "theta_image_rad theta_feature_rad strength_image strength_feature is_weak_image is_weak_feature",
    "plane_angles": IMAGE_KEYS + "plane theta_rad strength is_weak",
    "layers": LAYER_KEYS + "layer_index is_bottleneck is_evidence",
    "variant_transforms": "variant expected mirror turn_rad is_jitter",
    "class_directions": LAYER_KEYS
    + "split plane class_name n mean_direction_rad resultant_length rayleigh_p ci_low_rad ci_high_rad",
    "class_bias": LAYER_KEYS + "split plane n classes mww_w mww_dof mww_p mww_q effect_size "
    "effect_corrected effect_se",
    "model_agreement": "dataset plane split model_a variant_a model_b variant_b classes agreement "
    "permutation_p permutation_q is_evidence",
    "loco_directions": " ".join(SCHEMAS["loco_directions"].names),
    "loco_model_agreement": "dataset plane split model_a family_a layer_a cell_key_a model_b family_b "
    "layer_b cell_key_b classes agreement agreement_se permutations smallest_p permutation_p permutation_q",
    "plane_agreement": LAYER_KEYS + "split classes agreement permutation_p permutation_q",
    "plane_agreement_by_frame": LAYER_KEYS + "split frame fits classes n_query agreement agreement_low "
    "agreement_high agreement_p null_agreement_low null_agreement_median null_agreement_high joint_effect "
    "joint_effect_low joint_effect_high joint_effect_p draws is_bottleneck is_evidence agreement_se "
    "joint_effect_se",
    "memory_by_frame": MEMORY_KEYS + "frame fits n_memory n_query accuracy accuracy_low accuracy_high chance "
    "beyond_swapped",
    "class_agreement": "dataset plane split label class_name models mean_direction_rad resultant_length "
    "rayleigh_p rayleigh_q",
    "composition": LAYER_KEYS + "plane split classes agreement permutation_p permutation_q image_correlation",
    "controls": LAYER_KEYS
    + "is_bottleneck plane split expected n complex_correlation turn_rad mean_cosine median_error_rad "
    "class_agreement",
    "placed_angles": LAYER_KEYS
    + "is_bottleneck plane split object_radius is_whole n mean_cosine mean_cosine_se circular_correlation "
    "median_error_rad",
    "occlusion": "cell_key dataset model variant original_key energy_share head_accuracy "
    "head_accuracy_original memory_accuracy memory_accuracy_original",
    "theta_uncertainty": IMAGE_KEYS + "readings theta_image_sd_rad theta_feature_sd_rad",
    "plane_uncertainty": IMAGE_KEYS + "plane readings sd_rad",
    "theta_sectors": LAYER_KEYS + "plane split label class_name sectors sector n",
    "theta_summary": LAYER_KEYS + "plane split n readings median_sd_rad upper_sd_rad",
    "theta_spread": LAYER_KEYS + "plane split bin sd_low_rad sd_high_rad n",
    "weak_angles": LAYER_KEYS + "plane split n weak_share",
    "sombrero": LAYER_KEYS
    + FOCUS
    + "layer_index split a b c trough_radius r_squared anisotropy shape a_se b_se c_se trough_radius_se "
    "shape_is_certain is_evidence",
    "attribution": "cell_key dataset model layer n focus focus_rolled focus_circular floor floor_se "
    "padding_part padding_part_se placement_part placement_part_se total interaction interaction_se "
    "reestimation is_broken",
    "family_tests": "question dataset cell_key cell_key_b p tests q",
    "sombrero_test": LAYER_KEYS
    + "split n radii is_flat r_squared_gain trough_radius rise rise_se anisotropy is_evidence is_shaped",
    "shapes": " ".join(SCHEMAS["shapes"].names),
    "theta_bits": " ".join(SCHEMAS["theta_bits"].names),
    "beyond_bank": " ".join(SCHEMAS["beyond_bank"].names),
    "concentration_by_layer": LAYER_KEYS
    + FOCUS
    + "layer_index split energy_total anisotropy polar_angle_rad coupling_1 coupling_2 class_bias_image "
    "class_bias_feature is_evidence polar_angle_bound_rad polar_angle_share",
    "memory_report": MEMORY_KEYS + "n_memory n_query accuracy ci_low ci_high macro_f1 chance head_accuracy",
    "memory_per_class": MEMORY_KEYS + "label class_name precision recall f1 support",
    "memory_confusion": MEMORY_KEYS + "label class_name predicted_label predicted_class_name n",
    "location_accuracy": LAYER_KEYS + "x y accuracy ci_low ci_high n_query chance",
    "location_report": LAYER_KEYS
    + "n_memory n_query chance pooled_accuracy full_accuracy centre_accuracy corner_accuracy half_radius "
    "ee50_radius is_evidence",
    "training_effect": "experiment task network arm u1_weight seeds pairs accuracy_mean accuracy_sd "
    "difference_mean difference_sd ci_low ci_high permutation_p seeds_needed",
    "files": "cell_key dataset model variant table_name path bytes sha256",
    "sweeps": " ".join(SCHEMAS["sweeps"].names),
    "likeness": " ".join(SCHEMAS["likeness"].names),
    "near_duplicates": " ".join(SCHEMAS["likeness"].names),
    "memory_without_duplicates": LAYER_KEYS + "scheme n_query accuracy n_flagged accuracy_flagged "
    "accuracy_without mirrored_share",
    "registrations": " ".join(SCHEMAS["registrations"].names) + " has_present_rules",
    "registered_cells": "cell_key dataset model variant registration_key registered_at is_registered "
    "is_unseen",
    "seen_before_rules": "kind id sha256",
    "figures": "cell_key dataset model variant plane label class_name n mean_direction_rad resultant_length "
    "accuracy",
    "drift": " ".join(SCHEMAS["sweep_figures"].names)
    + " cell_key_before mean_direction_rad_before resultant_length_before accuracy_before shift changed",
    "cell_figures": "cell_key dataset model variant family is_evidence figure estimate se dof",
    "comparable_cells": "cell_key variant control_key",
    "population": "cell_key dataset model padding figure seeds mean sd bound",
    "claim_rules": "claim question rule test figure variant against bar family_test is_set_after",
    "cell_tests": "claim question rule test dataset model cell_key family figure variant against bar "
    "estimate low high margin q state lacks is_set_after",
    "training_tests": "claim question test dataset model cell_key family bar estimate low high margin state "
    "lacks pairs images",
    "model_tests": "claim question test dataset model cell_key family bar estimate low high margin q state",
    "claim_tests": "claim question test dataset model cell_key family bar estimate low high margin q state "
    "lacks rule is_set_after",
    "claims_by_cell": "claim dataset model cell_key family is_seen is_beyond_controls verdict evidence lacks "
    "todo is_registered",
    "claims": "claim statement is_seen is_beyond_controls verdict evidence caveat cells cells_left_out "
    "families datasets todo is_registered",
    "claims_first_edition": "claim verdict evidence caveat",
    "cells": " ".join(SCHEMAS["cells"].names) + " is_current is_evidence is_from_training",
    **{
        table: " ".join(SCHEMAS[table].names)
        for table in (
            "vectors",
            "frames",
            "planes",
            "energy_maps",
            "neighbours",
            "location_neighbours",
            "failures",
        )
    },
}
"""What docs/lake.md promises of every view; more columns may be added."""


@pytest.fixture(scope="module")
def tables():
    """Every view as a table, so that a query's relations are named and not expanded."""
    connection = connect(None)
    freeze(connection, views.view_files())
    return connection


def without_comments_and_strings(text):
    return re.sub(r"--[^\n]*|'[^']*'", "", text)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_file_keeps_the_house_style(path):
    text = path.read_text()
    code = without_comments_and_strings(text)
    *obligatory, optional = views.HEADER_KEYS
    keys = list(views.read_header(text))
    problems = {
        "header incomplete": keys not in (obligatory, [*obligatory, optional]),
        "columns of what is no view": optional in keys and kind_of(path) != "views",
        "an empty header entry": not all(views.read_header(text).values()),
        "uppercase": code != code.lower(),
        "longer than 80 columns": any(len(line) > 80 for line in text.splitlines()),
        "a tab": "\t" in text,
        "no newline at its end": not text.endswith("\n") or text.endswith("\n\n"),
    }
    assert [name for name, found in problems.items() if found] == []


@pytest.mark.parametrize("path", QUERIES, ids=name_of)
def test_query_is_a_sequence_of_named_steps(path):
    code = without_comments_and_strings(path.read_text()).strip()
    assert re.match(r"with\s", code)
    assert re.search(r"\nselect \* from \w+(\norder by\s[\w\s,]+)?\Z", code)
    assert "group by all" not in code
    assert kind_of(path) == "views" or "order by" in code.rsplit("select * from", 1)[1]


@pytest.mark.parametrize("path", QUERIES, ids=name_of)
def test_header_names_the_relations_read(path, tables):
    text = path.read_text()
    without_parameters = re.sub(r"\$\w+", "1", text)
    assert tables.get_table_names(without_parameters, qualified=True) == views.reads(text)


@pytest.mark.parametrize("path", QUERIES, ids=name_of)
def test_header_names_the_parameters(path):
    text = path.read_text()
    header = views.read_header(text)["Params"]
    used = set(re.findall(r"\$(\w+)", without_comments_and_strings(text)))
    assert used == set(re.findall(r"\$(\w+)", header))
    assert used or header == "none"
    assert not used or kind_of(path) == "analyses"


@pytest.mark.parametrize("view", CONTRACT)
def test_contract_view_exists_on_an_empty_lake(view, tables):
    columns = tables.sql(f"select * from {view}").columns
    assert [name for name in CONTRACT[view].split() if name not in columns] == []


def test_an_empty_lake_gives_empty_views_and_five_claims(tables):
    counts = {name: tables.sql(f"from {name}").to_arrow_table().num_rows for name in views.view_files()}
    assert counts.pop("claims") == counts.pop("claims_first_edition") == 5
    assert counts.pop("variant_transforms") == len(VARIANTS)
    assert counts.pop("claim_rules") > 0
    first = ("claim_focus", "claim_sombrero", "claim_bias", "claim_memory", "claim_training")
    assert {counts.pop(name) for name in first} == {1}
    assert counts.pop("seen_before_rules") > 0
    assert set(counts.values()) == {0}
    verdicts = tables.sql("select distinct verdict from claims").fetchall()
    assert verdicts == [("not tested",)]


def test_every_analysis_runs_on_an_empty_lake():
    values = {"split": "query", "scheme": "theta", "k": 1, "images": 3, "bins": 8, "task": "toy"}
    connection = connect(None)
    for name in views.analyses():
        text = analysis(name)
        params = {key: values[key] for key in re.findall(r"\$(\w+)", views.read_header(text)["Params"])}
        assert run_query(connection, text, params).num_rows == 0


def test_views_come_after_what_they_read():
    names = list(views.view_files())
    for name, text in views.view_files().items():
        assert all(names.index(other) < names.index(name) for other in views.reads(text) if other in names)


def test_a_view_reads_its_own_layer_and_those_before_it():
    layers = {name: Path(path).parent.name for name, path in views.view_paths().items()}
    assert set(layers.values()) == set(views.LAYERS)
    later = (
        f"{name} ({layers[name]}) reads {other} ({layers[other]})"
        for name, text in views.view_files().items()
        for other in sorted(views.reads(text))
        if other in layers and views.LAYERS.index(layers[other]) > views.LAYERS.index(layers[name])
    )
    assert next(later, None) is None


def test_no_two_views_share_a_name():
    names = [path.stem for path in FILES if kind_of(path) == "views"]
    assert sorted(names) == list(views.view_paths())
