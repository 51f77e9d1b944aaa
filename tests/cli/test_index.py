"""The commands of an index say and do what the package does, and refuse with a reason."""

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import Result

import commonspace as cs

Call = Callable[..., Result]

CLASSES = {"rose": "red", "leaf": "green", "sky": "blue"}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 36 plain pictures with their names, prices and classes."""
    folder = tmp_path_factory.mktemp("photos")
    draw = np.random.default_rng(0)
    lines = []
    for number in range(36):
        label, colour = list(CLASSES.items())[number % 3]
        picture = Image.new("RGB", (32, 32), colour)
        picture.putpixel((number % 32, 0), (255, 255, 255))
        picture.save(folder / f"{number}.png")
        line = {
            "file_name": f"{number}.png",
            "text": f"{draw.choice(['a', 'one', 'some'])} {colour} {label}",
            "label": label,
            "price": number,
            "split": ["train", "validation"][number % 4 == 3],
        }
        lines.append(json.dumps(line))
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def run(call: Call, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "photos"
    sizes = ("--hidden-dim", "16", "--embedding-dim", "8", "--device", "cpu")
    result = call("train", photos, "--out", folder, "--epochs", 2, *sizes)
    assert result.exit_code == 0, result.stderr
    return folder


@pytest.fixture(scope="module")
def untouched(
    call: Call, run: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return the folder of an index of the photos, to be copied."""
    folder = tmp_path_factory.mktemp("untouched") / "shop"
    result = call("index", run, photos, "--out", folder)
    assert result.exit_code == 0, result.stderr
    assert f'36 items\nnext: commonspace search {folder} "WORDS"' in result.stdout
    return folder


@pytest.fixture
def shop(untouched: Path, tmp_path: Path) -> Path:
    """Return the folder of an index of the photos."""
    return Path(shutil.copytree(untouched, tmp_path / "shop"))


def found(call: Call, *words: object) -> list[list[str]]:
    result = call("search", *words, "--json")
    assert result.exit_code == 0, result.stderr
    return [[one["id"] for one in answer["results"]] for answer in json.loads(result.stdout)]


def test_search_is_that_of_the_package(
    call: Call, shop: Path, photos: Path, tmp_path: Path
) -> None:
    picture = photos / "4.png"
    with cs.Index.open(shop) as index:
        words = [one.id for one in index.search(text="a red rose")]
        seen = [one.id for one in index.search(image=picture, k=3, modality="text")]
        both = [one.id for one in index.search(text="a red rose", image=picture)]
        cheap = [one.id for one in index.search(text="a red rose", where="price < 4")]
        alike = [one.id for one in index.search(id="4.png", k=3, offset=2, query_modality="text")]
        np.save(tmp_path / "v.npy", index.vectors("5.png")["image"])
        near = [one.id for one in index.search(vector=index.vectors("5.png")["image"])]
    assert found(call, shop, "a red rose") == [words]
    assert found(call, shop, "--image", picture, "-k", 3, "--modality", "text") == [seen]
    assert found(call, shop, "a red rose", "--image", picture) == [both]
    assert found(call, shop, "a red rose", "--where", "price < 4") == [cheap]
    like = ("--id", "4.png", "-k", 3, "--offset", 2, "--query-modality", "text")
    assert found(call, shop, *like) == [alike]
    assert found(call, shop, "--vector", tmp_path / "v.npy") == [near]
    assert sorted(cheap) == ["0.png", "1.png", "2.png", "3.png"]
    (tmp_path / "queries.txt").write_text("a red rose\n\na blue sky\n")
    assert found(call, shop, "--queries", tmp_path / "queries.txt")[0] == words
    assert len(found(call, shop, "--queries", tmp_path / "queries.txt")) == 2
    (photos / "queries.jsonl").write_text('{"text": "a red rose", "image": "4.png"}\n')
    assert found(call, shop, "--queries", photos / "queries.jsonl") == [both]


def labels_in(folder: Path, *ids: str) -> list[tuple[str, ...]]:
    with cs.Index.open(folder) as index:
        return [tuple(sorted(one.labels)) for one in map(index.item, ids) if one is not None]


