"""The built-in data set: what it holds, that it repeats, and that it is a real task."""

import re
import warnings
from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from commonspace.data.columns import Images, Texts
from commonspace.data.dataset import SPLITS, Dataset
from commonspace.datasets.scenes.backdrops import BACKDROPS, backdrop
from commonspace.datasets.scenes.captions import BACKDROP_PHRASES, NAMES, RELATIONS, Scene, caption
from commonspace.datasets.scenes.drawings import DRAWINGS, drawing
from commonspace.datasets.scenes.scenes import COLORS, _places, scenes
from commonspace.datasets.scenes.shapes import shades
from commonspace.errors import SettingError

KITE = Scene("kite", "red", "house", "blue", "above", "meadow")


@cache
def _scenes() -> Dataset:
    return scenes()


def _pictures(data: Dataset) -> NDArray[np.uint8]:
    column = data.columns["image"]
    assert isinstance(column, Images)
    pictures: NDArray[np.uint8] = np.stack(column.items)  # type: ignore[arg-type]
    return pictures


def _captions(data: Dataset) -> list[str]:
    column = data.columns["text"]
    assert isinstance(column, Texts)
    return [text for (text,) in column.items]


def _score(train: NDArray[np.float32], test: NDArray[np.float32], c: float) -> float:
    """Return the test accuracy of multinomial logistic regression."""
    data = _scenes()
    labels = data.labels.argmax(axis=1)
    model = LogisticRegression(C=c, max_iter=40)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on pixels it stops before it has converged
        model.fit(train, labels[data.splits == "train"])
    return float(model.score(test, labels[data.splits == "test"]))


def test_it_is_as_large_as_promised_and_split_within_each_class() -> None:
    data = _scenes()
    assert len(data) >= 2000
    assert len(data.class_names) >= 20
    assert _pictures(data).shape[1:] == (64, 64, 3)
    for label in range(len(data.class_names)):
        of_class = data.splits[data.labels[:, label]]
        counts = {split: int((of_class == split).sum()) for split in SPLITS}
        assert counts == {"train": 84, "validation": 12, "test": 24}
    assert (data.labels.sum(axis=1) == 1).all()


def test_no_picture_and_no_sample_comes_twice() -> None:
    pictures = {picture.tobytes() for picture in _pictures(_scenes())}
    assert len(pictures) == len(_scenes())


def test_the_same_seed_gives_the_same_data_and_another_seed_other_data() -> None:
    assert scenes(3, per_class=6).fingerprint == scenes(3, per_class=6).fingerprint
    assert scenes(3, per_class=6).fingerprint != scenes(4, per_class=6).fingerprint


def test_too_few_samples_for_three_splits_are_refused() -> None:
    assert set(scenes(per_class=6).splits) == set(SPLITS)
    with pytest.raises(SettingError, match="at least 6 samples"):
        scenes(per_class=5)


@pytest.mark.parametrize("c", [0.001, 0.1])
def test_logistic_regression_on_raw_pixels_stays_under_a_half(c: float) -> None:
    pixels = _pictures(_scenes()).reshape(len(_scenes()), -1).astype(np.float32) / 255
    split = _scenes().splits
    score = _score(pixels[split == "train"], pixels[split == "test"], c)
    assert 1 / 24 < score < 0.5


@pytest.mark.parametrize("c", [0.1, 1.0, 10.0])
def test_logistic_regression_on_word_counts_stays_under_nine_tenths(c: float) -> None:
    captions, split = np.array(_captions(_scenes())), _scenes().splits
    counter = CountVectorizer(token_pattern=r"\b\w+\b")
    train = counter.fit_transform(captions[split == "train"])
    score = _score(train, counter.transform(captions[split == "test"]), c)
    assert 0.5 < score < 0.9


def test_each_caption_tells_its_class_to_who_reads_the_order() -> None:
    classes: dict[str, set[int]] = {}
    for text, label in zip(_captions(_scenes()), _scenes().labels.argmax(axis=1), strict=True):
        classes.setdefault(text, set()).add(int(label))
    assert all(len(labels) == 1 for labels in classes.values())
    assert {_subject_of(text) for text in classes} == set(NAMES)
    for text, labels in classes.items():
        assert _scenes().class_names[next(iter(labels))] == _subject_of(text)


def _subject_of(text: str) -> str:
    """Return what a sentence is about: of two things, the one not said to be where it is from."""
    names = {name: thing for thing, names in NAMES.items() for name in names}
    longest = sorted(names, key=len, reverse=True)
    found = re.finditer(r"\b(" + "|".join(longest) + r")\b", text.lower())
    marks = {word for _, words in RELATIONS.values() for word in words} | {"with"}
    marker = re.compile(rf"\b({'|'.join(sorted(marks))}) an? (\w+ ){{0,2}}$")
    subjects = [
        names[match[0]] for match in found if not marker.search(text.lower()[: match.start()])
    ]
    (subject,) = subjects
    return subject


def test_word_counts_cannot_tell_the_two_things_apart() -> None:
    house = replace(KITE, subject="house", color="blue", context="kite", context_color="red")
    kite_texts, house_texts = (
        {caption(scene, np.random.default_rng(seed)) for seed in range(3000)}
        for scene in (KITE, house)
    )
    bags = [
        {tuple(sorted(text.lower().split())) for text in texts}
        for texts in (kite_texts, house_texts)
    ]
    assert len(bags[0] & bags[1]) > 20
    assert not kite_texts & house_texts


