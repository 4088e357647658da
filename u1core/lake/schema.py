"""The tables of the lake: one schema per table, declared once, a description and a unit per column.

Every file carries its keys as columns, so nothing is ever inferred from a path. `docs/lake.md` is
checked against this module by a test.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import pyarrow as pa

from u1core.measures.focus import Focus

SCHEMA_VERSION = 8
"""Of a lake: raise it when columns change, and say in `u1core.lake.migrate` how the last one gets there."""


@dataclass(frozen=True)
class Column:
    """One column: its name, Arrow type, unit ('1' for pure numbers, '' for names) and description."""

    name: str
    type: pa.DataType
    unit: str
    description: str


def _column(name: str, type_: pa.DataType, unit: str, description: str) -> Column:
    return Column(name, type_, unit, description)


_text, _int, _real, _flag = pa.string(), pa.int64(), pa.float64(), pa.bool_()
_reals = pa.list_(pa.float64())

_CELL = (
    _column(
        "cell_key",
        _text,
        "",
        "hash of weights, preprocessing, layers, precision, images and the version of what is measured",
    ),
    _column("dataset", _text, "", "dataset id of the catalog"),
    _column("model", _text, "", "model id of the catalog"),
    _column("variant", _text, "", "'original', or the control that was run: see docs/method.md"),
)
_LAYER = (*_CELL, _column("layer", _text, "", "dotted path of the layer t inside the model"))
_IMAGE = (
    _column("image_id", _int, "1", "position of the image in its dataset, over all splits"),
    _column("split", _text, "", "'memory' or 'query'"),
    _column("label", _int, "1", "class index"),
    _column("class_name", _text, "", "class name"),
)
_FOCUS = tuple(_column(f.name, _real, f.metadata["unit"], f.metadata["description"]) for f in fields(Focus))
# Of a mean map the dipole and the total say nothing that the maps themselves do not.
_OF_MEANS = tuple(c for c in _FOCUS if not c.name.startswith(("energy_", "dipole_", "quadrupole_")))
_SOMBRERO = tuple(c for c in _OF_MEANS if c.name.startswith("sombrero_"))
_CONCENTRATION = tuple(c for c in _OF_MEANS if c not in _SOMBRERO)

_RUN = (
    _column(
        "run_key", _text, "", "hash of task, network, recipe, arm, weight, seed and, if measured, angles"
    ),
    _column(
        "experiment", _text, "", "hash of what runs share to be compared: all of that but arm, weight, seed"
    ),
    _column("task", _text, "", "dataset id of the catalog"),
    _column("network", _text, "", "constructor of the network"),
    _column(
        "arm",
        _text,
        "",
        "'onehot', 'onehot+u1', 'u1', 'onehot+shuffled', 'onehot+plane' or 'onehot+smoothing'",
    ),
    _column("u1_weight", _real, "1", "lambda of the loss on points beside the one-hot loss; 0 for 'onehot'"),
    _column("seed", _int, "1", "of initial weights, order of images, augmentation and angles"),
)

_SWEEP = (
    _column("sweep_key", _text, "", "drawn for every sweep or training that came to its end"),
    _column("concluded_at", pa.timestamp("us", tz="UTC"), "UTC", "when it came to its end"),
)


def _with_spread(name: str, description: str) -> tuple[Column, ...]:
    """A figure and its quantiles over several fits."""
    return (
        _column(name, _real, "1", description),
        _column(f"{name}_low", _real, "1", f"5 % quantile of {name} over the fits; null where there is one"),
        _column(
            f"{name}_high", _real, "1", f"95 % quantile of {name} over the fits; null where there is one"
        ),
    )


def _with_null(name: str) -> tuple[Column, ...]:
    """How a figure stands in its null, and the null's quantiles."""
    return (
        _column(
            f"{name}_p", _real, "1", f"share of draws whose {name} is as high, the observed one included"
        ),
        _column(f"null_{name}_low", _real, "1", f"5 % quantile of {name} over the draws"),
        _column(f"null_{name}_median", _real, "1", f"median of {name} over the draws"),
        _column(f"null_{name}_high", _real, "1", f"95 % quantile of {name} over the draws"),
    )


def _with_error(name: str) -> Column:
    """How sure a mean over classes is."""
    return _column(
        f"{name}_se",
        _real,
        "1",
        f"standard error of {name}: jackknife over classes, fits without each; 'loco' only, and null where "
        "both planes asked the same images, before schema 8",
    )


