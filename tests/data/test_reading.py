"""Reading of damaged sources: errors name the file, partial readers record them."""

from pathlib import Path

import pytest

from commonspace.data.reading import WarningLog, reading
from commonspace.errors import DataError, FileFormatError, SplitError


def test_a_strict_log_raises_and_names_the_other_way() -> None:
    log = WarningLog(partial=False)
    error = SplitError("no test", expected="some", found="none", advice="give some")
    with pytest.raises(SplitError, match=r"give some; or load the rest with partial=True \(skip\)"):
        log.report(error, instead="skip")
    assert log.sentences == []


def test_a_partial_log_records_errors_and_sentences() -> None:
    log = WarningLog(partial=True)
    log.report(DataError("a.jpg is missing", found="no\n file"), instead="no image")
    log.add("two groups")
    log.add("two groups")
    assert log.sentences == ["a.jpg is missing (no file): no image", "two groups"]
    assert [error.problem for error in log.errors] == ["a.jpg is missing"]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (KeyError("x"), FileFormatError),
        (MemoryError(), FileFormatError),
        (FileNotFoundError(2, "No such file"), DataError),
        (PermissionError(13, "Permission denied"), DataError),
        (SplitError("no test"), SplitError),
    ],
)
def test_any_failure_names_the_file(error: Exception, kind: type[DataError]) -> None:
    with pytest.raises(kind, match=r"x\.npz|no test"), reading(Path("x.npz"), "a .npz file"):
        raise error
