"""Models of one's own in a sweep: with and without weights, with mistakes, by reference."""

import hashlib

import pytest
from safetensors.torch import save_file

from u1core.networks.sources.cifar_resnet import CifarResNet

pytestmark = pytest.mark.slow

CATALOG = """
[models.untrained]
architecture = "cifar_resnet:8"
weights = "none"
label_space = "digits"

[models.mine]
architecture = "cifar_resnet:8"
weights = "file:mine.safetensors"
label_space = "digits"

[models.absent]
architecture = "cifar_resnet:8"
weights = "file:absent.safetensors"
label_space = "digits"

[models.misspelt]
architecture = "cifar_resnet:8"
weights = "none"
label_space = "digits"
layers = ["layer1", "layer9"]
bottleneck = "layer9"

[models.code]
architecture = "code:mynets:small"
weights = "none"
label_space = "digits"
preprocessing = { size = 32, crop_pct = 1, interpolation = "bilinear", mean = [0, 0, 0], std = [1, 1, 1] }
"""
SWEEP = ["--catalog", "mine.toml", "--models-dir", "models", "--datasets", "digits", "--limit", 40]
NAMES = "untrained,mine,absent,code"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "models").mkdir()
    save_file(CifarResNet(8).state_dict(), tmp_path / "models" / "mine.safetensors")
    (tmp_path / "mine.toml").write_text(CATALOG)
    (tmp_path / "mynets.py").write_text(
        "from u1core.networks.sources.cifar_resnet import CifarResNet\n\n"
        "def small():\n    return CifarResNet(14)\n"
    )
    return tmp_path


def test_each_model_stands_for_itself(u1, u1_apart, ask, folder, monkeypatch):
    unreachable = {"HF_HUB_CACHE": str(folder / "hub"), "HF_ENDPOINT": "http://127.0.0.1:9"}
    done = u1_apart("sweep", "--models", f"{NAMES},misspelt,timm:resnet10t", *SWEEP, **unreachable)
    assert done.returncode == 1
    assert "2 cells computed, 0 found done, 4 failed" in done.stdout
    assert "Traceback" not in done.stderr
    code, absent, fetched, misspelt = [line for line in done.stderr.splitlines() if line.startswith("u1: ")]
    assert code.startswith("u1: code failed: expected U1_ALLOW_CODE=1 in the environment")
    assert absent.startswith("u1: absent on digits failed: expected the weights file absent.safetensors")
    assert fetched.startswith("u1: timm.resnet10t.c3_in1k on digits failed: expected the weights of timm/")
    assert misspelt.startswith("u1: misspelt on digits failed: expected a layer of misspelt; got 'layer9'")
    digest = hashlib.sha256((folder / "models" / "mine.safetensors").read_bytes()).hexdigest()
    columns = "model, weights, weights_sha256, is_evidence, head_matches"
    assert ask(f"select {columns} from cells where status = 'done' order by model") == [
        ["mine", "file:mine.safetensors", digest, "true", "true"],
        ["untrained", '"random', ' seed 0"', "", "false", "false"],
    ]
    assert ask("select distinct model from records order by 1") == [["mine"], ["untrained"]]
    # What was missing comes: only those cells run.
    save_file(CifarResNet(8).state_dict(), folder / "models" / "absent.safetensors")
    monkeypatch.syspath_prepend(folder)
    again = u1("sweep", "--models", NAMES, *SWEEP, U1_ALLOW_CODE="1")
    assert again.returncode == 0, again.stderr
    assert "2 cells computed, 2 found done, 0 failed" in again.stdout
    # Other bytes under the same name are another model.
    save_file(CifarResNet(8).state_dict(), folder / "models" / "mine.safetensors")
    assert " stale " in u1("plan", "--models", "mine", *SWEEP[:2], *SWEEP[4:], U1_MODELS="models").stdout


def test_a_plan_of_references_fetches_nothing(u1_apart, tmp_path):
    """In processes of their own: the libraries read where their caches are when they are imported."""
    caches = {"HF_HUB_CACHE": str(tmp_path / "hub"), "TORCH_HOME": str(tmp_path / "torch")}
    models = "timm:resnet10t,timm:vit_tiny_patch16_22?,torchvision:regnet_y_400mf"
    plan = u1_apart("plan", "--models", models, "--datasets", "digits", **caches)
    assert plan.returncode == 0, plan.stderr
    assert plan.stdout.count(" to do ") == 2
    lines = plan.stdout.splitlines()
    fetched = "to be fetched first: timm:resnet10t.c3_in1k, torchvision:regnet_y_400mf@IMAGENET1K_V2"
    assert fetched in lines
    assert any(
        line.startswith("left out: timm.vit_tiny_patch16_224.augreg_in21k_ft_in1k: ") for line in lines
    )
    assert list(tmp_path.iterdir()) == []
    exact = u1_apart("plan", "--models", "timm:vit_tiny_patch16_224", "--datasets", "digits", **caches)
    assert exact.returncode == 1
    assert (
        exact.stderr.startswith("u1: expected a network whose signal stays a map")
        and exact.stderr.count("\n") == 1
    )
