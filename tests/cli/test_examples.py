"""The scripts in examples/ and the session in the README."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

import commonspace as cs
from commonspace.data import Images, Texts
from commonspace.datasets.scenes.scenes import scenes

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def space() -> cs.CommonSpace:
    """Return a space of raw images and texts, trained for one epoch."""
    data = scenes(0, per_class=10)
    # The official preset: without the last ReLU no two vectors are the same after so few steps.
    method = cs.DSCMR(preset="official", epochs=1, hidden_dim=16, embedding_dim=8, device="cpu")
    return method.fit(data.split("train"), data.split("validation"), cs.RunConfig())


@pytest.fixture(scope="module")
def example() -> ModuleType:
    """Return examples/search.py as a module."""
    spec = importlib.util.spec_from_file_location("search", ROOT / "examples" / "search.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_sentence_finds_the_pictures_with_the_largest_inner_products(
    space: cs.CommonSpace, example: ModuleType
) -> None:
    test = scenes(0, per_class=10).split("test")
    images = test.columns["image"]
    assert isinstance(images, Images)
    query = space.embed("text", ["a boat at sea"])[0]
    scores = [  # each picture alone
        float(space.embed("image", [item])[0] @ query) for item in images.items if item is not None
    ]
    order = sorted(range(len(scores)), key=lambda row: -scores[row])
    results = example.search(space, test, "a boat at sea", count=7)
    assert [name for _, name in results] == [test.ids[row] for row in order[:7]]
    np.testing.assert_allclose([score for score, _ in results], sorted(scores)[::-1][:7], rtol=1e-5)


def test_a_picture_file_finds_texts(
    space: cs.CommonSpace, example: ModuleType, tmp_path: Path
) -> None:
    test = scenes(0, per_class=10).split("test")
    images, texts = test.columns["image"], test.columns["text"]
    assert isinstance(images, Images)
    assert isinstance(texts, Texts)
    picture = images.items[3]
    assert isinstance(picture, np.ndarray)
    Image.fromarray(picture).save(tmp_path / "query.png")
    scores = space.embed("text", texts) @ space.embed("image", [picture])[0]
    results = example.search(space, test, str(tmp_path / "query.png"), count=3)
    assert [name for _, name in results] == [test.ids[row] for row in np.argsort(-scores)[:3]]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "python examples/search.py RUN DATA"),
        (("run", "scenes", "absent.jpg"), "no such file: absent.jpg"),
        (("absent", "scenes", "a boat"), "absent holds no saved space"),
    ],
)
def test_a_mistake_on_the_command_line_is_said_without_a_traceback(
    example: ModuleType, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    monkeypatch.setattr("sys.argv", ["search.py", *words])
    with pytest.raises(SystemExit) as stopped:
        example.main()
    assert said in str(stopped.value)


@pytest.mark.slow
@pytest.mark.parametrize("readme", ["README.md", "README.zh.md"])
def test_the_python_session_of_the_readme_runs(
    readme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run its Python blocks one after the other, with few samples and epochs."""
    from commonspace.datasets.load import BUILT_IN

    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(BUILT_IN, "scenes", lambda seed: scenes(seed, per_class=10))
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / readme).read_text("utf-8"), re.DOTALL)
    script = "\n".join(blocks)
    for full, small in (
        ("cs.DSCMR(epochs=10)", "cs.DSCMR(preset='official', epochs=2)"),
        ("cs.PosteriorMatching()", "cs.PosteriorMatching(epochs=1)"),
        ('["cca", "dscmr", "posterior"], seeds=3', '["cca"], seeds=1'),
    ):
        assert full in script
        script = script.replace(full, small)
    draw = np.random.default_rng(0)
    y = np.arange(120) % 3
    arrays = {
        "y": y,
        "X": draw.normal(size=(3, 8))[y] + 0.5 * draw.normal(size=(120, 8)),
        "Y": draw.normal(size=(3, 5))[y] + 0.5 * draw.normal(size=(120, 5)),
    }
    names: dict[str, Any] = dict(arrays)
    exec(script, names)
    assert names["report"].map > 0.5
    assert len(names["hits"]) == 5
    assert names["table"]["cca"]
