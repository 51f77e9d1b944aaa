"""Upload and download of models, with a local folder in place of the Hugging Face Hub."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import commonspace as cs
from commonspace.data import Dataset
from commonspace.errors import OutputError, SpaceError
from commonspace.hub import model_card
from commonspace.methods import LinearProbe

hub = pytest.importorskip("huggingface_hub")


@pytest.fixture
def space(feature_dataset: Dataset) -> cs.CommonSpace:
    train, validation = feature_dataset.split("train"), feature_dataset.split("validation")
    return LinearProbe().fit(train, validation, cs.RunConfig())


class LocalHub:
    """A hub whose repositories are folders."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.calls: list[dict[str, Any]] = []

    def create_repo(self, repo_id: str, **options: Any) -> None:  # noqa: ANN401
        self.calls.append({"repo_id": repo_id, **options})
        (self.root / repo_id).mkdir(parents=True, exist_ok=True)

    def upload_folder(self, folder_path: Path, repo_id: str, commit_message: str) -> Any:  # noqa: ANN401
        shutil.copytree(folder_path, self.root / repo_id, dirs_exist_ok=True)
        return SimpleNamespace(commit_url=f"local://{repo_id}")

    def download(self, repo_id: str, allow_patterns: list[str], **_: Any) -> str:  # noqa: ANN401
        source, target = self.root / repo_id, self.root / "cache" / repo_id
        if not source.exists():
            raise hub.errors.HFValidationError(f"no repository {repo_id}")
        target.mkdir(parents=True)
        for name in allow_patterns:
            shutil.copy(source / name, target / name)
        return str(target)


@pytest.fixture
def local_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalHub:
    local = LocalHub(tmp_path / "hub")
    monkeypatch.setattr(hub, "HfApi", lambda token: local)
    monkeypatch.setattr(hub, "snapshot_download", local.download)
    return local


def test_a_pushed_model_is_loaded_again(
    space: cs.CommonSpace, feature_dataset: Dataset, local_hub: LocalHub
) -> None:
    assert space.push_to_hub("me/birds", private=True) == "local://me/birds"
    assert local_hub.calls == [{"repo_id": "me/birds", "private": True, "exist_ok": True}]
    files = {path.name for path in (local_hub.root / "me" / "birds").iterdir()}
    assert files == {"README.md", "config.json", "model.safetensors"}
    loaded = cs.CommonSpace.from_pretrained("me/birds")
    assert loaded.fingerprint == space.fingerprint
    image = feature_dataset.columns["image"]
    np.testing.assert_array_equal(loaded.embed("image", image), space.embed("image", image))


def test_only_config_and_weights_are_downloaded(space: cs.CommonSpace, local_hub: LocalHub) -> None:
    space.push_to_hub("me/birds")
    (local_hub.root / "me" / "birds" / "modeling.py").write_text("raise SystemExit")
    cs.CommonSpace.from_pretrained("me/birds")
    files = {path.name for path in (local_hub.root / "cache" / "me" / "birds").iterdir()}
    assert files == {"config.json", "model.safetensors"}


def test_a_local_folder_is_loaded_without_the_hub(space: cs.CommonSpace, tmp_path: Path) -> None:
    space.save(tmp_path / "run")
    loaded = cs.CommonSpace.from_pretrained(tmp_path / "run")
    assert loaded.fingerprint == space.fingerprint


def test_the_model_card_states_the_facts(space: cs.CommonSpace) -> None:
    card = space.model_card("me/birds")
    assert card.startswith("---\nlibrary_name: commonspace\n")
    assert 'cs.CommonSpace.from_pretrained("me/birds")' in card
    assert "| Modalities | image (features), text (features) |" in card
    assert "a \\| b" in model_card("t", {"Name": "a | b"}, "me/x")


def test_a_missing_repository_is_an_error_of_ours(local_hub: LocalHub) -> None:
    with pytest.raises(SpaceError, match="neither a local folder nor an available model"):
        cs.CommonSpace.from_pretrained("me/none")


def test_a_failed_upload_is_an_error_of_ours(
    space: cs.CommonSpace, local_hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no network\nsecond line")

    monkeypatch.setattr(LocalHub, "create_repo", fail)
    with pytest.raises(OutputError, match="could not be uploaded") as caught:
        space.push_to_hub("me/birds")
    assert caught.value.found == "no network"
