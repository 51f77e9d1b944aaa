"""Check of the settings of a method."""

from commonspace.errors import invalid_setting

__all__ = ["check_setting"]


def check_setting(
    method: str, option: str, value: float | str | None, fine: bool, expected: str
) -> None:
    """Raise an error for an invalid setting; None, chosen on validation, is always valid.

    Raises:
        SettingError: If the value is invalid.
    """
    if value is not None and not fine:
        raise invalid_setting(option, value, expected)
