"""The network of DSCMR against its formulas, in NumPy and float64."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from commonspace.networks.dscmr import Classifier, DSCMRConfig, DSCMRNetwork, closed_form_classifier

BACKBONES = {"image": {"kind": "vectors", "size": 6}, "text": {"kind": "vectors", "size": 3}}
CONFIG = DSCMRConfig(BACKBONES, classes=4, hidden_dim=10, embedding_dim=5)


def network(config: DSCMRConfig = CONFIG) -> DSCMRNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return DSCMRNetwork(config)


def inputs(n: int = 7) -> dict[str, Tensor]:
    draw = np.random.default_rng(1)
    return {
        name: torch.from_numpy(draw.normal(size=(n, int(backbone["size"])))).float()  # type: ignore[call-overload]
        for name, backbone in BACKBONES.items()
    }


def plain(
    built: DSCMRNetwork, branch: int, x: Tensor
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return u and P'u of one branch, from the weights, by the formulas of the docstring."""
    w = {name: value.double().numpy() for name, value in built.state_dict().items()}
    h = x.double().numpy() @ w[f"hidden.{branch}.weight"].T + w[f"hidden.{branch}.bias"]
    u = np.maximum(h, 0) @ w["shared.weight"].T + w["shared.bias"]
    u = np.maximum(u, 0) if built.config.relu_after_shared else u
    return u, u @ w["classifier.weight"].T + w.get("classifier.bias", np.zeros(1))


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("classifier", ["linear", "affine", "closed_form"])
def test_outputs_equal_the_formulas(relu: bool, classifier: Classifier) -> None:
    built = network(replace(CONFIG, relu_after_shared=relu, classifier=classifier))
    batch = inputs()
    with torch.no_grad():
        outputs = built(batch)
    assert list(outputs) == ["image", "text"]
    for branch, name in enumerate(outputs):
        u, prediction = plain(built, branch, batch[name])
        np.testing.assert_allclose(outputs[name].representation, u, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(outputs[name].prediction, prediction, rtol=1e-5, atol=1e-6)
        assert (u < 0).any() != relu  # the random weights distinguish both cases


def test_only_the_affine_classifier_has_a_bias() -> None:
    names = {
        kind: set(network(replace(CONFIG, classifier=kind)).classifier.state_dict())
        for kind in ("linear", "affine", "closed_form")
    }
    assert names == {
        "linear": {"weight"},
        "affine": {"weight", "bias"},
        "closed_form": {"weight"},
    }


def test_the_closed_form_classifier_is_set_and_not_trained() -> None:
    built = network(replace(CONFIG, classifier="closed_form"))
    P = torch.arange(20.0).reshape(5, 4)
    built.set_classifier(P)
    batch = inputs()
    for output in built(batch).values():
        torch.testing.assert_close(output.prediction, output.representation @ P)
    sum(output.prediction.sum() for output in built(batch).values()).backward()
    assert built.classifier.weight.grad is None
    assert built.shared.weight.grad is not None


def test_the_last_layers_are_shared_and_the_first_are_not() -> None:
    batch = inputs()
    with torch.no_grad():
        before = network()(batch)
        for layer, changed in (("shared", {"image", "text"}), ("hidden.1", {"text"})):
            built = network()
            built.get_submodule(layer).bias.add_(1.0)  # type: ignore[operator]
            after = built(batch)
            moved = {
                name
                for name in after
                if not torch.equal(after[name].representation, before[name].representation)
            }
            assert moved == changed


def test_the_gradient_of_one_modality_reaches_the_shared_layer_and_not_the_other_branch() -> None:
    built = network()
    built(inputs())["image"].prediction.sum().backward()
    touched = {
        name
        for name, value in built.named_parameters()
        if value.grad is not None and value.grad.any()
    }
    assert touched == {
        "hidden.0.weight",
        "hidden.0.bias",
        "shared.weight",
        "shared.bias",
        "classifier.weight",
    }


def test_parameters_on_the_shapes_of_pascal_are_those_of_the_paper() -> None:
    """4096-d images, 300-d texts, layers of 2048 and 1024, 20 classes."""
    shapes = {"image": {"kind": "vectors", "size": 4096}, "text": {"kind": "vectors", "size": 300}}
    with torch.device("meta"):
        built = DSCMRNetwork(DSCMRConfig(shapes, classes=20))
    branches = (4096 + 1) * 2048 + (300 + 1) * 2048
    expected = branches + (2048 + 1) * 1024 + 1024 * 20
    assert sum(parameter.numel() for parameter in built.parameters()) == expected


def test_embeddings_are_the_normalized_representations() -> None:
    built, batch = network(), inputs()
    with torch.no_grad():
        for branch, name in enumerate(batch):
            u, _ = plain(built, branch, batch[name])
            vectors = built.embed(name, batch[name])
            lengths = np.linalg.norm(u, axis=1, keepdims=True)
            expected = u / np.where(lengths > 0, lengths, 1)  # zero stays zero
            np.testing.assert_allclose(vectors, expected, rtol=1e-5, atol=1e-6)
            assert vectors.dtype == torch.float32


def test_outputs_have_the_modalities_of_the_batch() -> None:
    batch = inputs()
    assert list(network()({"text": batch["text"]})) == ["text"]


@pytest.mark.parametrize("name", ["type", "values", "a.b", "forward", "0"])
def test_a_modality_may_have_any_name(name: str) -> None:
    """Torch rejects some of them as names of modules."""
    backbones = {"image": BACKBONES["image"], name: BACKBONES["text"]}
    built = network(replace(CONFIG, backbones=backbones))
    assert built.modalities == ("image", name)
    text = inputs()["text"]
    torch.testing.assert_close(built.embed(name, text), network().embed("text", text))


def test_a_config_through_json_builds_the_same_network() -> None:
    built = network(replace(CONFIG, relu_after_shared=False, classifier="affine"))
    with torch.random.fork_rng(devices=[]):
        again = DSCMRNetwork.from_config(json.loads(json.dumps(built.to_config())))
    assert again.config == built.config
    again.load_state_dict(built.state_dict())
    batch = inputs()
    for name, output in built(batch).items():
        assert torch.equal(again(batch)[name].prediction, output.prediction)


def draw_batch(
    seed: int, n: int, d: int, c: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    draw = np.random.default_rng(seed)
    return draw.normal(size=(n, d)), np.eye(c)[draw.integers(c, size=n)]


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 999), n=st.integers(1, 12), d=st.integers(1, 12))
def test_the_closed_form_is_the_least_squares_solution(seed: int, n: int, d: int) -> None:
    """With more samples than dimensions, and of least norm with fewer."""
    U, Y = draw_batch(seed, n, d, 3)
    expected = np.linalg.lstsq(U, Y, rcond=None)[0]
    classifier = closed_form_classifier([torch.from_numpy(U)], [torch.from_numpy(Y)])
    np.testing.assert_allclose(classifier.numpy(), expected, rtol=1e-7, atol=1e-9)


