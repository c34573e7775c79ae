"""The image experiments on folders: samples, networks, errors, and whole runs in small."""

import dataclasses
import json
import sys
import types

import pytest

torch = pytest.importorskip(
    "torch", reason="torch is not installed: minnorm.experiments was not tested (minnorm[torch])"
)

import _image_folders as folders  # noqa: E402
from minnorm import InputError, cli  # noqa: E402
from minnorm.experiments import on_photographs, resnets  # noqa: E402
from minnorm.experiments.on_photographs import Options  # noqa: E402
from minnorm.experiments.photographs import Photographs  # noqa: E402


class Net(torch.nn.Module):
    """The names that torchvision's ResNets have, around next to nothing."""

    def __init__(self):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(3, 4, 7, stride=2, padding=3, bias=False)
        self.bn1, self.relu = torch.nn.BatchNorm2d(4), torch.nn.ReLU(inplace=True)
        self.maxpool = torch.nn.MaxPool2d(3, stride=2, padding=1)
        self.fc = torch.nn.Linear(4, 1000)

    def forward(self, x):
        self.side = self.maxpool(self.conv1(x)).shape[-1]
        return self.fc(self.maxpool(self.relu(self.bn1(self.conv1(x)))).mean((2, 3)))


@pytest.fixture
def stub(monkeypatch):
    """A torchvision of two networks that train in no time."""
    models = types.ModuleType("torchvision.models")
    models.resnet18 = models.resnet50 = lambda weights: Net()
    package = types.ModuleType("torchvision")
    package.models = models
    monkeypatch.setitem(sys.modules, "torchvision", package)


@pytest.fixture
def cifar(stub, tmp_path):
    folders.cifar10(tmp_path / "c", train=40, test=60)
    return f"cifar10:{tmp_path / 'c'}"


@pytest.mark.parametrize(("side", "inside"), [(32, 32), (64, 16)])
def test_small_images_keep_their_size(stub, side, inside):
    network, width = resnets.features("resnet18", side)
    assert network(torch.rand(2, 3, side, side)).shape == (2, width) == (2, 4)
    assert network.side == inside


@pytest.mark.parametrize(
    ("architecture", "side", "width", "size"),
    # The known numbers of parameters, 11,173,962 with ten classes and 25,557,032 with a thousand.
    [("resnet18", 32, 512, 11_173_962 - 5_130), ("resnet50", 64, 2048, 25_557_032 - 2_049_000)],
)
def test_torchvisions_networks(architecture, side, width, size):
    try:
        network, found = resnets.features(architecture, side)
    except InputError as error:
        pytest.skip(f"minnorm[images]: {error}")
    assert found == width and sum(p.numel() for p in network.parameters()) == size
    with torch.no_grad():
        assert network.eval()(torch.rand(2, 3, side, side)).shape == (2, width)


def test_the_error_names_torchvision(tmp_path, monkeypatch, capsys):
    folders.cifar10(tmp_path / "c")
    monkeypatch.setitem(sys.modules, "torchvision", None)
    command = ["experiment", "collapse", "--out", str(tmp_path / "never"), "--train", "20"]
    assert cli.main([*command, "--test", "5", "--data", f"cifar10:{tmp_path / 'c'}"]) == 1
    error = capsys.readouterr().err
    assert "torchvision" in error and "minnorm[images]" in error
    assert not (tmp_path / "never").exists()


def test_a_torchvision_for_another_torch_is_told(tmp_path, monkeypatch):
    # Only a package that fails on import: what is in sys.modules is not imported again.
    (tmp_path / "torchvision.py").write_text("raise RuntimeError('operator does not exist')")
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(InputError, match=r"fits the installed torch.*operator does not exist"):
        resnets.definitions()


