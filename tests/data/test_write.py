"""Written feature files: read back the same, whole or absent; damage is named, never a crash."""

import errno
import json
import resource
import zipfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from commonspace.data import Dataset, Features, Images, Texts
from commonspace.data.checks import check_columns, check_labels
from commonspace.data.reading import WarningLog
from commonspace.data.write import WRITERS, write_arrays
from commonspace.datasets import load_dataset
from commonspace.errors import CommonspaceError, DataError, FileFormatError, OutputError

SUFFIXES = tuple(WRITERS)


# no control characters, lone surrogates or trailing blanks: no file format keeps all of them
words = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Z")), min_size=1, max_size=12
)  # fmt: skip


@st.composite
def datasets(draw: st.DrawFn) -> Dataset:
    """Features of one to three modalities, gaps, several labels or none, all three splits."""
    count = draw(st.integers(3, 12))
    names = draw(
        st.lists(st.from_regex(r"[a-z][a-z0-9]{0,7}", fullmatch=True), min_size=1, max_size=3)
    )
    columns: dict[str, Features] = {}
    for name in dict.fromkeys(f"m{name}" for name in names):
        size = draw(st.integers(1, 5))
        floats = st.floats(-(2.0**100), 2.0**100, width=32)
        values = draw(hnp.arrays(np.float32, (count, size), elements=floats))
        present = draw(hnp.arrays(bool, count)) if columns else np.ones(count, bool)
        columns[name] = Features(values, present)
    class_names = draw(st.lists(words, unique=True, max_size=4))
    labels = draw(hnp.arrays(bool, (count, len(class_names))))
    if draw(st.booleans()) and class_names:
        labels = np.eye(len(class_names) + 1, dtype=bool)[
            draw(hnp.arrays(np.intp, count, elements=st.integers(0, len(class_names))))
        ][:, :-1]
    split = draw(st.permutations(["train", "validation", "test"] + ["train"] * (count - 3)))
    labels[np.array(split) != "train"] &= labels[np.array(split) == "train"].any(axis=0)
    return Dataset(
        name="drawn",
        ids=tuple(draw(st.lists(words, min_size=count, max_size=count, unique=True))),
        columns=columns,
        labels=labels,
        class_names=tuple(class_names),
        splits=np.array(split),
    )