def test_with_more_samples_than_dimensions_the_closed_form_is_the_printed_formula() -> None:
    U, Y = draw_batch(0, 30, 4, 3)
    expected = np.linalg.inv(U.T @ U) @ U.T @ Y
    classifier = closed_form_classifier([torch.from_numpy(U)], [torch.from_numpy(Y)])
    np.testing.assert_allclose(classifier.numpy(), expected, rtol=1e-10)


@pytest.mark.parametrize("sizes", [(30, 20), (3, 30), (2, 3)])
def test_the_closed_form_adds_up_modalities_of_different_samples(sizes: tuple[int, int]) -> None:
    (U, Y), (V, Z) = draw_batch(1, sizes[0], 5, 3), draw_batch(2, sizes[1], 5, 3)
    expected = np.linalg.lstsq(U, Y, rcond=None)[0] + np.linalg.lstsq(V, Z, rcond=None)[0]
    classifier = closed_form_classifier(
        [torch.from_numpy(U), torch.from_numpy(V)], [torch.from_numpy(Y), torch.from_numpy(Z)]
    )
    np.testing.assert_allclose(classifier.numpy(), expected, rtol=1e-8, atol=1e-10)


def test_the_closed_form_is_constant_for_the_gradient_and_keeps_the_type() -> None:
    U, Y = draw_batch(3, 6, 4, 2)
    single = torch.from_numpy(U).float().requires_grad_()
    classifier = closed_form_classifier([single], [torch.from_numpy(Y).float()])
    assert not classifier.requires_grad
    assert classifier.dtype == torch.float32
    expected = np.linalg.lstsq(U, Y, rcond=None)[0]
    np.testing.assert_allclose(classifier.numpy(), expected, atol=1e-5)


def test_representations_of_zeros_have_a_classifier_of_zeros() -> None:
    """A shared layer of zeros must not end training with an error about a singular matrix."""
    classifier = closed_form_classifier([torch.zeros(4, 3)], [torch.eye(4)])
    assert torch.equal(classifier, torch.zeros(3, 4))
