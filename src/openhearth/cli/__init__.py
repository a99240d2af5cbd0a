"""The `openhearth` command: thin commands over the rooms below."""


def main() -> None:
    """Run the command line."""
    raise SystemExit("openhearth: no commands yet")