def test_labels_of_people_stay_when_the_data_is_read_again(
    call: Call, shop: Path, run: Path, photos: Path, tmp_path: Path
) -> None:
    given = {"3.png": ["sky"], "4.png": ["mixed", "leaf"]}
    with cs.Index.open(shop) as index:
        index.set_labels(given)
    lines = [json.dumps({"id": id, "labels": labels}) for id, labels in given.items()]
    file = shop.with_name("shop-labels.jsonl")
    file.write_text("\n".join(lines))
    expected = [("sky",), ("leaf", "mixed"), ("sky",)]
    updated = call("update", shop, photos)
    assert updated.exit_code == 0, updated.stderr
    assert "2 labels given by people" in updated.stderr
    assert labels_in(shop, "3.png", "4.png", "5.png") == expected
    made = call("index", run, photos, "--out", tmp_path / "b", "--corrections", file)
    assert made.exit_code == 0, made.stderr
    assert labels_in(tmp_path / "b", "3.png", "4.png", "5.png") == expected
    call("remove", shop, "4.png")
    added = call("add", shop, photos_of(photos, "4.png", tmp_path / "one"))
    assert added.exit_code == 0, added.stderr
    assert labels_in(shop, "4.png") == [("leaf", "mixed")]


def photos_of(photos: Path, name: str, folder: Path) -> Path:
    """Return a folder with one of the photos."""
    folder.mkdir()
    shutil.copy(photos / name, folder)
    lines = (photos / "metadata.jsonl").read_text().splitlines()
    (folder / "metadata.jsonl").write_text(next(one for one in lines if f'"{name}"' in one))
    return folder


def test_the_table_shows_what_was_found(call: Call, shop: Path) -> None:
    page = call("search", shop, "a red rose", "-k", 2, "--where", 'label = "rose"').stdout
    assert "a red rose" in page.splitlines()[0]
    assert "score" in page
    assert "rose" in page
    assert ".png" in page
    assert "no results" in call("search", shop, "red", "--where", "price < 0").stdout
    misspelled = call("search", shop, "red", "--where", "label = 'Rose' or price < '4'")
    assert "did you mean 'rose'?" in misspelled.stderr
    assert "price is a number: write 4 without quotes" in misspelled.stderr


