"""Upload and download of saved spaces on the Hugging Face Hub, with a model card."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from commonspace.errors import OutputError, SpaceError
from commonspace.extras import optional
from commonspace.space_files import CONFIG, WEIGHTS

__all__ = ["HubMixin", "download_space", "model_card"]

CARD = "README.md"


class _Model(Protocol):
    """The attributes of a model that ``HubMixin`` uses."""

    @property
    def method(self) -> str: ...

    @property
    def modalities(self) -> tuple[str, ...]: ...

    def summary(self) -> dict[str, str]: ...

    def write(self, folder: Path) -> None: ...

    def model_card(self, repo_id: str = ...) -> str: ...


class HubMixin:
    """Upload of a model to the Hugging Face Hub."""

    def push_to_hub(
        self: _Model,
        repo_id: str,
        *,
        private: bool = False,
        token: str | None = None,
        message: str = "Upload model",
    ) -> str:
        """Upload the model, with a model card, to the Hugging Face Hub.

        Args:
            repo_id: Repository, as ``user/name``; it is created if needed.
            private: Whether a new repository is private.
            token: Access token; None: the one of ``huggingface-cli login``.
            message: Commit message.

        Returns:
            The address of the commit.

        Raises:
            MissingExtraError: If huggingface_hub is not installed.
            OutputError: If the upload fails.
        """
        with TemporaryDirectory() as folder:
            self.write(Path(folder))
            (Path(folder) / CARD).write_text(self.model_card(repo_id) + "\n", "utf-8")
            return _upload(Path(folder), repo_id, private=private, token=token, message=message)

    def model_card(self: _Model, repo_id: str = "user/name") -> str:
        """Return the model card that ``push_to_hub`` uploads, in Markdown.

        Args:
            repo_id: Repository, as ``user/name``.
        """
        title = " ".join([self.method or "model", "for", " and ".join(self.modalities)])
        return model_card(title, self.summary(), repo_id)


def model_card(title: str, rows: Mapping[str, str], repo_id: str) -> str:
    """Return the model card of a space in Markdown, with the metadata of the Hub.

    Args:
        title: One line that names the model.
        rows: Name -> value, the facts of the model.
        repo_id: Repository on the Hub, as ``user/name``.

    Example:
        >>> print(model_card("dscmr", {"Modalities": "image, text"}, "me/birds"))
        ---
        library_name: commonspace
        tags:
        - cross-modal-retrieval
        - embeddings
        ---
        <BLANKLINE>
        # dscmr
        <BLANKLINE>
        A common embedding space for cross-modal retrieval, trained with Commonspace.
        <BLANKLINE>
        | | |
        |---|---|
        | Modalities | image, text |
        <BLANKLINE>
        ## Usage
        <BLANKLINE>
        ```python
        import commonspace as cs
        <BLANKLINE>
        space = cs.CommonSpace.from_pretrained("me/birds")
        ```
    """
    table = "\n".join(f"| {name} | {_cell(value)} |" for name, value in rows.items())
    return f"""---
library_name: commonspace
tags:
- cross-modal-retrieval
- embeddings
---

# {title}

A common embedding space for cross-modal retrieval, trained with Commonspace.

| | |
|---|---|
{table}

## Usage

```python
import commonspace as cs

space = cs.CommonSpace.from_pretrained("{repo_id}")
```"""


def download_space(
    name: str | Path, *, revision: str | None, token: str | None, cache_dir: str | Path | None
) -> Path:
    """Return the folder of a saved space: a local one, or the download of a model repository.

    Only the config and the weights are downloaded, never code.

    Args:
        name: Local folder, or repository as ``user/name``.
        revision: Branch, tag or commit of the repository; None: its main branch.
        token: Access token; None: the one of ``huggingface-cli login``.
        cache_dir: Folder of downloads; None: that of huggingface_hub.

    Raises:
        MissingExtraError: If huggingface_hub is not installed.
        SpaceError: If the repository cannot be downloaded.
    """
    if Path(name).exists():
        return Path(name)
    hub = optional("huggingface_hub", "downloading a model", "hub")
    try:
        folder = hub.snapshot_download(
            str(name),
            revision=revision,
            token=token,
            cache_dir=cache_dir,
            allow_patterns=[CONFIG, WEIGHTS],
        )
    except (hub.errors.HfHubHTTPError, hub.errors.HFValidationError, OSError, ValueError) as exc:
        raise SpaceError(
            f"{str(name)!r} is neither a local folder nor an available model repository",
            expected=f"a folder with {CONFIG} and {WEIGHTS}, or user/name on the Hugging Face Hub",
            found=_first_line(exc),
            advice="check the name, the connection and your access rights",
        ) from exc
    return Path(folder)


def _upload(folder: Path, repo_id: str, *, private: bool, token: str | None, message: str) -> str:
    """Upload the files of a folder to a model repository, which is created if needed."""
    hub = optional("huggingface_hub", "uploading a model", "hub")
    try:
        api = hub.HfApi(token=token)
        api.create_repo(repo_id, private=private, exist_ok=True)
        commit = api.upload_folder(folder_path=folder, repo_id=repo_id, commit_message=message)
    except (hub.errors.HfHubHTTPError, hub.errors.HFValidationError, OSError) as exc:
        raise OutputError(
            f"{repo_id!r} could not be uploaded",
            expected="write access to a model repository of the Hugging Face Hub",
            found=_first_line(exc),
            advice="log in with huggingface-cli login, or pass `token`",
        ) from exc
    return str(getattr(commit, "commit_url", commit))


def _cell(value: Any) -> str:  # noqa: ANN401 - any value of the provenance
    return str(value).replace("|", "\\|").replace("\n", " ")


def _first_line(exc: Exception) -> str:
    return (str(exc).strip().splitlines() or [type(exc).__name__])[0]
