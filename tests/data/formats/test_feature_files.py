"""Feature files: what is written is read back the same; damage is named, never a crash."""

import errno
import json
import resource
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.io import savemat

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


def test_what_is_no_archive_is_not_taken_for_a_pickle(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    for content in (b"hello", b"P"):
        path.write_bytes(content)
        with pytest.raises(
            FileFormatError, match="corrupt, cut short, or of another kind"
        ) as caught:
            load_dataset(path)
        assert "allow_pickle" not in str(caught.value)


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, image=np.eye(3), label=np.array(["a", None, 3], dtype=object))
    with pytest.raises(FileFormatError, match="'label' holds pickled Python objects"):
        load_dataset(path)
    np.save(path.with_suffix(".npy"), np.eye(3))
    path.with_suffix(".npy").rename(path)
    with pytest.raises(FileFormatError, match="one array without a name"):
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


def test_hdf5_groups_are_prefixes(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        for split, count in (("train", 20), ("test", 5)):
            file[f"{split}/image"] = np.ones((count, 3))
            file[f"{split}/label"] = np.arange(count) % 2
    read = load_dataset(path)
    assert read.modalities == ("image",)
    assert [(read.splits == name).sum() for name in ("train", "validation", "test")] == [18, 2, 5]
    assert read.provenance["split"] == "as given; validation carved from train, seed 0"


def test_parquet_as_others_write_it(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    columns: dict[str, Any] = {
        "image": [[1.0, 2.0], None, [3.0, 4.0], [5.0, 6.0]],
        "text": pa.array([["a cat", "it sits"], ["a dog"], None, []]),
        "label": pa.array(["cat", "dog", None, "cat"]).dictionary_encode(),
        "split": ["train", "train", "val", "test"],
        "price": pa.array([1, None, 3, 4]),
        "shop": ["x", None, "y", "z"],
        "when": pa.array([0, 0, 0, 0], pa.timestamp("ms")),
    }
    pq.write_table(pa.table(columns), path, row_group_size=2)
    read = load_dataset(path)
    image, text = read.columns["image"], read.columns["text"]
    assert isinstance(image, Features)
    assert isinstance(text, Texts)
    assert image.values.tolist() == [[1, 2], [0, 0], [3, 4], [5, 6]]
    assert image.present.tolist() == [True, False, True, True]
    assert text.items == (("a cat", "it sits"), ("a dog",), (), ())
    assert read.class_names == ("cat", "dog")
    assert read.labels.astype(int).tolist() == [[1, 0], [0, 1], [0, 0], [1, 0]]
    assert dict(read.fields) == {"price": [1, None, 3, 4], "shop": ["x", None, "y", "z"]}
    assert read.warnings == (f"{path}: column 'when' of type timestamp[ms] is not used",)


def test_parquet_lists_that_differ_in_length_name_the_row(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"image": [[1.0, 2.0], None, [3.0]]}), path)
    with pytest.raises(DataError, match="found:    1 in row 2"):
        load_dataset(path)


def test_parquet_null_inside_a_vector_is_not_finite(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"image": [[1.0, 2.0], [None, 2.0]]}), path)
    with pytest.raises(DataError, match="nan in row 1, column 0"):
        load_dataset(path)


def test_parquet_several_labels(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    labels = [["sky", "sea"], ["sea"], [], ["sky"]]
    table = {"image": [[1.0]] * 4, "label": labels, "split": ["train", "train", "val", "test"]}
    pq.write_table(pa.table(table), path)
    read = load_dataset(path)
    assert read.class_names == ("sea", "sky")
    assert read.labels.astype(int).tolist() == [[1, 1], [1, 0], [0, 0], [0, 1]]


def test_matlab_lists_cells_and_character_matrices(tmp_path: Path) -> None:
    path = tmp_path / "x.mat"
    names = np.empty((1, 2), dtype=object)
    names[0] = ["a cat", "a dog"]
    content = {
        "img": np.eye(4),
        "labels": np.array([[1, 2, 1, 2]]),
        "class_names": names,
        "split": np.array(["train", "train", "val", "test"]),
    }
    savemat(path, content)
    read = load_dataset(path)
    assert read.class_names == ("a cat", "a dog")
    assert read.labels.argmax(axis=1).tolist() == [0, 1, 0, 1]
    assert read.splits.tolist() == ["train", "train", "validation", "test"]


def test_matlab_version_73(tmp_path: Path) -> None:
    """As MATLAB's save -v7.3 lays it out: HDF5 behind 512 bytes, columns first, text as codes."""
    path = tmp_path / "x.mat"
    features = np.arange(12.0).reshape(4, 3)
    with h5py.File(path, "w", userblock_size=512) as file:

        def put(name: str, values: Any, kind: str) -> Any:  # noqa: ANN401, h5py has no types
            item = file.create_dataset(name, data=values)
            item.attrs["MATLAB_class"] = np.bytes_(kind)
            return item

        put("image", features.T, "double")
        put("label", np.array([[1, 2, 1, 2]]), "double")
        cells = [put(f"#refs#/{word}", np.array([[ord(c)] for c in word], np.uint16), "char").ref
                 for word in ("cat", "Übel")]  # fmt: skip
        put("class_names", np.array([cells], dtype=h5py.ref_dtype), "cell")
        words = ["train", "train", "val  ", "test "]
        codes = np.array([[ord(c) for c in word] for word in words], np.uint16)
        put("split", codes.T, "char")
    read = load_dataset(path)
    image = read.columns["image"]
    assert isinstance(image, Features)
    assert (image.values == features).all()
    assert read.class_names == ("cat", "Übel")
    assert read.labels.argmax(axis=1).tolist() == [0, 1, 0, 1]
    assert read.splits.tolist() == ["train", "train", "validation", "test"]


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
