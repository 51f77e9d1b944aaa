"""``python -m commonspace``: the same as the command ``commonspace``."""

from commonspace.cli.main import main

if __name__ == "__main__":
    main()