COLUMNS: dict[str, tuple[Column, ...]] = {
    "cells": (
        *_CELL,
        _column("status", _text, "", "'done' or 'failed'; only done cells are readable through the views"),
        _column("error", _text, "", "the one line that says why a failed cell failed; null when done"),
        _column("architecture", _text, "", "constructor of the network"),
        _column(
            "family",
            _text,
            "",
            "design that the network is one size or recipe of; null where nobody said, and before schema 7",
        ),
        _column("weights", _text, "", "where the weights come from; 'random, seed N' where untrained"),
        _column("weights_sha256", _text, "", "sha256 of the weights file; null for random weights"),
        _column(
            "objective",
            _text,
            "",
            "what the weights were trained by: 'onehot' (classes), or another arm of training; null for "
            "random weights",
        ),
        _column("preprocessing", _text, "", "resize, crop and normalisation, as JSON"),
        _column("layers", pa.list_(_text), "", "layers recorded, in order of execution"),
        _column("bottleneck", _text, "", "the layer with the last H x W > 1 before the collapse"),
        _column("dataset_fingerprint", _text, "", "sha256 over pixels and labels of the whole dataset"),
        _column("class_names", pa.list_(_text), "", "class names by label"),
        _column("image_limit", _int, "images", "class-balanced images per split; null for all"),
        _column(
            "location_limit", _int, "images", "class-balanced images per split asked for the location memory"
        ),
        _column(
            "memory",
            _text,
            "",
            "'official', or 'held-out': half of the query split, the memory split left alone; null: official",
        ),
        _column("location_memory", _int, "images", "memory images of the location memory"),
        _column("location_query", _int, "images", "query images of the location memory"),
        _column("images_memory", _int, "images", "images selected in the memory split"),
        _column("images_query", _int, "images", "images selected in the query split"),
        _column("rows", _int, "images", "images recorded; rows + failures = images_memory + images_query"),
        _column("failures", _int, "images", "images that could not be recorded"),
        _column(
            "pictures_found",
            _int,
            "images",
            "everything that the dataset's source held: rows + failures + the next three; null, like those, "
            "where pictures were cached before they were counted",
        ),
        _column("pictures_unlabelled", _int, "images", "pictures without a label"),
        _column("pictures_ignored", _int, "images", "hidden and foreign files, and those of unused splits"),
        _column("pictures_not_selected", _int, "images", "pictures that image_limit leaves out"),
        _column("ignored_kinds", pa.list_(_text), "", "what was ignored, by suffix or place: '12 .tga'"),
        _column(
            "pictures_repeated",
            _int,
            "images",
            "selected query images that are memory images too, to the byte: memory knows their answer",
        ),
        _column("head_matches", _flag, "", "the model's own head predicts this dataset's classes"),
        _column("precision", _text, "", "arithmetic of the forward pass: float32, bfloat16 or float16"),
        _column("device", _text, "", "torch device of the forward pass"),
        _column(
            "batch_size", _int, "images", "images per forward pass; the smallest, where memory made it halve"
        ),
        _column(
            "execution", _text, "", "how forward passes ran: compiled or eager, folded, and why not more"
        ),
        _column(
            "canary_difference",
            _real,
            "1",
            "largest difference between two pictures' rows alone and in a batch, as a share of their norm; "
            "null where nobody looked",
        ),
        _column("seconds", _real, "s", "wall time of the extraction, summed over its parts"),
        _column("images_per_second", _real, "1/s", "rows over seconds"),
        _column(
            "decode_s", _real, "s", "in which pixels were made ready, beside a GPU or between forward passes"
        ),
        _column("wait_s", _real, "s", "in which forward passes stood still for a thread: pixels, writing"),
        _column("forward_s", _real, "s", "of forward passes"),
        _column("reduce_s", _real, "s", "of reducing activations to rows"),
        _column("write_s", _real, "s", "in which parts were written, beside the forward passes"),
        _column("schema_version", _int, "1", "version of these schemas"),
        _column("u1sweep_version", _text, "", "version of this package"),
        _column("torch_version", _text, "", "version of torch"),
        _column("committed_at", pa.timestamp("us", tz="UTC"), "UTC", "when the cell was completed"),
        _column(
            "selected_at",
            pa.timestamp("us", tz="UTC"),
            "UTC",
            "when a sweep last asked for this cell: the latest is current",
        ),
    ),
    "records": (
        *_LAYER,
        *_IMAGE,
        *_FOCUS,
        _column("negative_share", _real, "1", "share of the activations below zero"),
        _column("pooled_norm", _real, "activation", "|p|, p = mean of A over (x,y)"),
        _column("axial", _real, "activation", "<p,u>, u = (1,...,1)/sqrt(N)"),
        _column(
            "polar_angle_rad", _real, "rad", "atan2(|p - <p,u>u|, <p,u>): opening from the principal ray"
        ),
        _column(
            "head_label", _int, "1", "class predicted by the model's own head; null where label spaces differ"
        ),
        _column("head_correct", _flag, "", "head_label = label; null where label spaces differ"),
        _column(
            "roll_x",
            _real,
            "half image",
            "by how much the variant rolled the picture to the right, as fed; null where it rolls nothing",
        ),
        _column("roll_y", _real, "half image", "by how much it rolled it up"),
        _column(
            "object_x",
            _real,
            "half image",
            "centre of the object in the picture of a 'placed' data set, before any variant; null elsewhere",
        ),
        _column("object_y", _real, "half image", "the same, y up"),
        _column("object_radius", _real, "half image", "half the side of the square that holds the object"),
    ),
    "vectors": (
        *_LAYER,
        *_IMAGE,
        _column("pooled", pa.list_(pa.float32()), "activation", "pooled vector p, N entries"),
        _column(
            "energy_map",
            pa.list_(pa.float32()),
            "activation^2",
            "E(x,y), H*W entries row by row; bottleneck only",
        ),
    ),
    "energy_maps": (
        *_LAYER,
        _column("layer_index", _int, "1", "position of the layer in order of execution, from 0"),
        _column("split", _text, "", "'memory' or 'query'"),
        _column("label", _int, "1", "class index; null for all images; classes at the bottleneck only"),
        _column("class_name", _text, "", "class name; null for all images"),
        _column("n", _int, "images", "images averaged"),
        _column("height", _int, "px", "H"),
        _column("width", _int, "px", "W"),
        _column("mean_energy", _reals, "activation^2", "mean of E(x,y) over images, H*W entries row by row"),
        *_CONCENTRATION,
        _column("radius", _reals, "half image", "radii of the radial profile: ring means"),
        _column("radial_energy", _reals, "activation^2", "mean energy on each ring"),
        *_SOMBRERO,
        _column("trough_radius", _real, "half image", "sqrt(b/2c); null where b or c is not positive"),
        _column("r_squared", _real, "1", "share of the variance over pixels that the fit explains"),
    ),
    "frames": (
        *_LAYER,
        _column("layer_index", _int, "1", "position of the layer in order of execution, from 0"),
        _column("is_bottleneck", _flag, "", "the layer is the bottleneck"),
        _column("channels", _int, "1", "N"),
        _column("height", _int, "px", "H"),
        _column("width", _int, "px", "W"),
        _column("n_memory", _int, "images", "memory images the frame was fitted on, labels unused"),
        _column("mean_dipole_x", _real, "half image", "mean of dipole_x over the memory split"),
        _column("mean_dipole_y", _real, "half image", "mean of dipole_y over the memory split"),
        _column("mean_chroma", _reals, "1", "mean of h over the memory split, N entries"),
        _column("frame_x", _reals, "1", "column of Q that carries the image's x axis, N entries"),
        _column("frame_y", _reals, "1", "column of Q that carries the image's y axis, N entries"),
        _column("coupling_1", _real, "half image", "larger singular value of K = Cov(h, d)"),
        _column("coupling_2", _real, "half image", "smaller singular value of K"),
        _column(
            "floor_image",
            _real,
            "half image",
            "a tenth of the root mean square of strength_image over the memory split: weaker angles are weak",
        ),
        _column("floor_feature", _real, "1", "the same of strength_feature"),
    ),
    "angles": (
        *_LAYER,
        *_IMAGE,
        _column(
            "theta_image_rad", _real, "rad", "arg(d - mean d), in (-pi, pi]; null where the strength is 0"
        ),
        _column("theta_feature_rad", _real, "rad", "arg(z_1 + i z_2), z = Q^T (h - mean h), in (-pi, pi]"),
        _column("strength_image", _real, "half image", "|d - mean d|"),
        _column("strength_feature", _real, "1", "|z|"),
    ),
    "planes": (
        *_LAYER,
        _column("frame", _text, "", "'coupled', 'loco', 'within', 'swapped', 'random' or 'principal'"),
        _column("fits", _int, "1", "frames of this kind: where there are several, figures are their medians"),
        _column("classes", _int, "1", "classes with query images in both halves, which agreement is over"),
        _column("n_memory", _int, "images", "memory images with chroma and dipole"),
        _column("n_query", _int, "images", "query images with chroma and dipole"),
        *_with_spread(
            "agreement", "A: mean over classes of cos(image direction - feature direction), query split"
        ),
        *_with_spread("joint_effect", "J: mean over classes of Re(conj(r_image) r_feature), query split"),
        _column(
            "draws",
            _int,
            "1",
            "what the null holds: permutations of classes or swapped frames, and what is observed; null "
            "where classes or images are too few to test",
        ),
        *_with_null("agreement"),
        *_with_null("joint_effect"),
        _with_error("agreement"),
        _with_error("joint_effect"),
        *_with_spread(
            "accuracy",
            "share of query images whose nearest memory image by theta has their class; bottleneck only",
        ),
    ),
    "loco_directions": (
        *_LAYER,
        _column("label", _int, "1", "class index"),
        _column("class_name", _text, "", "class name"),
        _column("half", _int, "1", "which half of the class's query images; consecutive ones are parted"),
        _column("n", _int, "images", "of that half, with chroma and dipole"),
        *(
            _column(
                f"resultant_{plane}_{axis}",
                _real,
                "1",
                f"mean {function} of theta_{plane} over them, frame and means fitted without the class",
            )
            for plane in ("image", "feature")
            for axis, function in (("x", "cosine"), ("y", "sine"))
        ),
    ),
    "neighbours": (
        *_LAYER,
        _column("scheme", _text, "", "'pooled', 'chroma', 'theta' or 'energy'"),
        _column("image_id", _int, "1", "query image"),
        _column("label", _int, "1", "class of the query image"),
        _column("rank", _int, "1", "1 for the nearest memory image"),
        _column("memory_image_id", _int, "1", "memory image"),
        _column("memory_label", _int, "1", "class of the memory image"),
        _column("similarity", _real, "1", "cosine; for theta the cosine of the angular difference"),
    ),
    "location_neighbours": (
        *_LAYER,
        _column(
            "scheme",
            _text,
            "",
            "'location' (A(:,x,y) against the memory at its place), 'full' (the flattened map) or 'pooled'",
        ),
        _column("x", _real, "half image", "the place; null for 'full' and 'pooled'"),
        _column("y", _real, "half image", "the place, y up; null for 'full' and 'pooled'"),
        _column("image_id", _int, "1", "query image of the class-balanced subset"),
        _column("label", _int, "1", "class of the query image"),
        _column("memory_image_id", _int, "1", "its nearest memory image of the subset"),
        _column("memory_label", _int, "1", "class of that image"),
        _column("similarity", _real, "1", "cosine"),
    ),
    "shapes": (
        *_LAYER,
        _column("split", _text, "", "'memory' or 'query'"),
        _column(
            "half",
            _int,
            "1",
            "which half of the split, by a hash of image ids, was held out; the other was fitted",
        ),
        _column("n", _int, "images", "held out"),
        _column("radii", _int, "1", "distinct radii of the map's pixels; below five nothing is fitted"),
        _column("is_flat", _flag, "", "a mean map varies by less than 1e-5 of its mean: it has no shape"),
        _column(
            "sombrero_r_squared",
            _real,
            "1",
            "share of the held-out map's variance over pixels that a - b r^2 + c r^4 explains",
        ),
        _column("parabola_r_squared", _real, "1", "the same of a - b r^2"),
        _column("gaussian_r_squared", _real, "1", "the same of a Gaussian and an offset"),
        _column(
            "gain_se",
            _real,
            "1",
            "standard error of the Sombrero's less the better one of the other two, 20 groups of images left "
            "out in turn; null where one of these leaves no shape, and before schema 8, like the next six",
        ),
        _column(
            "trough_radius", _real, "half image", "of the fitted Sombrero; null where b or c is not positive"
        ),
        _column("fall", _real, "1", "b of the fitted Sombrero over the mean of the fitted map"),
        _column("fall_se", _real, "1", "its standard error, in the same way"),
        _column("turn", _real, "1", "(2c - b) over that mean: above 0 the energy rises at r = 1"),
        _column("turn_se", _real, "1", "its standard error, in the same way"),
        _column(
            "anisotropy",
            _real,
            "1",
            "share of the variance over pixels that is angular in both halves alike: the same for both",
        ),
        _column("anisotropy_se", _real, "1", "its standard error, in the same way"),
        _column(
            "rise",
            _real,
            "1",
            "held out: (mean beyond the trough's ring - mean of that ring) / mean of the map; null without a "
            "trough or a pixel beyond it",
        ),
        _column("rise_se", _real, "1", "standard error of rise over the held-out images"),
    ),
    "theta_bits": (
        *_LAYER,
        _column("plane", _text, "", "'image' or 'feature'"),
        _column("n_memory", _int, "images", "memory images with an angle"),
        _column("n", _int, "images", "query images with an angle whose class the memory has"),
        _column("classes", _int, "1", "classes in the memory"),
        _column(
            "kappa",
            _real,
            "1",
            "concentration of the kernel, chosen by leaving memory images out; 0 for none",
        ),
        _column(
            "bits", _real, "bit", "mean over query images of log2 p(c given theta) / p(c); null without any"
        ),
        _column("bits_se", _real, "bit", "standard error of bits over query images"),
        _column("prior_bits", _real, "bit", "entropy of the memory's classes: the most there is to tell"),
    ),
    "beyond_bank": (
        *_LAYER,
        _column("n_memory", _int, "images", "memory images with a dipole, which the fit was made on"),
        _column("terms", _int, "1", "terms of the fit that they determine; null below two images for each"),
        _column("n", _int, "images", "query images of which more than rounding is left; null without a fit"),
        _column("classes", _int, "1", "classes among them; null without a fit"),
        _column(
            "explained",
            _real,
            "1",
            "share of the variance of query images' dipoles that the fit explains, below 0 where it "
            "misleads; null without a fit or a variance",
        ),
        _column(
            "effect_corrected",
            _real,
            "1",
            "of the residual theta_image, query split, as in class_bias; null below two classes",
        ),
        _column("effect_se", _real, "1", "its standard error; null where it is"),
    ),
    "likeness": (
        *_CELL,
        _column("image_id", _int, "1", "query picture"),
        _column("label", _int, "1", "its class"),
        _column("memory_image_id", _int, "1", "the memory picture that it is most like"),
        _column("memory_label", _int, "1", "class of that picture"),
        _column(
            "likeness",
            _real,
            "1",
            "cosine of both pictures' luminance on 8 x 8 pixels, its frequencies weighted by their length",
        ),
        _column(
            "mirrored_likeness",
            _real,
            "1",
            "the same of the mirrored query picture and the memory picture nearest to that: its control",
        ),
    ),
    "failures": (
        *_CELL,
        _column("image_id", _int, "1", "image that has no record"),
        _column("split", _text, "", "'memory' or 'query'"),
        _column("label", _int, "1", "class index"),
        _column("class_name", _text, "", "class name"),
        _column("stage", _text, "", "'decode' or 'forward'"),
        _column("error", _text, "", "what went wrong"),
    ),
    "files": (
        *_CELL,
        _column("table_name", _text, "", "table that the file belongs to"),
        _column("path", _text, "", "the file, below the lake's root"),
        _column("bytes", _int, "B", "its size when the cell was committed"),
        _column("sha256", _text, "", "of its content when the cell was committed"),
    ),
    "sweeps": (
        *_SWEEP,
        _column("computed", _int, "cells", "computed by it; of a training, runs too"),
        _column("found", _int, "cells", "found done"),
        _column("failed", _int, "cells", "failed"),
        _column("failing_checks", pa.list_(_text), "", "checks that had rows"),
        _column("verdicts", pa.list_(_text), "", "verdicts of the claims, by their numbers"),
        _column("u1sweep_version", _text, "", "version of this package"),
    ),
    "sweep_figures": (
        *_SWEEP,
        *_CELL,
        _column("plane", _text, "", "'image' or 'feature'; null for the memory's accuracy"),
        _column("label", _int, "1", "class index; null for the memory's accuracy"),
        _column("class_name", _text, "", "class name; null for the memory's accuracy"),
        _column("n", _int, "images", "of the query split"),
        _column("mean_direction_rad", _real, "rad", "of the class at the bottleneck; null where undefined"),
        _column("resultant_length", _real, "1", "of the class at the bottleneck"),
        _column("accuracy", _real, "1", "of the nearest neighbour, scheme 'pooled'; null for classes"),
    ),
    "registrations": (
        _column("registration_key", _text, "", "hash of all that follows but the time"),
        _column(
            "registered_at",
            pa.timestamp("us", tz="UTC"),
            "UTC",
            "when it was registered; after the commit of every cell that was done then",
        ),
        _column(
            "rules_sha256",
            _text,
            "",
            "sha256 of the SQL that decided verdicts then: comments and white space apart",
        ),
        _column("cell_keys", pa.list_(_text), "", "cell keys of the planned cells"),
        _column("cell_names", pa.list_(_text), "", "the same cells, as model x dataset x variant"),
        _column("seeds", pa.list_(_int), "1", "seeds of random weights among them"),
        _column("request", _text, "", "the options that decide which cells these are, as JSON"),
        _column("u1sweep_version", _text, "", "version of this package"),
    ),
    "training_runs": (
        *_RUN,
        _column("model", _text, "", "model id of the trained network in the catalog and in `cells`"),
        _column("weights_sha256", _text, "", "sha256 of its weights file"),
        _column(
            "is_tested", _flag, "", "the test set was asked: the run's weight was chosen, or the only one"
        ),
        _column("site", _text, "", "where the point of the plane is read: 'head' or 'bottleneck'"),
        _column("angles", _text, "", "where classes got their angles: 'random', 'equispaced' or 'measured'"),
        _column(
            "planned_angles_rad",
            _reals,
            "rad",
            "angle of every class by label, in (-pi, pi]; null for 'onehot'",
        ),
        _column("class_names", pa.list_(_text), "", "class names by label"),
        _column("recipe", _text, "", "what all arms share: schedule, augmentation and the rest, as JSON"),
        _column("epochs", _int, "1", "passes over the training images"),
        _column("parameters", _int, "1", "numbers that were trained, those of a head for points included"),
        _column("images_train", _int, "images", "images trained on, of the memory split"),
        _column("images_validation", _int, "images", "images of the memory split that were held out"),
        _column(
            "images_test",
            _int,
            "images",
            "readable images of the test set, which is the query split; null if untested",
        ),
        _column("precision", _text, "", "arithmetic of forward and backward passes: float32 or bfloat16"),
        _column("device", _text, "", "torch device"),
        _column("seconds", _real, "s", "wall time of all epochs"),
        _column("u1sweep_version", _text, "", "version of this package"),
        _column("torch_version", _text, "", "version of torch"),
        _column("committed_at", pa.timestamp("us", tz="UTC"), "UTC", "when the run was completed"),
        _column(
            "selected_at",
            pa.timestamp("us", tz="UTC"),
            "UTC",
            "when it was last asked for: the latest experiment of a task and network is current",
        ),
    ),
    "training_epochs": (
        *_RUN,
        _column("epoch", _int, "1", "passes over the training images so far, from 1"),
        _column("learning_rate", _real, "1", "at the epoch's end"),
        _column(
            "loss_onehot", _real, "nat", "mean cross-entropy over the epoch's training images; null for 'u1'"
        ),
        _column(
            "loss_point",
            _real,
            "1",
            "mean loss on points, before its weight: 1 - cos(theta_hat - theta_c), in [0, 2]",
        ),
        _column(
            "train_accuracy", _real, "1", "share of the epoch's training images, augmented, that were right"
        ),
        _column(
            "validation_accuracy", _real, "1", "share of the held-out images that are right after the epoch"
        ),
        _column("seconds", _real, "s", "wall time of the epoch, validation included"),
        _column("images_per_second", _real, "1/s", "training images over the time of training alone"),
    ),
    "training_predictions": (
        *_RUN,
        _column("image_id", _int, "1", "test image: position in its dataset, over all splits"),
        _column("label", _int, "1", "class index"),
        _column("class_name", _text, "", "class name"),
        _column(
            "predicted_label",
            _int,
            "1",
            "by the one-hot head; for 'u1' the class with the nearest planned angle",
        ),
        _column(
            "nearest_label", _int, "1", "class with the nearest planned angle; null where none were learned"
        ),
        _column("theta_rad", _real, "rad", "theta_hat, the angle of the image's point; null for 'onehot'"),
    ),
}
"""Columns of every table, by table name."""

CELL_TABLES = tuple(table for table, columns in COLUMNS.items() if columns[0].name == "cell_key")
"""Tables whose files belong to cells; the others' belong to training runs or to sweeps."""


def table_schema(table: str) -> pa.Schema:
    """Return the Arrow schema of one table, with units and descriptions in its field metadata."""
    return pa.schema(
        [
            pa.field(c.name, c.type, metadata={"unit": c.unit, "description": c.description})
            for c in COLUMNS[table]
        ],
        metadata={"u1sweep.table": table, "u1sweep.schema_version": str(SCHEMA_VERSION)},
    )


SCHEMAS: dict[str, pa.Schema] = {table: table_schema(table) for table in COLUMNS}
