"""Another padding: what a torus owes its shifts, what one colour owes every network, who is refused."""

import pytest
import timm
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional
from torchvision.models import googlenet, vgg

from u1core.common.errors import U1Error
from u1core.networks.fold import deviation, fold_batch_norms
from u1core.networks.padding import Repadded, check_padding, padded
from u1core.networks.sources.cifar_resnet import CifarResNet
from u1core.networks.taps import Taps

SEVERAL = {"circular": [1, 2, 0, 1, 2, 0, 1, 2, 0], "reflect": [1, 0, 1, 2, 1, 0, 1, 2, 1]}
"""A row of three, three more at each side, from its third place on, by hand."""


@pytest.mark.parametrize("mode", ["circular", "reflect"])
@given(sides=st.tuples(*[st.integers(0, 3)] * 4))
def test_within_a_map_it_is_torch_s_own_padding(mode, sides):
    x = torch.arange(20.0).view(1, 1, 4, 5)
    torch.testing.assert_close(
        Repadded(mode).extend(x, sides), functional.pad(x, sides, mode), rtol=0, atol=0
    )


@pytest.mark.parametrize("mode", SEVERAL)
def test_what_is_wider_than_the_map_goes_on(mode):
    row = torch.arange(3.0).view(1, 1, 1, 3)
    start = {"circular": 5, "reflect": 5}[mode]
    extended = Repadded(mode).extend(row, (start, 1, 0, 2))
    assert extended.shape == (1, 1, 3, 9)
    assert extended[0, 0, 2].tolist() == SEVERAL[mode]


def test_one_pixel_is_all_there_is_around_it():
    pixel = torch.full((1, 1, 1, 1), 7.0)
    for mode in SEVERAL:
        assert Repadded(mode).extend(pixel, (3, 1, 2, 2)).unique().tolist() == [7.0]


NETWORKS = {
    "resnet20": (lambda: CifarResNet(20), 32, 4, "layer3"),
    "resnet18": (torchvision.models.resnet18, 64, 32, "layer4"),
    "mobilenet_v2": (torchvision.models.mobilenet_v2, 64, 32, "features"),
    "vgg11_bn": (lambda: vgg.make_layers(vgg.cfgs["A"], batch_norm=True), 64, 16, "27"),
    "densenet121": (torchvision.models.densenet121, 64, 32, "features"),
    "efficientnet_lite0": (lambda: timm.create_model("tf_efficientnet_lite0"), 64, 32, "conv_head"),
    "googlenet": (lambda: googlenet(init_weights=False, aux_logits=False), 64, 32, "inception5b"),
}
"""Constructor, side, total stride, last map: residual, depthwise, plain, dense, same padding, ceil mode."""


@pytest.fixture(scope="module", params=NETWORKS)
def network(request):
    build, size, stride, layer = NETWORKS[request.param]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build().eval(), size, stride, layer


def energy(network, layer, pictures):
    with torch.inference_mode():
        return Taps(network, [layer])(pictures)[layer].double().square().sum(1)


def test_a_shift_by_the_total_stride_rolls_the_energy(network):
    network, size, stride, layer = network
    picture = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    moved = picture.roll((stride, -stride), (2, 3))
    with padded("circular"):
        assert check_padding(network, size, "circular", "it") > 0
        before, after = energy(network, layer, picture), energy(network, layer, moved)
    assert before.shape[-1] == size // stride >= 2
    torch.testing.assert_close(
        after, before.roll((1, -1), (1, 2)), rtol=1e-5, atol=1e-5 * float(before.max())
    )
    as_built = energy(network, layer, picture).roll((1, -1), (1, 2)) - energy(network, layer, moved)
    assert as_built.abs().max() > 1e-3 * before.max()  # zeros are no torus


@pytest.mark.parametrize("mode", ["circular", "reflect"])
def test_one_colour_gives_a_flat_map(network, mode):
    network, size, _, layer = network
    colour = torch.tensor([0.3, -1.0, 2.0]).view(1, 3, 1, 1).expand(1, 3, size, size)
    with padded(mode):
        flat = energy(network, layer, colour)
    assert flat.max() - flat.min() < 1e-4 * flat.max()


class Pools(nn.Module):
    """Every way to pad that no network above has: numbers, names, functions, asymmetric, off the edge."""

    def __init__(self):
        super().__init__()
        self.same = nn.Conv2d(3, 4, (2, 5), padding="same", dilation=2)
        self.reflecting = nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")
        self.average = nn.AvgPool2d(3, 1, 1, count_include_pad=False)
        self.most = nn.MaxPool2d(3, 1, 1)

    def forward(self, x):
        x = self.most(self.average(self.reflecting(self.same(x))))
        x = functional.avg_pool2d(x, 3, stride=1, padding=1, divisor_override=5)
        x = functional.max_pool2d(functional.pad(x, (0, 2, 1, 1), value=-torch.inf), 3, 1)
        x = functional.pad(x, (0, 0, 0, 0, 0, 2))  # channels, as ResNets do
        patches = functional.unfold(x, 3, padding=1).unflatten(2, x.shape[-2:])
        return functional.conv2d(patches, torch.ones(2, patches.shape[1], 1, 1), padding="valid")


