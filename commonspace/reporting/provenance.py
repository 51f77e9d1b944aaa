"""Provenance and metrics as the sentences and tables of a report."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from commonspace.evaluation import OracleAnalysis, PairReport
from commonspace.plots import Fact, Table
from commonspace.reporting.measurements import DirectionMetrics

__all__ = ["describe_provenance", "format_settings", "metric_tables", "pair_table"]

_UNKNOWN = "–"


def metric_tables(
    directions: Sequence[DirectionMetrics], oracle: OracleAnalysis | None = None
) -> list[Table]:
    """Return the tables of metrics: class-level and instance-level retrieval.

    Args:
        directions: the metrics.
        oracle: class accuracy, and mAP with the classes of one modality known.
    """
    tables = [_by_class(directions), _by_pair([one for one in directions if not one.problem])]
    return [*tables, _by_modality(oracle)] if oracle else tables


def pair_table(pairs: PairReport) -> Table:
    """Return the table of pair retrieval, for samples without labels."""
    table = pairs.to_table()
    caption = (
        "Only items of the query's own sample are relevant: any of several captions of a photo, and"
        " the photo of each caption. Items of equal content count once. In brackets: 95% bootstrap"
        " interval over the samples, which does not cover the training seed."
    )
    return Table("Pair retrieval", table.head, table.rows, caption)


def describe_provenance(space: Mapping[str, Any], dimension: int) -> list[Fact]:
    """Return the provenance of a space as lines of text.

    Args:
        space: its provenance; missing entries are left out.
        dimension: of its embeddings.
    """
    method, data, chosen = (space.get(key, {}) for key in ("method", "data", "chosen"))
    lines = [Fact("method", f"{method.get('name', 'unknown')}, {dimension}-d embeddings")]
    options = format_settings(method.get("options", {}))
    lines += [Fact("options", options)] if options else []
    if data:
        lines.append(Fact("trained on", _part(data)))
        lines.append(Fact("fingerprint", str(data.get("fingerprint", "not recorded"))))
        split = data.get("provenance", {}).get("split")
        lines += [Fact("split", str(split))] if split else []
    if space.get("validation"):
        lines.append(Fact("validated on", _part(space["validation"])))
    if chosen:
        lines.append(Fact("chosen", _choice(chosen)))
    for modality, encoder in space.get("encoders", {}).items():
        lines.append(Fact(f"encoder of {modality}", _encoder(encoder)))
    versions = ", ".join(f"{name} {number}" for name, number in space.get("versions", {}).items())
    lines += [Fact("versions", versions)] if versions else []
    return lines


def format_settings(settings: Mapping[str, Any]) -> str:
    """Return settings as text; a setting of None is chosen by the method.

    Args:
        settings: name -> value, which may be a mapping itself.

    Example:
        >>> format_settings({"eta": 0.1, "graph": None, "encoders": {"fine_tune": "none"}})
        'eta 0.1, encoders (fine_tune none); automatic: graph'
    """
    lines = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            inner = format_settings(value)
            lines += [f"{name} ({inner})"] if inner else []
        elif value is not None:
            lines.append(f"{name} {value}")
    left = ", ".join(name for name, value in settings.items() if value is None)
    return "; ".join([", ".join(lines)] * bool(lines) + [f"automatic: {left}"] * bool(left))


def _by_class(directions: Sequence[DirectionMetrics]) -> Table:
    head = (
        "direction",
        "mAP",
        "95% interval",
        "chance",
        "R-precision",
        "nDCG",
        "queries",
        "gallery",
    )
    rows = []
    for one in directions:
        figures = [_UNKNOWN] * 6
        if not one.problem:
            figures = [
                f"{one.map.mean:.3f}",
                f"{one.map.low:.3f} to {one.map.high:.3f}",
                *(f"{figure:.3f}" for figure in (one.chance, one.r_precision, one.ndcg)),
                f"{one.queries:,}",
            ]
        rows.append([one.name, *figures, f"{one.gallery:,}"])
    judged = [one for one in directions if not one.problem]
    if len(judged) > 1:
        mean = sum(one.map.mean for one in judged) / len(judged)
        rows.append(["mean of the directions", f"{mean:.3f}", *[""] * (len(head) - 2)])
    caption = (
        "An item is relevant if it shares a class with the query. mAP is over the whole ranking;"
        " its interval is a bootstrap over the queries, and does not cover the training seed."
        " Chance is the share of the gallery that is relevant."
    )
    unlabeled = sum(one.figures()["unlabeled"] for one in judged)
    if unlabeled:
        caption += f" {unlabeled:,} queries without a label, in all directions, are left out."
    return Table("Class-level retrieval", head, rows, caption)


def _by_pair(judged: Sequence[DirectionMetrics]) -> Table:
    head = (
        "direction", "recall@1", "recall@5", "recall@10", "median rank", "paired queries",
        "modality gap",
    )  # fmt: skip
    rows = []
    for one in judged:
        figures = [_UNKNOWN] * 4 + ["0"]
        if one.pairs:
            shares = (f"{one.pairs.recall[k]:.3f}" for k in (1, 5, 10))
            figures = [*shares, f"{one.pairs.median_rank:g}", f"{one.pairs.queries:,}"]
        rows.append([one.name, *figures, _UNKNOWN if one.gap is None else f"{one.gap:.2f}"])
    caption = (
        "Only the sample of the query itself, by its id, is relevant. These figures are low where"
        " samples are alike, and for methods that are trained on classes only. The modality gap is"
        " the distance between the centroids of the two modalities on the unit sphere, in [0, 2]."
    )
    return Table("Instance-level retrieval", head, rows, caption)


def _by_modality(oracle: OracleAnalysis) -> Table:
    directions = list(oracle.known)
    rows = [
        [
            name,
            "–" if math.isnan(accuracy) else f"{accuracy:.3f}",
            *(
                f"{oracle.known[direction][name]:.3f}" if name in oracle.known[direction] else ""
                for direction in directions
            ),
        ]
        for name, accuracy in oracle.accuracy.items()
    ]
    posteriors = (
        "the class posteriors of the model"
        if oracle.source == "model"
        else "the class posteriors of a linear probe on the embeddings of training samples"
    )
    return Table(
        "What limits the mAP",
        ("modality", "class accuracy", *(f"{name} if known" for name in directions)),
        rows,
        "Each row: the mAP if the classes of all samples of this modality were known perfectly,"
        f" and the other modality were ranked by {posteriors}. Where it is far above the mAP, a"
        " better encoder of this modality can help.",
    )


def _part(part: Mapping[str, Any]) -> str:
    modalities = ", ".join(f"{name}: {kind}" for name, kind in part.get("modalities", {}).items())
    return (
        f"{part.get('name', 'unknown')}: {part.get('samples', 0):,} samples of"
        f" {part.get('classes', 0)} classes; {modalities}"
    )


def _choice(chosen: Mapping[str, Any]) -> str:
    steps = "trial" if "trial" in chosen else "epoch"
    lines = f"{steps} {chosen.get(steps, '?')} of {chosen.get(steps + 's', '?')}"
    lines += f", by the {chosen.get('by', 'validation mAP')}"
    if "validation_score" in chosen:
        lines += f": {chosen['validation_score']:.3f}"
    settings = format_settings(chosen.get("settings", {}))
    lines += f"; {settings}" if settings else ""
    if "seconds" in chosen:
        lines += f"; {chosen['seconds']:.0f} s on {chosen.get('device', 'an unknown device')}"
    return lines


def _encoder(encoder: Mapping[str, Any]) -> str:
    parts = [f"{encoder.get('name', 'unknown')} ({encoder.get('spec', '?')})"]
    parts += [f"{encoder['size']}-d"] if "size" in encoder else []
    parts += [str(encoder["preprocessing"])] if "preprocessing" in encoder else []
    parts += [f"fitted on {encoder['fitted_on']}"] if "fitted_on" in encoder else []
    weights = str(encoder.get("weights_sha256", ""))[:12]
    parts += [f"weights {weights}"] if weights else []
    return "; ".join(parts)