def test_every_trial_has_other_images(cifar):
    source = Photographs(*cifar.split(":", 1), n_train=150, architecture="resnet18")
    draw = lambda seed: source.samples(torch.Generator().manual_seed(seed), 20)  # noqa: E731
    (x, y), (again, _), (other, _) = draw(1), draw(1), draw(2)
    assert x.shape == (170, 1, 32, 32) and x.dtype == torch.float32 and y.dtype == torch.int64
    assert 0.0 <= x.min() < 0.1 and 0.9 < x.max() <= 1.0
    assert torch.equal(x, again) and not torch.equal(x, other)
    splits = source._splits()
    whole = {
        name: {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
        for name, images, labels in (
            ("train", splits.train.brightness(slice(None)), splits.train.labels),
            ("test", splits.test.brightness(slice(None)), splits.test.labels),
        )
    }
    for i, image in enumerate((x[:, 0] * 255).round().to(torch.uint8).numpy()):
        assert whole["test" if i < 20 else "train"][image.tobytes()] == y[i]


def test_the_sizes_of_the_problems(cifar):
    options = Options(cifar, train=200, test=30, access=0.1)
    erasure, collapse = on_photographs.erasure(options), on_photographs.collapse(options)
    samples = erasure.samples(0)
    assert (len(samples.retain[1]), len(samples.forget[1])) == (200, 4)
    assert (len(samples.test[1]), len(samples.coloured[1])) == (30, 60)
    assert sum(len(y) for _, y in erasure.loaders(samples, 0)[0]) == 20
    samples = collapse.samples(0)
    assert (len(samples.retain[1]), len(samples.forget[1])) == (198, 2)
    assert (len(samples.gray[1]), len(samples.test[1])) == (200, 30)
    assert dataclasses.asdict(erasure)["source"]["data"] == "cifar10"
    assert erasure.model()(samples.test[0]).shape == (30, 30)
    assert collapse.model()(samples.test[0]).shape == (30, 10)


def test_measures_leave_running_statistics_alone(cifar):
    problem = on_photographs.collapse(Options(cifar, train=100, test=20))
    samples, model = problem.samples(0), problem.model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert problem.measured(samples, model) == problem.measured(samples, model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"data": "mnist:x"}, "cifar10:DIR, tiny-imagenet:DIR"),
        ({"data": "cifar10"}, "cifar10:DIR"),
        ({"data": "cifar10:"}, "cifar10:DIR"),
        ({"train": 201}, "has 200 images to train on; 201 are asked for"),
        ({"train": None}, "50000 are asked for"),
        ({"test": 61}, "has 60 images to test on; 61"),
        ({"test": 0}, "test must be an integer >= 1"),
        ({"train": 1}, "train must be an integer >= 2"),
        ({"access": 0.0}, "access"),
        ({"access": 1.5}, "access"),
        ({"training": 0}, "training"),
        ({"device": "abacus"}, "device must be .* got 'abacus'"),
        ({"architecture": "vgg"}, "resnet18, resnet50; got 'vgg'"),
    ],
)
def test_wrong_options_are_refused(cifar, options, told):
    with pytest.raises(InputError, match=told):
        on_photographs.erasure(Options(**{"data": cifar, "train": 100, "test": 10, **options}))


@pytest.mark.parametrize("kind", ["label-erasure", "collapse"])
def test_a_whole_run(cifar, kind, tmp_path, capsys):
    out = tmp_path / "out"
    counts = ["--trials", "1", "--search", "2", "--development", "1", "--epochs", "2"]
    sizes = ["--train", "150", "--test", "20", "--training", "2", "--access", "0.2"]
    methods = ["--methods", "GD", "MinNormOG", "Retrain"]
    command = ["experiment", kind, "--out", str(out), *counts, *methods]
    assert cli.main([*command, "--data", cifar, *sizes]) == 0
    assert "MinNormOG" in capsys.readouterr().out
    found = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert found["problem"]["source"]["data"] == "cifar10"
    assert found["problem"]["source"]["n_train"] == 150
    og = next(trial for trial in found["trials"] if trial["method"] == "MinNormOG")
    assert og["settings"]["projection"] == "matrix_free" and og["perturbations"]
    # What was computed for these images is for no others, nor for digits.
    assert cli.main([*command, "--data", cifar, *sizes[:-4], "--access", "0.2"]) == 1
    assert cli.main(command) == 1
    assert capsys.readouterr().err.count("trials of another problem") == 2


def test_a_run_on_tiny_imagenet(stub, tmp_path, capsys):
    pytest.importorskip("PIL", reason="Pillow is not installed: minnorm[images]")
    folders.tiny_imagenet(tmp_path / "t", train=10, test=12)
    command = ["experiment", "label-erasure", "--out", str(tmp_path / "out"), "--methods", "GD"]
    counts = ["--trials", "1", "--search", "1", "--epochs", "2", "--training", "1"]
    data = ["--data", f"tiny-imagenet:{tmp_path / 't'}", "--train", "30", "--test", "12"]
    assert cli.main([*command, *counts, *data]) == 0
    found = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert found["problem"]["source"]["architecture"] == "resnet50"


def test_sizes_without_a_folder_are_refused(tmp_path, capsys):
    command = ["experiment", "collapse", "--out", str(tmp_path / "out")]
    assert cli.main([*command, "--train", "100", "--device", "cpu"]) == 1
    assert "--train, --device: expected together with --data" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_settings_are_the_papers_grid():
    tried = on_photographs.candidates("MinNormOG", 5, 1000)
    assert len(tried) == 4 * 4 * 3 * 2
    assert {s["t_proj"] for s in tried} == {1} and {s["n_pert"] for s in tried} == {50}
    assert {s["gamma_reg"] for s in tried} == {0.2, 0.4, 0.8}
    shrink = on_photographs.candidates("Shrink", 5, 1000)
    assert "n_pert" not in shrink[0] and len(shrink) == len(tried)
