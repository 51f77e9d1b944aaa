"""Train a small CLIP on drawn scenes, and measure it on others as it is, and by zero-shot classes.

    python -m benchmarks.shared_encoder FOLDER [--epochs 30] [--per-class 300]

FOLDER becomes a model in the format of transformers: a vision transformer of 64 x 64 pixels and a
text transformer of whole words, 64 dimensions each, trained on scenes of seed 1 by the contrast of
CLIP. Figures are those of the scenes of seed 0, whose captions come from the same words. Such a
model makes `commonspace assess scenes --image hf:FOLDER --text hf:FOLDER` a case where encoders
already share a space.
"""

import argparse
import re
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy, normalize

import commonspace as cs
from commonspace.data import Images, Texts
from commonspace.datasets.scenes.scenes import scenes
from commonspace.methods import EncoderConfig, RawFeatures

SIDE, LONGEST, SIZE = 64, 24, 64
BATCH = 128
RATE = 2e-3


def build(folder: Path, captions: list[str]) -> None:
    """Write a CLIP of random weights, whose words are those of the captions."""
    from transformers import BertTokenizerFast, CLIPConfig, CLIPImageProcessorPil, CLIPModel

    folder.mkdir(parents=True, exist_ok=True)
    words = sorted({word for one in captions for word in re.findall(r"\w+", one.lower())})
    known = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "photo", *(w for w in words if w != "photo")]
    (folder / "vocab.txt").write_text("\n".join(known), "utf-8")
    tower = {"hidden_size": SIZE, "intermediate_size": 2 * SIZE, "num_attention_heads": 4}
    text = {
        **tower, "num_hidden_layers": 2, "vocab_size": len(known),
        "max_position_embeddings": LONGEST, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    vision = {**tower, "num_hidden_layers": 3, "image_size": SIDE, "patch_size": 8}
    torch.manual_seed(0)
    CLIPModel(
        CLIPConfig(text_config=text, vision_config=vision, projection_dim=SIZE)
    ).save_pretrained(folder)
    CLIPImageProcessorPil(
        size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}
    ).save_pretrained(folder)
    BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=LONGEST).save_pretrained(folder)


def train(folder: Path, data: cs.Dataset, epochs: int) -> None:
    """Train the CLIP of a folder on all pairs of a data set, in place."""
    from transformers import AutoTokenizer, CLIPImageProcessorPil, CLIPModel

    model = CLIPModel.from_pretrained(folder).train()
    images, texts = data.columns["image"], data.columns["text"]
    assert isinstance(images, Images)
    assert isinstance(texts, Texts)
    processor = CLIPImageProcessorPil.from_pretrained(folder)
    pictures = [one for one in images.items if isinstance(one, np.ndarray)]
    pixels = torch.cat(
        [
            processor(pictures[start : start + 256], return_tensors="pt")["pixel_values"]
            for start in range(0, len(pictures), 256)
        ]
    )
    words = AutoTokenizer.from_pretrained(folder)(
        [one[0] for one in texts.items],
        padding="max_length",
        truncation=True,
        max_length=LONGEST,
        return_tensors="pt",
    )
    steps = epochs * (len(data) // BATCH)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps + 1)
    target = torch.arange(BATCH)
    for epoch in range(epochs):
        total = 0.0
        order = torch.randperm(len(data))[: len(data) // BATCH * BATCH]
        for rows in torch.split(order, BATCH):
            shift = torch.randint(-4, 5, (2,)).tolist()
            output = model(
                input_ids=words["input_ids"][rows],
                attention_mask=words["attention_mask"][rows],
                pixel_values=pixels[rows].roll(shift, (2, 3)),
            )
            u, v = normalize(output.image_embeds), normalize(output.text_embeds)
            scores = model.logit_scale.exp().clamp(max=100) * u @ v.T
            loss = cross_entropy(scores, target) + cross_entropy(scores.T, target)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) / 2 * BATCH / len(order)
        print(f"epoch {epoch + 1}: loss {total:.3f}", flush=True)
    model.eval().save_pretrained(folder)


def main() -> None:
    """Train and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--per-class", type=int, default=300)
    options = parser.parse_args()
    data = scenes(seed=1, per_class=options.per_class)
    texts = data.columns["text"]
    assert isinstance(texts, Texts)
    start = time.monotonic()
    build(options.folder, [one[0] for one in texts.items])
    train(options.folder, data, options.epochs)
    print(f"trained in {time.monotonic() - start:.0f} s")
    spec = f"hf:{options.folder}"
    encoders = EncoderConfig({"image": spec, "text": spec}, input_form="crop")
    other = scenes(seed=0)
    for method in (RawFeatures(encoders=encoders), RawFeatures(zero_shot=True, encoders=encoders)):
        report = method.fit(other, run=cs.RunConfig()).evaluate(other, split="test", pairs=True)
        assert report.pairs is not None
        found = np.round(report.pairs["average"]["R@10"], 3)
        print(f"{method.full_name}: mAP {report.map:.3f}, R@10 {found}")


if __name__ == "__main__":
    main()
