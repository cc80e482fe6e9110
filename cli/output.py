"""How answers are printed: data on stdout, talk on stderr."""

import csv
import io
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.failures import CommandFailed
from cli.text import cell, dump_json, is_instant, leaves, pluck, printable, relative
from runtime.clock import utcnow

PANEL = "Output"
UNBOUNDED = 100_000  # characters, where no terminal sets a limit
READABLE = 12  # characters of a cell that make sense

Json = dict[str, Any]


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    YAML = "yaml"


class TimeFormat(StrEnum):
    RELATIVE = "relative"
    ISO = "iso"


@dataclass(frozen=True)
class OutputOptions:
    output: Annotated[Format, typer.Option("--output", "-o", help="How to print", rich_help_panel=PANEL)] = Format.TABLE
    columns: Annotated[str | None, typer.Option(help="Which, with commas: id,customer.name", rich_help_panel=PANEL)] = (
        None
    )
    extended: Annotated[bool, typer.Option("--extended", "-x", help="All columns", rich_help_panel=PANEL)] = False
    no_header: Annotated[bool, typer.Option("--no-header", help="Rows only", rich_help_panel=PANEL)] = False
    time_format: Annotated[TimeFormat | None, typer.Option(help="Of times in tables", rich_help_panel=PANEL)] = None
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No talk on stderr", rich_help_panel=PANEL)] = False
    print_requests: Annotated[
        bool, typer.Option("--print-requests", help="Each request on stderr, without the key", rich_help_panel=PANEL)
    ] = False


