"""Suspicious labels and pairs in the terminal."""

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from commonspace.assessment import Assessment, LabelCheck, PairAssessment, PairCheck

__all__ = ["print_label_check", "print_pair_check"]


def print_label_check(found: "Assessment | LabelCheck") -> None:
    """Print labels and pairs that the other samples contradict, with their estimated shares.

    Args:
        found: What was found among train and validation.
    """
    shares = found.modality_noise
    if shares and max(shares.values()) >= 0.005:
        listed = ", ".join(f"{name} {share:.1%}" for name, share in shares.items())
        typer.echo(f"\nlabels that do not fit a modality, estimated: {listed}")
    if found.suspicious:
        typer.echo(f"\nsuspicious labels (an estimated {found.noise or 0:.1%} are wrong):")
        for one in found.suspicious:
            typer.echo(
                f"  {one.id}: {', '.join(one.given)} ({one.p_given:.1%}), likely {one.likely}"
                f" ({one.p_likely:.1%})"
            )
    if found.mismatched:
        share = f"{found.pair_noise or 0:.1%}"
        typer.echo(f"\npairs of different classes (an estimated {share} do not belong together):")
        for pair in found.mismatched:
            classes = ", ".join(f"{name} {best}" for name, best in pair.by_modality.items())
            typer.echo(f"  {pair.id}: {classes} ({pair.p:.1%})")


def print_pair_check(found: "PairAssessment | PairCheck") -> None:
    """Print pairs that fit worse than pairs that were put together at random.

    Args:
        found: What was found among train and validation.
    """
    if not found.suspicious_pairs:
        return
    noise = found.pair_noise
    share = "no share can be estimated" if noise is None else f"an estimated {noise:.1%}"
    typer.echo(f"\npairs that probably do not belong together ({share}):")
    for pair in found.suspicious_pairs:
        ranks = ", ".join(
            f"{better:.0%} of the other {name}s fit better"
            for name, better in pair.by_modality.items()
        )
        typer.echo(f"  {pair.id}: {ranks}" + ("" if pair.p is None else f" ({pair.p:.1%})"))
