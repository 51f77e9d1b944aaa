"""Choice of the encoder of a column on validation: of those that are given, or installed."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from commonspace.callbacks import Callbacks
from commonspace.data.columns import Images
from commonspace.data.dataset import Dataset
from commonspace.encoders.encoder import Encoder
from commonspace.encoders.probe import WORTH, probe_features, probe_loss, probe_parts
from commonspace.errors import SettingError

__all__ = ["choose_encoders", "installed_encoders"]

Build = Callable[[str], Encoder]


def choose_encoders(
    candidates: Sequence[str],
    build: Build,
    train: Dataset,
    validation: Dataset,
    modality: str,
    callbacks: Callbacks,
) -> list[str]:
    """Return the name of the encoder whose features classify validation samples best, or of two.

    Each candidate is measured by the log loss of a logistic regression on its features, of at most
    400 training and 250 validation samples. The best two side by side are chosen if they lower the
    log loss by 1 %, since every query then pays for both.

    Args:
        candidates: Names of encoders; none: those that are installed.
        build: Name -> encoder.
        train: Samples on which the probes are fitted.
        validation: Samples on which they are compared.
        modality: The column.
        callbacks: Receive one line that states the choice and its reason.

    Raises:
        SettingError: If there is no candidate.
    """
    images = isinstance(train.columns[modality], Images)
    names = list(candidates) or installed_encoders(images=images)
    if not names:
        raise SettingError(
            f"no encoder for {modality!r} is installed",
            expected="a model in the cache of the Hugging Face hub, or VGG-19's weights in torch's",
            found="none",
            advice="name candidates: --image auto --image hf:FOLDER --image onnx:FILE",
        )
    parts = probe_parts(train, validation, modality)
    if len(names) == 1 or parts is None:
        reason = "the only one" if len(names) == 1 else "too few labeled samples to compare"
        callbacks.on_message(f"encoder of {modality}: {_short(names[0])} ({reason})")
        return names[:1]
    features = {name: probe_features(build(name), parts, modality) for name in names}
    losses = {name: probe_loss(values, parts) for name, values in features.items()}
    first, second, *_ = sorted(losses, key=losses.__getitem__)
    joined = [
        torch.cat(
            [_standardized(features[name][0], features[name][part]) for name in (first, second)],
            dim=1,
        )
        for part in (0, 1)
    ]
    shown = [f"{_short(name)} {loss:.3f}" for name, loss in losses.items()]
    both = probe_loss(joined, parts)
    shown.append(f"the best two {both:.3f}")
    chosen = [first, second] if both < (1 - WORTH) * losses[first] else [first]
    callbacks.on_message(
        f"encoder of {modality}: {' + '.join(map(_short, chosen))} (log loss on"
        f" {len(parts[1])} validation samples: {', '.join(shown)})"
    )
    return chosen


def installed_encoders(*, images: bool) -> list[str]:
    """Return the names of the encoders on this machine: of images, or of texts.

    These are models in the cache of the Hugging Face hub with the files of an image processor or of
    sentence-transformers, VGG-19 if its weights are in torch's folder, and TF-IDF.

    Args:
        images: Whether to look for encoders of images, or of texts.
    """
    home = os.environ.get("HF_HOME", str(Path("~/.cache/huggingface").expanduser()))
    hub = Path(os.environ.get("HF_HUB_CACHE", f"{home}/hub"))
    wanted = "preprocessor_config.json" if images else "modules.json"
    found = []
    for folder in sorted(hub.glob("models--*")):
        snapshots = sorted(folder.glob("snapshots/*/config.json"), key=_changed)
        if snapshots and (snapshots[-1].parent / wanted).exists():
            found.append(f"{'hf' if images else 'st'}:{snapshots[-1].parent}")
    if images:
        weights = Path(torch.hub.get_dir()) / "checkpoints"
        found += ["vgg19"] if list(weights.glob("vgg19-*.pth")) else []
        found += ["vgg19_bn"] if list(weights.glob("vgg19_bn-*.pth")) else []
    else:
        found.append("tfidf")
    return found


def _standardized(known: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Return features scaled as ``JoinedBackbone`` does: centered, total variance 1."""
    return (values - known.mean(0)) / known.var(0, correction=0).sum().sqrt().clamp(min=1e-12)


def _changed(path: Path) -> float:
    return path.stat().st_mtime


def _short(name: str) -> str:
    """Return the name of an encoder without the folders of its path."""
    kind, colon, rest = name.partition(":")
    if "/" in kind:  # FILE.py:Class
        return name.rpartition("/")[2]
    parts = Path(rest).parts
    model = next((part.split("--", 1)[1] for part in parts if part.startswith("models--")), "")
    return f"{kind}{colon}{model.replace('--', '/') or (parts[-1] if parts else '')}"