def example(count: int = 30) -> Dataset:
    generator = np.random.default_rng(0)
    return Dataset(
        name="example",
        ids=tuple(f"sample {row}" for row in range(count)),
        columns={
            "image": Features(generator.normal(size=(count, 40))),
            "text": Features(generator.normal(size=(count, 7)), generator.random(count) < 0.8),
        },
        labels=np.eye(3, dtype=bool)[np.arange(count) % 3],
        class_names=("b", "a", "c"),
        splits=np.repeat(["train", "validation", "test"], count // 3),
        fields={"group": [row // 2 for row in range(count)]},
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
@given(dataset=datasets())
@settings(deadline=None, max_examples=25)
def test_what_is_written_is_read_back(
    suffix: str, dataset: Dataset, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("round") / f"drawn{suffix}"
    write_arrays(dataset, path)
    read = load_dataset(path)
    assert read.fingerprint == dataset.fingerprint
    assert read.ids == dataset.ids
    assert read.class_names == dataset.class_names
    assert read.modalities == dataset.modalities
    expected = WarningLog(partial=False)
    check_columns(dataset.columns, dataset.ids, str(path), expected)
    check_labels(dataset.columns, dataset.labels, dataset.class_names, str(path), expected)
    assert list(read.warnings) == expected.sentences
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_groups_are_kept_and_origin_says_the_format(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    write_arrays(example(), path)
    read = load_dataset(path)
    assert read.fields["group"] == [str(row // 2) for row in range(30)]
    assert dict(read.provenance) == {
        "source": path.name,
        "format": suffix[1:],
        "keys": {name: name for name in ("image", "text", "label", "split", "id", "group")},
        "split": "as given",
    }


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_cut_short_anywhere_is_named(suffix: str, tmp_path: Path) -> None:
    whole = tmp_path / f"whole{suffix}"
    write_arrays(example(), whole)
    content = whole.read_bytes()
    cut = tmp_path / f"cut{suffix}"
    # HDF5 pads its end: nothing is lost with the last bytes, everything else must be noticed
    for length in [0, 1, 100, *range(200, int(len(content) * 0.9), len(content) // 23)]:
        cut.write_bytes(content[:length])
        with pytest.raises(FileFormatError, match=f"cut{suffix}"):
            load_dataset(cut)


@pytest.mark.parametrize("suffix", [".npz", ".mat", ".parquet", ".h5"])
def test_damaged_bytes_never_crash(suffix: str, tmp_path: Path) -> None:
    whole = tmp_path / f"whole{suffix}"
    write_arrays(example(), whole)
    content = whole.read_bytes()
    generator = np.random.default_rng(1)
    refused = 0
    for _ in range(60):
        damaged = bytearray(content)
        for place in generator.integers(0, len(content), 8):
            damaged[place] ^= int(generator.integers(1, 256))
        (tmp_path / f"damaged{suffix}").write_bytes(bytes(damaged))
        message = complaint(tmp_path / f"damaged{suffix}")
        assert message == "" or f"damaged{suffix}" in message
        refused += message != ""
    assert refused > 10


def complaint(path: Path) -> str:
    """Return what is said about a file, "" where it can be read; anything else is a crash."""
    try:
        load_dataset(path)
    except CommonspaceError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_text_is_no_feature_file(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"text{suffix}"
    path.write_text("just some words\n" * 100)
    with pytest.raises(FileFormatError, match="corrupt, cut short, or of another kind"):
        load_dataset(path)


def test_an_existing_file_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(b"precious")
    with pytest.raises(OutputError, match="already exists"):
        write_arrays(example(), path)
    assert path.read_bytes() == b"precious"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_that_cannot_grow_leaves_nothing_behind(suffix: str, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, hard))  # a real write that really fails
    try:
        with pytest.raises(OutputError, match="could not be written"):
            write_arrays(example(), tmp_path / f"x{suffix}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_noticed_at_the_end_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match="No space left on device"):
        write_arrays(example(), tmp_path / "x.npz")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="absent"):
        write_arrays(example(), tmp_path / "absent" / "x.npz")
    with pytest.raises(OutputError, match=r"write x\.npz"):
        write_arrays(example(), tmp_path / "x.json")


@pytest.mark.parametrize("name", ["label", "img", "image_train", "test_image", "a_present"])
def test_names_that_would_be_read_as_something_else_are_refused(name: str, tmp_path: Path) -> None:
    dataset = Dataset("d", ("a",), {name: Features(np.eye(1))}, np.ones((1, 1), bool), ("c",),
                      np.array(["train"]))  # fmt: skip
    with pytest.raises(DataError, match="read back as something else"):
        write_arrays(dataset, tmp_path / "x.npz")


def test_only_features_can_be_written(tmp_path: Path) -> None:
    for column in (Texts([("a",)]), Images([np.zeros((2, 2, 3), np.uint8)])):
        dataset = Dataset("d", ("a",), {"text": column}, np.ones((1, 1), bool), ("c",),
                          np.array(["train"]))  # fmt: skip
        with pytest.raises(DataError, match=column.kind):
            write_arrays(dataset, tmp_path / "x.npz")


def test_reading_keeps_the_metadata_of_the_parquet_schema(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    write_arrays(example(), path)
    stored = pq.read_schema(path).metadata[b"commonspace"]
    assert json.loads(stored) == {"class_names": ["b", "a", "c"]}


def test_npz_is_what_numpy_reads(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    write_arrays(example(), path)
    with np.load(path, allow_pickle=False) as content:
        assert content["image"].shape == (30, 40)
        assert content["label"].tolist() == [row % 3 for row in range(30)]
    assert zipfile.ZipFile(path).testzip() is None
