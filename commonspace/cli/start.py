"""Command ``start``: from a folder of photos to a page that searches them.

Each step is stored in the output folder, with a hash of what it was made from:

    OUT/state.json   the hash of the data and the settings, and which steps are finished
    OUT/run          the trained space
    OUT/index        the search index
    OUT/earlier-HASH the run and index of other data or settings
"""

import json
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from shutil import rmtree
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commonspace.atomic import ensure_folder, replace_file
from commonspace.cli.data import map_keys
from commonspace.cli.encoders import (
    EncoderOption,
    ImageOption,
    TextOption,
    choose_encoders,
    encoders_named,
)
from commonspace.cli.index_data import data_folder, labels_beside, with_given_labels
from commonspace.cli.interrupts import resumable
from commonspace.cli.methods import SetOption, choose_method, collect_settings, configure_method
from commonspace.cli.options import (
    CorrectionsOption,
    DataArgument,
    DeviceOption,
    GroupOption,
    LabelOption,
    LinkOption,
    ModalityOption,
    PartialOption,
    PriceOption,
    SplitSeedOption,
    TitleOption,
    roles_named,
)
from commonspace.cli.runs import CHECKPOINT, CONFIG, RECORD, RunRecord, continued_run, new_run
from commonspace.cli.runs import open_data as open_data_set
from commonspace.cli.serve import run_service
from commonspace.cli.train import describe_selection, fit_into
from commonspace.errors import CommonspaceError, DataError
from commonspace.extras import optional
from commonspace.json_text import parse_json
from commonspace.registry import method_names

if TYPE_CHECKING:
    from commonspace.data import Dataset
    from commonspace.evaluation import EvaluationReport
    from commonspace.space import CommonSpace

__all__ = ["start"]

HOST, PORT = "127.0.0.1", 8000
STATE, RUN, INDEX = "state.json", "run", "index"


def start(
    data: DataArgument,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT",
            help="Folder of the results (default: the name of DATA with -search).",
            show_default=False,
        ),
    ] = None,
    image: ImageOption = None,
    text: TextOption = None,
    encoder: EncoderOption = None,
    method: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Training method (default: chosen by the data, as by train). Methods:"
            f" {', '.join(method_names())}.",
            show_default=False,
        ),
    ] = None,
    assignments: SetOption = None,
    modality: ModalityOption = None,
    label: LabelOption = None,
    corrections: CorrectionsOption = None,
    title: TitleOption = None,
    price: PriceOption = None,
    link: LinkOption = None,
    group: GroupOption = None,
    split_seed: SplitSeedOption = 0,
    partial: PartialOption = False,
    no_serve: Annotated[
        bool, typer.Option("--no-serve", help="Stop before the page is served.")
    ] = False,
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Port of the page (default: 8000, or a free one if it is taken).",
            show_default=False,
        ),
    ] = None,
    device: DeviceOption = "auto",
) -> None:
    """Turn photos and their texts into a search page, in one step.

    Reads DATA, chooses encoders, trains, evaluates on the test split, creates
    an index and serves it on this machine. Pretrained encoders are used if
    they are named, or found in the cache of this machine. Nothing is
    downloaded unless an encoder is named. Labels are not needed.

    The same command continues after a stop, and skips the steps that are
    finished, as long as DATA and the options are the same.

    [bold]Examples[/bold]

      commonspace start photos
      commonspace start photos --image hf:MODEL --text st:MODEL
      commonspace start products.csv --modality text=title --no-serve

    Next: commonspace search OUT/index "a red kite"
    """
    optional("faiss", "the index", "index")
    if not no_serve:
        optional("fastapi", "the page", "serve")
    source = map_keys(data, modality, label, corrections=corrections)
    out = out or Path(f"{_name(data)}-search")
    named = encoders_named(image, text, encoder)
    settings = collect_settings({}, assignments or [])
    if method is not None:  # refuse wrong settings before the data is read
        configure_method(method, settings)
    from commonspace.retrieval.roles import check_roles

    with resumable(f"finished steps are in {out}"):
        dataset = _read(source, split_seed, partial=partial)
        roles = roles_named(title, price, link, group)
        check_roles(roles, [*dataset.fields])
        for_training, for_index = choose_encoders(dataset, named, data, _say)
        if for_training:
            settings["encoders"] = {**settings.get("encoders", {}), "specs": for_training}
        chosen = method or choose_method(dataset, settings)
        work = _Work(
            out,
            dataset,
            RunRecord(source, split_seed, partial),
            chosen,
            settings,
            for_index,
            device,
        )
        aside = work.take_up()
        try:
            space = work.train()
        except CommonspaceError:
            work.bring_back(aside)
            raise
        work.evaluate(space)
        work.index(space, data_folder(source), roles)
    if no_serve:
        place = quote(str(out / INDEX))
        typer.echo(f'next      commonspace search {place} "WORDS"')
        typer.echo(f"          commonspace serve {place}")
        return
    from commonspace.serve import ServiceSettings

    settings_of_page = ServiceSettings(name=_name(data))
    has_tsne = find_spec("openTSNE") is not None or find_spec("sklearn") is not None
    run_service(
        out / INDEX, settings_of_page, HOST, _free_port(port), device=device, make_map=has_tsne
    )


