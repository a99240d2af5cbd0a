"""The `openhearth` command; `python -m openhearth` is the same."""

from openhearth.cli import main

if __name__ == "__main__":
    main()