@pytest.fixture(scope="module")
def uncalibrated(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an index of a space that has too few validation samples to calibrate."""
    data = cs.load_dataset(photos)
    method = cs.DSCMR(preset="official", epochs=1, hidden_dim=16, embedding_dim=8, device="cpu")
    validation = data.split("validation")
    space = method.fit(data.split("train"), validation.take(np.arange(2)))
    assert not space.calibrated
    folder = tmp_path_factory.mktemp("uncalibrated") / "shop"
    cs.Index.create(folder, space, data).close()
    return folder


@pytest.mark.parametrize(
    "query", [["a red rose"], ["--image", "0.png"], ["--id", "0.png"], ["--queries", "words.txt"]]
)
def test_a_space_without_calibration_shows_no_relevance(
    call: Call, uncalibrated: Path, photos: Path, tmp_path: Path, query: list[str]
) -> None:
    (tmp_path / "words.txt").write_text("a red rose\na blue sky\n")
    places = {"0.png": photos / "0.png", "words.txt": tmp_path / "words.txt"}
    words = query if query[0] == "--id" else [str(places.get(word, word)) for word in query]
    shown = call("search", uncalibrated, *words, "-k", 3)
    assert (shown.exit_code, shown.exception) == (0, None), shown.output
    assert "score" in shown.stdout
    assert "relevance" not in shown.stdout
    answers = json.loads(call("search", uncalibrated, *words, "-k", 3, "--json").stdout)
    assert {one["relevance"] for answer in answers for one in answer["results"]} == {None}
    refused = call("search", uncalibrated, *words, "--min-relevance", 0.5)
    assert refused.exit_code != 0
    assert "Traceback" not in refused.output
    assert "calibrat" in refused.stderr


def test_open_shows_the_results_as_a_page(
    call: Call, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    result = call("search", shop, "a red rose", "-k", 2, "--open")
    assert result.exit_code == 0, result.stderr
    (address,) = opened
    page = Path(address.removeprefix("file://"))
    assert str(page) in result.stdout
    assert page.read_text("utf-8").count("<img") == 2


def test_a_wrong_filter_is_refused_before_torch_is_imported(shop: Path) -> None:
    words = ["commonspace", "search", str(shop), "red", "--where", "prise < 4"]
    assert "torch" not in modules_after(words, exit_code=2)


def test_a_search_imports_no_library_that_it_does_not_use(shop: Path) -> None:
    loaded = modules_after(["commonspace", "search", str(shop), "a red rose"])
    assert "torch" in loaded
    unused = {"transformers", "scipy", "sklearn", "pandas", "pyarrow", "h5py", "matplotlib"}
    unused |= {"fastapi", "rich.markdown", "commonspace.methods", "commonspace.training"}
    assert not unused & loaded


def modules_after(words: list[str], exit_code: int | None = None) -> set[str]:
    """Return the modules that a command has imported, in a process of its own."""
    script = (
        "import sys\n"
        f"sys.argv = {words!r}\n"
        "from commonspace.cli.main import main\n"
        "try: main()\n"
        f"except SystemExit as end: assert (end.code or None) == {exit_code!r}, end.code\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def test_items_come_change_and_go(call: Call, shop: Path, photos: Path, tmp_path: Path) -> None:
    assert "1 removed, 35 items" in call("remove", shop, "3.png").stdout
    (tmp_path / "sold").write_text("4.png\n5.png\n")
    assert "2 removed, 33 items" in call("remove", shop, "--from", tmp_path / "sold").stdout
    refused = call("add", shop, photos)
    assert refused.exit_code == 2
    assert "33 of the 36 samples" in refused.stderr
    updated = call("update", shop, photos).stdout
    assert "3 added, 0 replaced, 0 with new fields, 33 unchanged, 0 moved; 36 items" in updated
    facts = json.loads(call("info", shop, "--json").stdout)
    assert facts["vectors"] == {"image": 36, "text": 36}
    assert facts["fields"] == ["price"]
    page = call("info", shop).stdout
    assert "36 image, 36 text" in page
    assert "fields: price" in page


def test_verify_tells_problems_by_its_exit_code(call: Call, shop: Path) -> None:
    fine = call("verify", shop)
    assert fine.exit_code == 0
    assert "problems: none" in fine.stdout
    assert json.loads(call("verify", shop, "--json").stdout)["costs"]["text"]["recall"] == 1
    assert "note" not in call("info", shop).stderr
    (shop / "spaces" / "1" / "config.json").write_text("{}")
    broken = call("verify", shop)
    assert broken.exit_code == 1
    assert "problems: 1" in broken.stdout


def test_migrate_moves_to_another_run(call: Call, shop: Path, photos: Path, tmp_path: Path) -> None:
    sizes = ("--hidden-dim", "12", "--embedding-dim", "6", "--device", "cpu", "--seed", "5")
    assert call("train", photos, "--out", tmp_path / "new", "--epochs", 1, *sizes).exit_code == 0
    moved = call("migrate", shop, "--to", tmp_path / "new")
    assert "72 new vectors" in moved.stdout
    assert "it was already" in call("migrate", shop, "--to", tmp_path / "new").stdout
    assert json.loads(call("info", shop, "--json").stdout)["dimension"] == 6
    assert len(found(call, shop, "a red rose")[0]) == 10


def test_audit_writes_its_findings(call: Call, shop: Path, tmp_path: Path) -> None:
    out = tmp_path / "audit.csv"
    result = call("audit", shop, "--out", out)
    assert result.exit_code == 0, result.stderr
    rows = list(csv.DictReader(out.read_text("utf-8").splitlines()))
    with cs.Index.open(shop) as index:
        found = index.audit()
    assert [(row["kind"], row["id"], row["other"]) for row in rows] == [
        (one.kind, one.id, one.other) for one in found
    ]
    assert {"0.png", "33.png"} <= {row["id"] for row in rows if row["kind"] == "duplicate"} | {
        row["other"] for row in rows
    }
    taken = call("audit", shop, "--out", out)
    assert taken.exit_code == 2
    assert "already exists" in taken.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("search",), "words, --image, --vector or --id; or --queries"),
        (("search", "", "-k", "3"), "at most 100,000 characters"),
        (("search", "red", "-k", "0"), "a whole number from 1"),
        (("search", "red", "--where", "prise < 4"), "did you mean price?"),
        (("search", "red", "--modality", "sound"), "'image' or 'text'"),
        (("search", "red", "--instance-weight", "0.5"), "instance_weight"),
        (("search", "red", "--min-relevance", "2"), "from 0 to 1"),
        (("search", "--image", "absent.jpg"), "cannot be opened"),
        (("search", "--queries", "absent.txt"), "cannot be opened"),
        (("search", "red", "--queries", "absent.txt"), "not clear what to search for"),
        (("search", "red", "--encoder", "text=st:x"), "which needs none"),
        (("remove",), "ids, or --from FILE"),
        (("remove", "nope"), "no item 'nope'"),
        (("add", "absent"), "there is no data set"),
        (("migrate", "--to", "absent"), "absent holds no saved space"),
    ],
)
def test_mistakes_are_refused_with_a_reason(
    call: Call, shop: Path, words: tuple[str, ...], said: str
) -> None:
    result = call(words[0], shop, *words[1:])
    assert result.exit_code == 2, result.stdout
    assert said in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    "line", ["{", "[]", "{}", '{"text": 3}', '{"words": "a"}', '{"text": " "}']
)
def test_lines_that_are_no_queries(call: Call, shop: Path, tmp_path: Path, line: str) -> None:
    (tmp_path / "queries.jsonl").write_text(f'{{"text": "red"}}\n{line}\n')
    result = call("search", shop, "--queries", tmp_path / "queries.jsonl")
    assert result.exit_code == 2
    assert "line 2, is not a query" in result.stderr


def test_an_index_of_features_alone_says_what_can_be_asked(call: Call, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).standard_normal((40, 6), dtype=np.float32)
    split = np.array(["train", "validation"] * 20)
    np.savez(tmp_path / "f.npz", image=rows, text=rows, label=np.arange(40) % 3, split=split)
    sizes = ("--hidden-dim", "8", "--embedding-dim", "4", "--device", "cpu", "--epochs", 1)
    assert call("train", tmp_path / "f.npz", "--out", tmp_path / "run", *sizes).exit_code == 0
    made = call("index", tmp_path / "run", tmp_path / "f.npz", "--out", tmp_path / "shop")
    assert f"next: commonspace search {tmp_path / 'shop'} --id ID" in made.stdout
    refused = call("search", tmp_path / "shop", "red")
    assert refused.exit_code == 2
    assert "--encoder text=ENCODER" in refused.stderr


def test_a_file_without_queries(call: Call, shop: Path, tmp_path: Path) -> None:
    (tmp_path / "queries.txt").write_text("\n\n")
    result = call("search", shop, "--queries", tmp_path / "queries.txt", "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "contains no query" in result.stderr


def test_a_place_that_is_taken_or_no_index(
    call: Call, run: Path, shop: Path, photos: Path, tmp_path: Path
) -> None:
    taken = call("index", run, photos, "--out", shop)
    assert taken.exit_code == 2
    assert "an index" in taken.stderr
    both = ("--kind", "hnsw", "--store", "milvus:x.db")
    assert (
        "leave one of them out"
        in call("index", run, photos, "--out", tmp_path / "two", *both).stderr
    )
    other = call("index", run, photos, "--out", tmp_path / "two", "--store", "faiss:x")
    assert "expected: milvus:URI" in " ".join(other.stderr.split())
    none = call("search", tmp_path / "absent", "red")
    assert none.exit_code == 2
    assert "is not an index" in none.stderr


def test_options_of_a_search_are_those_of_the_package(call: Call, shop: Path, photos: Path) -> None:
    picture = photos / "4.png"
    with cs.Index.open(shop) as index:
        unlike = index.search("a red rose", less_like=["0.png", "3.png"], k=5)
        photo = index.search("a red rose", less_like_vector=index.embed(image=picture), k=5)
        grouped = index.search("a red rose", group_by="price", sort="-price", min_relevance=0)
        mixed = index.search("a red rose", image=picture, text_weight=0.9)
    words = (shop, "a red rose")
    ids = [[one.id for one in row] for row in (unlike, photo, grouped, mixed)]
    assert found(call, *words, "--less-like", "0.png", "--less-like", "3.png", "-k", 5) == ids[:1]
    assert found(call, *words, "--less-like-image", picture, "-k", 5) == ids[1:2]
    options = ("--group-by", "price", "--sort", "-price", "--min-relevance", 0)
    assert found(call, *words, *options) == ids[2:3]
    assert found(call, *words, "--image", picture, "--text-weight", 0.9) == ids[3:]
    with cs.Index.open(shop) as index:
        avoided = index.search("a rose", without="red, dog in")
    typed = (shop, 'a -red rose -"dog in"')
    assert found(call, *typed) == [[one.id for one in avoided]]
    assert "a rose (without red, dog in)" in call("search", *typed).stdout.splitlines()[0]
    refused = call("search", *words, "--sort", "prise")
    assert refused.exit_code == 2
    assert "`sort` names a field that no item has" in refused.stderr
