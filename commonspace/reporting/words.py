"""The record of a space, and what was measured, in plain words and tables.

It takes dictionaries and figures, and measures nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from commonspace.plots import Fact, Table
from commonspace.reporting.measured import Direction

__all__ = ["facts", "figures_tables", "settings_in_words"]

_UNKNOWN = "–"


def figures_tables(directions: Sequence[Direction]) -> list[Table]:
    """Return the figures of each direction: those that count classes, and those that count pairs.

    Args:
        directions: what was measured.
    """
    return [_by_class(directions), _by_pair([one for one in directions if not one.problem])]


def facts(space: Mapping[str, Any], dimension: int) -> list[Fact]:
    """Return what the record of a space says of how it came about.

    Args:
        space: its provenance; what is not in it is left out.
        dimension: of its vectors.
    """
    method, data, chosen = (space.get(key, {}) for key in ("method", "data", "chosen"))
    said = [Fact("method", f"{method.get('name', 'unknown')}, vectors of {dimension} numbers")]
    options = settings_in_words(method.get("options", {}))
    said += [Fact("options", options)] if options else []
    if data:
        said.append(Fact("learnt from", _part(data)))
        said.append(Fact("fingerprint", str(data.get("fingerprint", "not recorded"))))
        split = data.get("provenance", {}).get("split")
        said += [Fact("split", str(split))] if split else []
    if space.get("validation"):
        said.append(Fact("validated on", _part(space["validation"])))
    if chosen:
        said.append(Fact("chosen", _choice(chosen)))
    for modality, encoder in space.get("encoders", {}).items():
        said.append(Fact(f"encoder of {modality}", _encoder(encoder)))
    versions = ", ".join(f"{name} {number}" for name, number in space.get("versions", {}).items())
    said += [Fact("versions", versions)] if versions else []
    return said


def settings_in_words(settings: Mapping[str, Any]) -> str:
    """Return options as words; those that are None were left to the method.

    Args:
        settings: name -> value, which may be a mapping itself.

    Example:
        >>> settings_in_words({"eta": 0.1, "graph": None, "encoders": {"fine_tune": "none"}})
        'eta 0.1, encoders (fine_tune none); left to the method: graph'
    """
    said = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            inner = settings_in_words(value)
            said += [f"{name} ({inner})"] if inner else []
        elif value is not None:
            said.append(f"{name} {value}")
    left = ", ".join(name for name, value in settings.items() if value is None)
    return "; ".join([", ".join(said)] * bool(said) + [f"left to the method: {left}"] * bool(left))


def _by_class(directions: Sequence[Direction]) -> Table:
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
        "What shares a class with the query is relevant. mAP over the whole ranking. The interval"
        " is a bootstrap over queries: it speaks of other queries of the same kind, not of other"
        " trainings. Chance is the share of the gallery that is relevant."
    )
    unlabelled = sum(one.figures()["unlabeled"] for one in judged)
    if unlabelled:
        caption += (
            f" Queries without a label, in all directions: {unlabelled:,}; they do not count."
        )
    return Table("Found by class", head, rows, caption)


def _by_pair(judged: Sequence[Direction]) -> Table:
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
        "Only the very sample of the query, by its id, is right. Samples that look alike make these"
        " low, and a method that learns classes alone does not aim at them. The modality gap is"
        " the distance between the centroids of the two modalities on the unit sphere, from 0 to 2."
    )
    return Table("Found by pair", head, rows, caption)


def _part(part: Mapping[str, Any]) -> str:
    modalities = ", ".join(f"{name}: {kind}" for name, kind in part.get("modalities", {}).items())
    return (
        f"{part.get('name', 'unknown')}: {part.get('samples', 0):,} samples of"
        f" {part.get('classes', 0)} classes; {modalities}"
    )


def _choice(chosen: Mapping[str, Any]) -> str:
    steps = "trial" if "trial" in chosen else "epoch"
    said = f"{steps} {chosen.get(steps, '?')} of {chosen.get(steps + 's', '?')}"
    said += f", by the {chosen.get('by', 'validation mAP')}"
    if "validation_map" in chosen:
        said += f": {chosen['validation_map']:.3f}"
    settings = settings_in_words(chosen.get("settings", {}))
    said += f"; {settings}" if settings else ""
    if "seconds" in chosen:
        said += f"; {chosen['seconds']:.0f} s on {chosen.get('device', 'an unknown device')}"
    return said


def _encoder(encoder: Mapping[str, Any]) -> str:
    parts = [f"{encoder.get('name', 'unknown')} ({encoder.get('spec', '?')})"]
    parts += [f"{encoder['size']}-d"] if "size" in encoder else []
    parts += [str(encoder["preprocessing"])] if "preprocessing" in encoder else []
    parts += [f"fitted on {encoder['fitted_on']}"] if "fitted_on" in encoder else []
    weights = str(encoder.get("weights_sha256", ""))[:12]
    parts += [f"weights {weights}"] if weights else []
    return "; ".join(parts)
