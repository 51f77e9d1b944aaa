"""Settings of a method that cannot work, refused before any data is read. It knows no method."""

from commonspace.errors import SettingError

__all__ = ["check_setting"]


def check_setting(
    method: str, option: str, value: float | str | None, fine: bool, expected: str
) -> None:
    """Refuse a setting that cannot work; None, which leaves it to validation, always can.

    Raises:
        SettingError: it has a value that is not fine.
    """
    if value is not None and not fine:
        raise SettingError(
            f"the option {option} of {method} cannot work",
            expected=expected,
            found=repr(value),
            advice="leave it out to take the default",
        )
