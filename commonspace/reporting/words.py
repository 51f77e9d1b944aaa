"""The record of a space, and what was measured, in plain words and tables.

It takes dictionaries and figures, and measures nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from commonspace.plots import Fact, Table
from commonspace.reporting.measured import Direction

__all__ = ["facts", "figures_table", "settings_in_words"]

_UNKNOWN = "–"


def figures_table(directions: Sequence[Direction]) -> Table:
    """Return the figures of each direction, and their mean.

    Args:
        directions: what was measured.
    """
    head = (
        "direction", "mAP", "95% interval", "chance", "R-precision", "nDCG", "recall@1", "@5",
        "@10", "median rank of the pair", "modality gap", "queries", "gallery",
    )  # fmt: skip
    judged = [one for one in directions if not one.problem]
    rows = [_row(one) if not one.problem else _empty(one, len(head)) for one in directions]
    if len(judged) > 1:
        mean = sum(one.map.mean for one in judged) / len(judged)
        rows.append(["mean of the directions", f"{mean:.3f}", *[""] * (len(head) - 2)])
    unlabelled = sum(one.figures()["unlabelled"] for one in judged)
    caption = (
        "mAP over the whole ranking. The interval is a bootstrap over queries: it speaks of other"
        " queries of the same kind, not of other trainings. Chance is the share of the gallery that"
        " is relevant. Recall@k and the median rank ask for the exact pair, the sample of the same"
        " id, and nothing else; pairs that look alike make them low. The modality gap is the"
        " distance of the two centroids on the unit sphere, from 0 to 2."
    )
    if unlabelled:
        caption += f" Queries without a label, in all directions: {unlabelled}; they are left out."
    return Table("Figures", head, rows, caption)


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
        split = data.get("origin", {}).get("split")
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
        >>> settings_in_words({"eta": 0.1, "graph": None, "raw": {"fine_tune": "none"}})
        'eta 0.1, graph left to the method, raw (fine_tune none)'
    """
    said = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            inner = settings_in_words(value)
            said += [f"{name} ({inner})"] if inner else []
        elif value is None:
            said.append(f"{name} left to the method")
        else:
            said.append(f"{name} {value}")
    return ", ".join(said)


def _row(one: Direction) -> list[str]:
    pairs = one.pairs
    return [
        one.name,
        f"{one.map.mean:.3f}",
        f"{one.map.low:.3f} to {one.map.high:.3f}",
        f"{one.chance:.3f}",
        f"{one.r_precision:.3f}",
        f"{one.ndcg:.3f}",
        *(f"{pairs.recall[k]:.3f}" if pairs else _UNKNOWN for k in (1, 5, 10)),
        f"{pairs.median_rank:g}" if pairs else _UNKNOWN,
        _UNKNOWN if one.gap is None else f"{one.gap:.2f}",
        f"{one.queries:,}",
        f"{one.gallery:,}",
    ]


def _empty(one: Direction, columns: int) -> list[str]:
    return [f"{one.name}: {one.problem}", *[_UNKNOWN] * (columns - 2), f"{one.gallery:,}"]


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