@dataclass
class _Work:
    """The steps from a data set to an index, each skipped if its result is stored.

    Args:
        out: folder of the results.
        data: with all its splits.
        record: names the data.
        method: name of the method.
        settings: of the method.
        index_encoders: modality -> encoder of the features of the data.
        device: of the space.
    """

    out: Path
    data: "Dataset"
    record: RunRecord
    method: str
    settings: Mapping[str, Any]
    index_encoders: Mapping[str, str]
    device: str

    def take_up(self) -> Path | None:
        """Keep the results of the same inputs; move those of others aside and return to where."""
        ensure_folder(self.out)
        described = [self.data.fingerprint, self.method, self.settings]
        key = sha256(json.dumps(described, sort_keys=True, default=str).encode()).hexdigest()
        state = self._state()
        if state.get("key") == key:
            return None
        aside = None
        if state.get("key"):
            aside = self.out / f"earlier-{state['key'][:8]}"
            _move((STATE, RUN, INDEX), self.out, aside)
            typer.echo(f"data or options have changed: the earlier results are in {aside}")
        known = self.out / f"earlier-{key[:8]}"
        if (known / STATE).exists():
            _move((STATE, RUN, INDEX), known, self.out)
        else:
            self._store({"key": key})
        return aside

    def bring_back(self, aside: Path | None) -> None:
        """Return earlier results to their place, unless the new training can be continued."""
        if aside is None or (self.out / RUN / CHECKPOINT).exists():
            return
        rmtree(self.out / RUN, ignore_errors=True)
        (self.out / STATE).unlink(missing_ok=True)
        _move((STATE, RUN, INDEX), aside, self.out)
        aside.rmdir()
        typer.echo(f"the training has failed: the earlier results are in {self.out} again")

    def train(self) -> "CommonSpace":
        """Return the trained space."""
        from commonspace.space import load

        run = self.out / RUN
        if (run / CONFIG).exists():
            space = load(run, device=self.device)
            _say("train", f"finished before; {_describe_training(space, self.method)}")
            return space
        started = any((run / name).exists() for name in (CHECKPOINT, RECORD))
        with (continued_run if started else new_run)(run, self.record) as has_checkpoint:
            device = {} if self.device == "auto" else {"device": self.device}
            fitted = configure_method(self.method, {**self.settings, **device})
            _say("train", f"{self.method}, on {_samples(self.data)}")
            start = time.monotonic()
            space = fit_into(run, fitted, self.data, resume=has_checkpoint)
        seconds = time.monotonic() - start
        _say("", f"{_describe_training(space, self.method)}, {seconds:.0f} s")
        return space

    def evaluate(self, space: "CommonSpace") -> None:
        """Print the figures of the test split."""
        state = self._state()
        if "evaluation" in state:
            _say("evaluate", f"finished before; {state['evaluation']}")
            return
        result = _describe_report(space.evaluate(self.data, split="test"))
        self._store({**state, "evaluation": result})
        _say("evaluate", result)

    def index(self, space: "CommonSpace", photos: Path | None, roles: Mapping[str, str]) -> None:
        """Create the index, or complete it."""
        from commonspace.progress import ProgressBar
        from commonspace.retrieval import Index

        folder, state = self.out / INDEX, self._state()
        fields = json.dumps([*self.data.fields.items(), *roles.items()], default=str)
        contents = sha256(fields.encode()).hexdigest()
        start, bar = time.monotonic(), [ProgressBar()]
        items = with_given_labels(self.data, labels_beside(folder))
        if (folder / "store.sqlite").exists():
            with Index.open(folder, space=space, device=self.device) as index:
                if state.get("indexed") == contents:
                    _say("index", f"finished before; {len(index)} items in {folder}")
                    return
                notes = index.update(items, photos=photos, callbacks=bar).notes
                index.set_roles(roles)
                count = len(index)
        else:
            with Index.create(
                folder,
                space,
                items,
                encoders=self.index_encoders,
                roles=roles,
                photos=photos,
                callbacks=bar,
            ) as index:
                notes, count = index.notes, len(index)
        self._store({**state, "indexed": contents})
        for note in notes:
            _say("", f"note: {note}")
        _say("index", f"{count} items in {folder}, {time.monotonic() - start:.0f} s")

    def _state(self) -> dict[str, Any]:
        try:
            state = parse_json((self.out / STATE).read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}

    def _store(self, state: Mapping[str, Any]) -> None:
        with replace_file(self.out / STATE, overwrite=True) as draft:
            draft.write_text(json.dumps(state, indent=2) + "\n", "utf-8")


