"""Strict or partial: what a reader does when it meets something wrong.

Strict raises the error. Partial writes a sentence for a person and goes on with the rest. Every
reader asks the same object, so that no reader has a leniency of its own.
"""

from commonspace.errors import DataError

__all__ = ["Problems"]


class Problems:
    """The list of what was left out, or the raised error.

    Args:
        partial: False raises at the first problem; True records it and lets the reader go on.

    Example:
        >>> problems = Problems(partial=True)
        >>> problems.meet(DataError("a.jpg is missing"), instead="line 3 has no image")
        >>> problems.sentences
        ['a.jpg is missing: line 3 has no image']
    """

    def __init__(self, *, partial: bool) -> None:
        """Start with an empty list."""
        self.partial = partial
        self.sentences: list[str] = []

    def meet(self, error: DataError, *, instead: str) -> None:
        """Raise ``error`` when strict; when partial, record it and what is done instead.

        Args:
            error: what is wrong; its ``__cause__`` is kept.
            instead: what a partial reader does about it, as the end of a sentence.

        Raises:
            DataError: ``error``, its advice naming ``partial=True`` as the other way out.
        """
        if self.partial:
            found = f" ({' '.join(error.found.split())})" if error.found else ""
            self.sentences.append(f"{error.problem}{found}: {instead}")
            return
        advice = f"{error.advice}; or load the rest with partial=True ({instead})"
        raise type(error)(
            error.problem, expected=error.expected, found=error.found, advice=advice
        ) from error.__cause__

    def note(self, sentence: str) -> None:
        """Record something odd that is no error, strict or not."""
        self.sentences.append(sentence)
