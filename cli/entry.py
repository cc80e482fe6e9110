"""Where `flowgraft` begins: only what is about this machine imports the server's own libraries."""

import sys
from importlib import import_module

from cli.words import translated

OF_THIS_MACHINE = {"dev", "api", "worker", "db", "doctor"}


def main() -> None:
    words = translated(sys.argv[1:])
    whole = not words or words[0].startswith("-") or words[0] in OF_THIS_MACHINE
    import_module("cli.main" if whole else "cli.nouns").app()