class Output:
    """`columns` are paths into an item, separated by spaces: `id customer.name`. The caller's own wish goes first."""

    def __init__(self, options: OutputOptions) -> None:
        self.format = options.output
        self._options = options

    def talk(self, text: str) -> None:
        if not self._options.quiet:
            typer.echo(printable(text), err=True)

    def items(self, items: Iterable[Json], columns: str, times: TimeFormat = TimeFormat.RELATIVE) -> None:
        """Many of a kind. JSON has all of each, unless columns are named."""
        if self.format is Format.JSONL:
            for each in items:
                typer.echo(dump_json(self._document(each)))
            return
        found = list(items)
        match self.format:
            case Format.JSON | Format.YAML:
                self.value([self._document(each) for each in found])
            case Format.CSV:
                self._csv(found, self._chosen(columns, found))
            case _:
                self._table(found, self._chosen(columns, found), times)

    def item(self, item: Json, columns: str) -> None:
        """One by itself: in a table, a line for each field."""
        if self.format is Format.CSV:
            self._csv([item], self._chosen(columns, [item]))
        elif self.format is Format.TABLE:
            self._fields(item, self._chosen(columns, [item]))
        else:
            self.value(self._document(item))

    def value(self, value: Any) -> None:
        """Any JSON, never cut: also where a table was asked for, there is none to make of it."""
        match self.format:
            case Format.YAML:
                typer.echo(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), nl=False)
            case Format.JSONL:
                typer.echo(dump_json(value))
            case _:
                typer.echo(dump_json(value, indent=2))

    def lines(self, lines: Iterable[Text]) -> None:
        """Text for people, in colour where a terminal has some."""
        console = Console(file=sys.stdout, highlight=False, markup=False)
        for line in lines:
            console.print(line, soft_wrap=True)

    def raw(self, data: bytes, file: Path | None = None) -> None:
        """Bytes as they are, to a file or to stdout."""
        if file is None:
            typer.echo(data, nl=False)
            return
        try:
            file.write_bytes(data)
        except OSError as error:
            raise CommandFailed(f"{file} cannot be written: {error.strerror}") from error
        self.talk(f"{file} is written.")

    def stream(self, columns: str) -> Callable[[Json], None]:
        """Prints items as they come, a line each."""
        chosen = self._chosen(columns, [])
        if self._has_header and self.format in (Format.TABLE, Format.CSV):
            typer.echo(_csv_line(chosen) if self.format is Format.CSV else "  ".join(map(_title, chosen)))
        return lambda item: self._line(item, chosen)

    @property
    def is_document(self) -> bool:
        """Whether the whole answer is wanted, not a list of what is in it."""
        return self.format not in (Format.TABLE, Format.CSV)

    @property
    def _has_header(self) -> bool:
        return not self._options.no_header

    def _line(self, item: Json, columns: Sequence[str]) -> None:
        match self.format:
            case Format.TABLE:
                typer.echo("  ".join(self._cell(pluck(item, path), TimeFormat.ISO) for path in columns))
            case Format.CSV:
                typer.echo(_csv_line([_plain(pluck(item, path)) for path in columns]))
            case Format.YAML:
                typer.echo("---")
                self.value(self._document(item))
            case _:
                typer.echo(dump_json(self._document(item)))

    def _chosen(self, columns: str, items: Sequence[Json]) -> list[str]:
        if self._options.columns:
            return [path.strip() for path in self._options.columns.split(",") if path.strip()]
        if self._options.extended and items:
            return list(dict.fromkeys(path for item in items for path in leaves(item)))
        return columns.split()

    def _document(self, item: Json) -> Json:
        if not self._options.columns:
            return item
        return {path: pluck(item, path) for path in self._chosen("", [])}

    def _csv(self, items: Sequence[Json], columns: Sequence[str]) -> None:
        lines = [_csv_line(columns)] if self._has_header else []
        lines += [_csv_line([_plain(pluck(item, path)) for path in columns]) for item in items]
        typer.echo("\n".join(lines), nl=bool(lines))  # at once: `| head -n 1` reads it all, so it breaks no pipe

    def _table(self, items: Sequence[Json], columns: Sequence[str], times: TimeFormat) -> None:
        table, width = self._blank(), _terminal_width()
        cells = {path: [self._cell(pluck(item, path), times) for item in items] for path in columns}
        shown = fitting(cells, width)
        for path in shown:
            table.add_column(_title(path), no_wrap=True, overflow="ellipsis", min_width=_least(path, cells[path]))
        for row in zip(*(cells[path] for path in shown), strict=True):
            table.add_row(*map(Text, row))
        _print(table, width)
        if not items:
            self.talk("There are none.")
        if hidden := len(cells) - len(shown):
            self.talk(f"{hidden} columns do not fit: --columns, or --output json.")

    def _fields(self, item: Json, columns: Sequence[str]) -> None:
        table = self._blank()
        table.add_column("FIELD", no_wrap=True)
        table.add_column("VALUE", overflow="fold")
        for path in columns:
            table.add_row(path, Text(self._cell(pluck(item, path), TimeFormat.RELATIVE)))
        _print(table, _terminal_width())

    def _cell(self, value: Any, times: TimeFormat) -> str:
        wanted = self._options.time_format or times
        return relative(value, utcnow()) if wanted is TimeFormat.RELATIVE and is_instant(value) else cell(value)

    def _blank(self) -> Table:
        return Table(box=None, pad_edge=False, show_header=self._has_header, header_style="bold")


def _terminal_width() -> int:
    """As wide as the terminal; as wide as it takes where there is none."""
    return Console(file=sys.stdout).width if sys.stdout.isatty() else UNBOUNDED


def _print(table: Table, width: int) -> None:
    Console(file=sys.stdout, width=width, highlight=False, markup=False).print(table)


def fitting(cells: Mapping[str, Sequence[str]], width: int) -> list[str]:
    """The columns from the left that can be read in this width."""
    shown = list(cells)
    while len(shown) > 1 and sum(_least(path, cells[path]) + 2 for path in shown) > width:
        shown.pop()
    return shown


def _least(path: str, cells: Sequence[str]) -> int:
    """What a column needs at least: ids are for copying, all else may be cut."""
    widest = max([cell_len(_title(path)), *map(cell_len, cells)])
    is_id = path == "id" or path.endswith(("_id", ".id"))
    return widest if is_id else min(widest, READABLE)


def _title(path: str) -> str:
    return path.removesuffix(".name").replace(".", " ").replace("_", " ").upper()


def _plain(value: Any) -> str:
    """For programs: exactly the value."""
    return value if isinstance(value, str) else "" if value is None else dump_json(value)


def _csv_line(values: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(values)  # by it the writer knows that a line end wants quotes
    return line.getvalue().removesuffix("\n")