@pytest.mark.parametrize("mode", ["circular", "reflect"])
def test_every_way_to_pad(mode):
    network = Pools().eval()
    assert check_padding(network, 8, mode, "pools") == 7
    x = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), padded(mode):
        before, after = network(x), network(x.roll((3, 2), (2, 3)) if mode == "circular" else x.flip(2, 3))
    assert before.shape == network(x).shape == (1, 2, 8, 8)
    if mode == "circular":
        torch.testing.assert_close(after, before.roll((3, 2), (2, 3)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "pad"), [(7, 3, 2, 0), (7, 2, 2, 0), (8, 3, 3, 1), (5, 2, 3, 1)]
)
def test_ceil_mode_gives_maps_of_the_same_size(size, kernel, stride, pad):
    x = torch.randn(1, 1, size, size, generator=torch.Generator().manual_seed(0))
    for pool in (functional.max_pool2d, functional.avg_pool2d):
        before = pool(x, kernel, stride, pad, ceil_mode=True)
        with padded("circular"):
            after = pool(x, kernel, stride, pad, ceil_mode=True)
            assert pool(
                torch.ones(1, 1, size, size), kernel, stride, pad, ceil_mode=True
            ).unique().tolist() == [1]
        assert after.shape == before.shape
        assert torch.equal(after[..., 1:-1, 1:-1], before[..., 1:-1, 1:-1])  # inside nothing changes


class Layer(nn.Module):
    """One layer behind a convolution."""

    def __init__(self, layer):
        super().__init__()
        self.stem, self.odd = nn.Conv2d(3, 4, 3, padding=1), layer

    def forward(self, x):
        return self.odd(self.stem(x))


class Beside(nn.Module):
    """Zeros beside a map, by a function that pads nothing."""

    def forward(self, x):
        return torch.cat([x, torch.zeros(1, 4, 8, 1)], dim=3)


class InTheMiddle(nn.Module):
    """Zeros around a map, by writing into a part of them."""

    def forward(self, x):
        larger = torch.zeros(1, 4, 10, 10)
        larger[:, :, 1:-1, 1:-1] = x
        return functional.conv2d(larger, torch.ones(1, 4, 3, 3))


class Tokens(nn.Module):
    """Windows of a map whose channels come last."""

    def forward(self, x):
        return functional.pad(x.permute(0, 2, 3, 1), (0, 0, 0, 1, 0, 1))


@pytest.mark.parametrize(
    ("layer", "named"),
    [
        (nn.ConvTranspose2d(4, 4, 2, stride=2), "a transposed convolution"),
        (nn.Upsample(scale_factor=2, mode="bilinear"), r"interpolate \(bilinear\), which repeats the edge"),
        (nn.LPPool2d(2, 3, stride=3, ceil_mode=True), "a pool that ends beyond the edge"),
        (Beside(), "cat draws an edge on a picture of one colour"),
        (InTheMiddle(), "draws an edge on a picture of one colour"),
        (Tokens(), "a pad of what is no map"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_a_network_that_cannot_be_changed_names_its_layer(layer, named):
    with pytest.raises(U1Error, match=rf"padding of it that can be made circular; got odd.*{named}"):
        check_padding(Layer(layer).eval(), 8, "circular", "it")


@pytest.mark.filterwarnings("ignore:.*torch.jit.*")
def test_what_is_compiled_already_is_refused():
    layer = torch.jit.script(nn.Conv2d(4, 4, 3, padding=1))
    with pytest.raises(U1Error, match=r"got odd: compiled by torch\.jit"):
        check_padding(Layer(layer).eval(), 8, "circular", "it")


def test_position_embeddings_are_no_padding():
    class Embedded(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.places = nn.Conv2d(3, 4, 4, stride=4), nn.Parameter(torch.randn(1, 4, 2, 2))

        def forward(self, x):
            return self.stem(x) + self.places

    assert check_padding(Embedded(), 8, "circular", "it") == 0


def test_heads_of_an_attention_are_no_places():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv = nn.Conv2d(3, 24, 1)

        def forward(self, x):
            q, k, v = self.qkv(x).view(len(x), 2, 12, -1).chunk(3, dim=2)  # (B, heads, channels, places)
            return (v @ (q.transpose(2, 3) @ k).softmax(2)).reshape(len(x), 8, *x.shape[2:])

    assert check_padding(Attention(), 4, "circular", "it") == 0


def test_folding_holds_under_it():
    network = CifarResNet(20).eval()
    picture = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with padded("reflect"), torch.inference_mode():
        before = Taps(network, ["layer3"])(picture)
        assert fold_batch_norms(network, ["layer3"], 32) == 19
        assert deviation(before, Taps(network, ["layer3"])(picture)) < 1e-4


@pytest.mark.filterwarnings("ignore")
def test_a_compiler_follows_it():
    network = Layer(nn.MaxPool2d(3, 1, 1)).eval()
    picture = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    with torch.no_grad(), padded("circular"):
        torch.testing.assert_close(compiled(picture), network(picture))
