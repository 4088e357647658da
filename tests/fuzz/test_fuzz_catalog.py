"""Whatever a catalog file holds: entries, or a U1Error of one line."""

from itertools import chain

import tomlkit
from fuzzing import answer, damaged, fuzzed, words
from hypothesis import example, given
from hypothesis import strategies as st

from u1core.catalog import catalog as module
from u1core.catalog import datasets, models
from u1core.catalog.catalog import load_catalog

NUMBERS = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.booleans(),
    st.sampled_from(("1/2", "128/255", "1e999", "1e99999999999", "1/0", "nan", "-1/2", 0.5, 1.0, 224)),
)
ANYTHING = st.recursive(
    st.one_of(words, NUMBERS, st.dates()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(words, inner, max_size=4)),
    max_leaves=8,
)
PREPROCESSING = st.fixed_dictionaries(
    {
        "size": NUMBERS,
        "crop_pct": NUMBERS,
        "interpolation": st.one_of(st.sampled_from(models.INTERPOLATIONS), ANYTHING),
        "mean": st.one_of(st.lists(NUMBERS, min_size=3, max_size=3), ANYTHING),
        "std": st.one_of(st.lists(NUMBERS, min_size=3, max_size=3), ANYTHING),
    },
    optional={"crop_mode": ANYTHING},
)
TEXTS = st.sampled_from(
    (
        *(
            "timm:resnet18",
            "torchvision:resnet18",
            "cifar_resnet:20",
            "cifar_resnet:" + "9" * 5000,
            "code:a:b",
        ),
        *(
            "pixels:luminance",
            "small_cnn:8",
            "none",
            "file:a.pth",
            "file:/a/../b.pt",
            "package:x",
            "timm:a.b",
        ),
        *(
            "folder",
            "csv",
            "parquet",
            "torchvision",
            "phantom",
            "digits",
            "cifar10",
            "directory:/x",
            "onehot",
        ),
    )
)


def fields(form, special):
    """Fields of an entry: known ones with values of every kind, and unknown ones."""
    known = {name: st.one_of(special.get(name, TEXTS), TEXTS, ANYTHING) for name in form.FIELDS}
    return st.one_of(st.fixed_dictionaries({}, optional=known | {"unknown": ANYTHING}), ANYTHING)


MODEL = fields(models, {"preprocessing": PREPROCESSING, "layers": st.lists(words, max_size=3)})
OPTIONS = st.dictionaries(
    st.one_of(
        st.sampled_from(("path", "class", "arguments", "image", *chain(*datasets.GENERATED.values()))), words
    ),
    st.one_of(st.just("EuroSAT"), ANYTHING),
    max_size=12,
)
DATASET = fields(datasets, {"options": OPTIONS, "images_memory": NUMBERS})
IDS = st.one_of(st.just("mine"), words)
CATALOG = st.fixed_dictionaries(
    {},
    optional={
        "models": st.one_of(st.dictionaries(IDS, MODEL, max_size=2), ANYTHING),
        "datasets": st.one_of(st.dictionaries(IDS, DATASET, max_size=2), ANYTHING),
        "cluster": ANYTHING,
        "other": ANYTHING,
    },
)
BUILT_IN = module.Path(module.__file__).with_name("catalog.toml").read_bytes()


@fuzzed
@given(CATALOG)
def test_a_catalog_of_any_values(tmp_path_factory, raw):
    try:
        text = tomlkit.dumps(raw)
    except (ValueError, TypeError, AttributeError):  # what TOML can't say
        return
    path = tmp_path_factory.getbasetemp() / "values.toml"
    path.write_text(text, encoding="utf-8", errors="replace")
    answer(load_catalog, path)


@fuzzed
@given(
    st.one_of(damaged([BUILT_IN, b"[models.a]\narchitecture = 'timm:resnet18'\n"]), st.binary(max_size=200))
)
@example(b"a = " + b"[" * 100_000)
@example(b"a = " + b"9" * 5000)
def test_a_catalog_of_any_bytes(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "bytes.toml"
    path.write_bytes(content)
    loaded = answer(load_catalog, path)
    assert loaded is None or set(loaded.models) >= set(load_catalog().models)
