"""Encoders from their remembered description against the same ones loaded by transformers."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import commonspace as cs
from commonspace.encoders import Encoder, Source, encoder_from_spec
from commonspace.encoders.remembered import recall_encoder, remember_encoder
from commonspace.encoders.specs import MultiCaption
from tests.networks.backbones.test_bert import SIZES

TEXTS = ["a red kite", "Ein Käfer, 红色!", "kite " * 30]


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small BERT without pooler, as sentence-transformers saves it."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("model")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "red", "kite", "Ein"]
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", model_max_length=14
    )
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(**SIZES, pad_token_id=0)
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    (folder / "pooling").mkdir()
    parts = [{"type": "models.Transformer", "path": ""}, {"type": "m.Pooling", "path": "pooling"}]
    (folder / "modules.json").write_text(json.dumps(parts))
    (folder / "pooling" / "config.json").write_text(json.dumps({"pooling_mode": "mean"}))
    return folder


def loaded(spec: str, multi_caption: MultiCaption = "concat") -> Encoder:
    """Load an encoder as extract does."""
    data = cs.Dataset(
        name="texts",
        ids=("a",),
        columns={"text": cs.Texts([("a",)])},
        labels=np.zeros((1, 0), dtype=bool),
        class_names=(),
        splits=np.array(["train"]),
    )
    return encoder_from_spec(spec, Source(data, data, "text", multi_caption=multi_caption))


@pytest.mark.parametrize("kind", ["st", "hf"])
@pytest.mark.parametrize("captions", ["concat", "mean"])
def test_features_and_hash_are_the_same(
    kind: str, captions: MultiCaption, model_folder: Path, tmp_path: Path
) -> None:
    spec = f"{kind}:{model_folder}"
    encoder = loaded(spec, multi_caption=captions)
    sha256 = encoder.provenance["sha256"]
    assert recall_encoder(tmp_path, spec, sha256) is None
    remember_encoder(tmp_path, encoder)
    recalled = recall_encoder(tmp_path, spec, sha256)
    assert recalled is not None
    assert recalled.provenance == encoder.provenance
    other = {"st": "hf", "hf": "st"}[kind]
    assert recall_encoder(tmp_path, f"{other}:{model_folder}", sha256) is None
    torch.testing.assert_close(recalled(TEXTS), encoder(TEXTS), rtol=1e-4, atol=1e-5)


def test_another_or_a_damaged_model_is_not_recalled(model_folder: Path, tmp_path: Path) -> None:
    spec = f"st:{model_folder}"
    encoder = loaded(spec)
    sha256 = encoder.provenance["sha256"]
    remember_encoder(tmp_path, encoder)
    file = tmp_path / "encoders" / f"{sha256}.json"
    good = file.read_text()
    assert recall_encoder(tmp_path, f"st:{tmp_path}/missing/model", sha256) is None
    assert recall_encoder(tmp_path, "tfidf", sha256) is None
    for damage in ("{", "[]", good.replace('"size": 16', '"size": 17'), good[:-2] + ', "x": 1}'):
        file.write_text(damage)
        recalled = recall_encoder(tmp_path, spec, sha256)
        assert recalled is None or recalled.size == 16, damage
    file.write_text(good.replace('"red": 5', '"red": 4'))  # another tokenizer has another hash
    assert recall_encoder(tmp_path, spec, sha256) is None


def test_a_search_of_texts_imports_no_transformers(model_folder: Path, tmp_path: Path) -> None:
    encoder = loaded(f"st:{model_folder}")
    remember_encoder(tmp_path, encoder)
    sha256 = encoder.provenance["sha256"]
    program = f"""
import sys
from pathlib import Path
from commonspace.encoders.remembered import recall_encoder
encoder = recall_encoder(Path({str(tmp_path)!r}), "st:{model_folder}", {sha256!r})
assert encoder is not None and encoder(["a red kite"]).shape == (1, 16)
loaded = {{"transformers", "sentence_transformers", "scipy", "sklearn"}} & sys.modules.keys()
assert not loaded, loaded
"""
    subprocess.run([sys.executable, "-c", program], check=True)
