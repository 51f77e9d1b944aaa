"""Word vectors against gensim, which writes and reads the same formats on its own."""

import gzip
import logging
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commonspace.encoders import word2vec
from commonspace.encoders.word2vec import read_word2vec
from commonspace.errors import DataError, FileFormatError

logging.getLogger("gensim").setLevel(logging.ERROR)  # it misses counts of words

WORDS = ("the", "London", "red", "Red", "new_york", "naïve", "红色", "kite")


def write(
    path: Path, words: tuple[str, ...] = WORDS, size: int = 5, *, binary: bool
) -> KeyedVectors:
    model = KeyedVectors(vector_size=size)
    model.add_vectors(
        list(words),
        np.random.default_rng(len(words)).normal(size=(len(words), size)).astype(np.float32),
    )
    model.save_word2vec_format(str(path), binary=binary)
    return model


WORD = st.text(
    st.characters(min_codepoint=33, exclude_categories=["Cs", "Z", "C"]), min_size=1, max_size=9
)


@settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    words=st.lists(WORD, min_size=1, max_size=30, unique=True),
    binary=st.booleans(),
    size=st.integers(2, 7),
    chunk=st.integers(1, 90),
)
def test_both_formats_read_as_gensim_reads_them(
    words: list[str],
    binary: bool,
    size: int,
    chunk: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "vectors.bin"
    write(path, tuple(words), size, binary=binary)
    reference = KeyedVectors.load_word2vec_format(str(path), binary=binary)
    monkeypatch.setattr(word2vec, "CHUNK", chunk + 16)  # pieces that end anywhere
    monkeypatch.setattr(word2vec, "LONGEST_WORD", 50)
    found = read_word2vec(path, words)
    assert sorted(found.words) == sorted(words)
    for word, vector in zip(found.words, found.vectors, strict=True):
        np.testing.assert_allclose(vector, reference[word], rtol=1e-6)


@pytest.mark.parametrize("binary", [True, False])
def test_only_what_is_asked_for_in_exact_or_folded_case(binary: bool, tmp_path: Path) -> None:
    model = write(tmp_path / "v", binary=binary)
    found = read_word2vec(tmp_path / "v", ["london", "red", "absent", "红色"])
    vectors = dict(zip(found.words, found.vectors, strict=True))
    assert set(vectors) == {"london", "red", "红色"}
    np.testing.assert_allclose(vectors["london"], model["London"], rtol=1e-6)
    np.testing.assert_allclose(vectors["red"], model["red"], rtol=1e-6)  # not that of "Red"
    with gzip.open(tmp_path / "v.gz", "wb") as file:
        file.write((tmp_path / "v").read_bytes())
    packed = read_word2vec(tmp_path / "v.gz", ["london", "red", "absent", "红色"])
    assert np.array_equal(packed.vectors, found.vectors)
    assert packed.sha256 == found.sha256


@pytest.mark.parametrize("binary", [True, False])
def test_a_file_cut_short_anywhere_is_noticed(binary: bool, tmp_path: Path) -> None:
    write(tmp_path / "v", binary=binary)
    whole = (tmp_path / "v").read_bytes()
    # The end of text's last number cannot be told from a shorter number; all else can.
    last = len(whole.rstrip()) - 1 if binary else whole.rstrip().rindex(b" ") + 1
    for length in range(0, last):
        (tmp_path / "short").write_bytes(whole[:length])
        with pytest.raises(FileFormatError, match="short"):
            read_word2vec(tmp_path / "short", WORDS)
    packed = gzip.compress(whole)
    (tmp_path / "short.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(FileFormatError, match=r"short\.gz"):
        read_word2vec(tmp_path / "short.gz", WORDS)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("claimed", [4, 6, 9])
def test_another_size_than_the_file_says_is_noticed(
    binary: bool, claimed: int, tmp_path: Path
) -> None:
    write(tmp_path / "v", binary=binary)
    head, _, rest = (tmp_path / "v").read_bytes().partition(b"\n")
    assert head == b"8 5"
    (tmp_path / "v").write_bytes(b"8 %d\n" % claimed + rest)
    with pytest.raises(FileFormatError):
        read_word2vec(tmp_path / "v", WORDS)


def test_other_refusals(tmp_path: Path) -> None:
    write(tmp_path / "v", binary=True)
    with pytest.raises(FileFormatError, match="vectors of 300 numbers"):
        read_word2vec(tmp_path / "v", WORDS, size=300)
    with pytest.raises(DataError, match="none of the words"):
        read_word2vec(tmp_path / "v", ["absent"])
    with pytest.raises(DataError, match="no word vectors"):
        read_word2vec(tmp_path / "nowhere", WORDS)
    for content in (
        b"",
        b"no header",
        b"many words\n",
        b"0 300\n",
        b"2 3\na 1 2 nan\nb 1 2 3\n",
        b"2 3\na 1 x 3\nb 1 2 3\n",
    ):
        (tmp_path / "odd").write_bytes(content)
        with pytest.raises(FileFormatError, match="odd"):
            read_word2vec(tmp_path / "odd", ["a", "b"])
    (tmp_path / "more").write_bytes(b"1 3\na 1 2 3\nb 1 2 3\n")
    with pytest.raises(FileFormatError, match="nothing behind 1 words"):
        read_word2vec(tmp_path / "more", ["a"])


def test_a_large_file_is_never_in_memory(tmp_path: Path) -> None:
    path, count, size = tmp_path / "large.bin", 25_000, 300
    with path.open("wb") as file:
        file.write(b"%d %d\n" % (count, size))
        for number in range(count):
            file.write(b"w%d " % number + np.full(size, number, np.float32).tobytes() + b"\n")
    assert path.stat().st_size > 30e6
    tracemalloc.start()
    found = read_word2vec(path, ["w7", "w24999"])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.vectors[:, 0].tolist() == [7, 24999]
    assert peak < 8e6