def _read(source: str, split_seed: int, *, partial: bool) -> "Dataset":
    from commonspace.data import Images, Texts

    data = open_data_set(source, split_seed, partial=partial)
    for warning in data.warnings:
        _say("", f"note: {warning}")
    texts_from_labels = [*data.columns] == ["image"] and data.labels.any()
    if texts_from_labels and isinstance(data.columns["image"], Images):
        names = [
            tuple(name for name, has in zip(data.class_names, row, strict=True) if has)
            for row in data.labels
        ]
        data = replace(data, columns={**data.columns, "text": Texts(names)})
    if len(data.columns) < 2:
        raise DataError(
            f"{source} has only {' and '.join(data.modalities)}",
            expected="photos with texts, or photos in a folder for each class",
            found=f"{len(data)} samples without texts and labels",
            advice='add a file metadata.jsonl, with a line for each photo: {"file_name": "a.jpg",'
            ' "text": "two dogs on a beach"}',
        )
    classes = f"{len(data.class_names)} classes" if data.class_names else "no labels"
    _say("data", f"{len(data)} items, {classes}; modalities: {', '.join(data.modalities)}")
    if texts_from_labels:
        _say("", "note: there are no texts: the names of the classes are used as texts")
    return data


def _describe_training(space: "CommonSpace", method: str) -> str:
    chosen = space.provenance.get("chosen", {})
    if not chosen:
        return method
    metric = chosen.get("metric", "mAP")
    score = f"validation {metric} {chosen['validation_score']:.3f}"
    return f"{method}: {score}, {describe_selection(chosen)}"


def _describe_report(report: "EvaluationReport") -> str:
    if not report:
        assert report.pairs is not None
        return (
            f"test split: mean recall of the pairs (R@1, R@5, R@10) {report.pairs.mean_recall:.3f}"
        )
    directions = ", ".join(f"{name} {report[name]['map']:.3f}" for name in report.directions)
    return (
        f"test split: mAP {report.map:.3f} ({directions}); a random order has"
        f" {report['average']['chance']:.3f}"
    )


def _samples(data: "Dataset") -> str:
    train, validation = (int((data.splits == name).sum()) for name in ("train", "validation"))
    return f"{train} items; {validation} of validation choose the best epoch or setting"


def _move(names: tuple[str, ...], source: Path, target: Path) -> None:
    ensure_folder(target)
    for name in names:
        if (source / name).exists():
            (source / name).rename(target / name)


def _free_port(port: int | None) -> int:
    """Return the port that was asked for; else 8000, or 0 for a free one if it is taken."""
    if port is not None:
        return port
    with socket.socket() as trial:
        return 0 if trial.connect_ex((HOST, PORT)) == 0 else PORT


def _name(data: str) -> str:
    """Return the name of a data argument: photos for ../photos/?label=kind."""
    path = Path(data.partition("?")[0].rpartition(":")[2])
    name = path.resolve().name
    return Path(name).stem if path.is_file() else name


def _say(step: str, text: str) -> None:
    typer.echo(f"{step:<9} {text}")
