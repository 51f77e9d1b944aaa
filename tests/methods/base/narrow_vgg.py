"""A small DSCMR behind a narrow VGG-19 and a text CNN."""

from pathlib import Path

from commonspace.data import Dataset
from commonspace.methods import DSCMR, EncoderConfig
from commonspace.space import CommonSpace
from commonspace.training import RunConfig


def method(weights: Path, **raw: object) -> DSCMR:
    """Return the method; ``raw`` are options of its encoders."""
    encoders = {"image": f"vgg19_bn:{weights}", "text": "textcnn"}
    chosen = EncoderConfig(**{"specs": encoders, **raw})  # type: ignore[arg-type]
    return DSCMR(
        hidden_dim=16, embedding_dim=8, epochs=3, batch_size=6, device="cpu", encoders=chosen
    )


def fitted(data: Dataset, way: DSCMR) -> CommonSpace:
    """Fit a method in silence."""
    return way.fit(data.split("train"), data.split("validation"), RunConfig())