def test_classes_share_their_words_and_have_several_wordings() -> None:
    data = _scenes()
    words: dict[str, set[int]] = {}
    shapes: dict[int, Counter[str]] = {}
    for text, label in zip(_captions(data), data.labels.argmax(axis=1), strict=True):
        own = set(" ".join(NAMES[data.class_names[label]]).split())
        rest = [word for word in text.lower().split() if word not in own]
        shapes.setdefault(int(label), Counter())[" ".join(rest)] += 1
        for word in rest:
            words.setdefault(word, set()).add(int(label))
    assert min(len(wordings) for wordings in shapes.values()) > 60
    in_most_classes = [word for word, labels in words.items() if len(labels) >= 20]
    assert len(in_most_classes) > 40


@settings(deadline=None, max_examples=200)
@given(
    seed=st.integers(0, 2**32),
    subject=st.sampled_from(sorted(NAMES)),
    relation=st.sampled_from(sorted(RELATIONS)),
    place=st.sampled_from(sorted(BACKDROPS)),
)
def test_a_caption_is_a_clean_sentence_that_is_true_of_its_scene(
    seed: int, subject: str, relation: str, place: str
) -> None:
    scene = replace(KITE, subject=subject, context="key", relation=relation, backdrop=place)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(NAMES, "key", ("key",))
        text = caption(scene, np.random.default_rng(seed))
    assert re.fullmatch(r"[A-Z][a-z]*( [a-z-]+)*", text)
    assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", text.lower())
    assert any(name in text.lower() for name in NAMES[subject])
    said = set(re.findall(r"\b(red|blue|green|yellow)\b", text))
    assert said <= {"red", "blue"}
    inverse, words = RELATIONS[relation]
    if " with " in text:
        assert any(text.endswith(f" {word} it") for word in RELATIONS[inverse][1])
    elif "key" in text:
        assert any(f"{word} a" in text.lower() for word in words)
    others = {phrase for name, phrases in BACKDROP_PHRASES.items() for phrase in phrases}
    assert not any(phrase in text.lower() for phrase in others - set(BACKDROP_PHRASES[place]))


@pytest.mark.parametrize("relation", sorted(RELATIONS))
def test_things_stand_where_the_relation_says_and_inside_the_picture(relation: str) -> None:
    direction = {"above": (0, -1), "below": (0, 1), "left of": (-1, 0), "right of": (1, 0)}
    for seed in range(200):
        (subject, large), (context, small) = _places(relation, np.random.default_rng(seed))
        for center, half in ((subject, large), (context, small)):
            assert (center - half > -1e-9).all()
            assert (center + half < 1 + 1e-9).all()
        distance = (subject - context) @ direction[relation]
        assert distance == pytest.approx(large + small)
        assert large > 1.7 * small


def test_the_fields_tell_what_there_is() -> None:
    data = _scenes()
    assert set(data.fields["color"]) == set(data.fields["context_color"]) == set(COLORS)
    assert set(data.fields["backdrop"]) == set(BACKDROPS) == set(BACKDROP_PHRASES)
    assert set(data.fields["relation"]) == set(RELATIONS)
    assert set(data.fields["context"]) == set(data.class_names) == set(DRAWINGS) == set(NAMES)
    names = [data.class_names[label] for label in data.labels.argmax(axis=1)]
    assert not any(
        name == context for name, context in zip(names, data.fields["context"], strict=True)
    )


def test_the_subject_has_its_color() -> None:
    """Among apples, the pixels of the middle are nearest the color that the field names."""
    data = scenes(per_class=40)
    apples = np.flatnonzero(data.labels[:, data.class_names.index("apple")])
    palette = np.array(list(COLORS.values()))
    right = 0
    for row in apples.tolist():
        pixels = _pictures(data)[row].reshape(-1, 3).astype(int)
        near = np.linalg.norm(pixels[:, None] - palette, axis=2)
        close = near.min(axis=1) < 45
        votes = np.bincount(near[close].argmin(axis=1), minlength=len(palette))
        right += list(COLORS)[int(votes.argmax())] == data.fields["color"][row]
    assert right / len(apples) > 0.6


@pytest.mark.parametrize("name", sorted(DRAWINGS))
def test_a_drawing_fills_its_square_in_shades_that_exist(name: str) -> None:
    patches = drawing(name)
    points = np.concatenate([patch.points for patch in patches])
    assert np.abs(points).max() <= 1
    assert np.ptp(points, axis=0).max() > 1.7
    assert {patch.shade for patch in patches} <= set(shades((1, 2, 3)))
    assert "main" in {patch.shade for patch in patches}


@pytest.mark.parametrize("name", sorted(BACKDROPS))
def test_a_backdrop_differs_from_time_to_time_and_from_the_others(name: str) -> None:
    pictures = [np.asarray(backdrop(name, 48, np.random.default_rng(seed))) for seed in range(3)]
    assert pictures[0].shape == (48, 48, 3)
    assert len({picture.tobytes() for picture in pictures}) == 3
    others = [backdrop(other, 48, np.random.default_rng(0)) for other in BACKDROPS if other != name]
    assert all(np.asarray(other).tobytes() != pictures[0].tobytes() for other in others)
