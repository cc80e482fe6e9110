"""What every command shares: the options of the connection and of the output, and one place where failures end."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields, is_dataclass
from functools import cached_property
from itertools import islice
from typing import Annotated, Any, TypeVar

import typer

from cli.client import PAGE, Api, Json
from cli.failures import CommandFailed
from cli.output import Output, OutputOptions, TimeFormat
from cli.profiles import ConnectionOptions, resolve
from cli.text import printable

F = TypeVar("F", bound=Callable[..., None])
Many = Annotated[list[str] | None, typer.Option(help="Repeated: any of them")]
Text = Annotated[str | None, typer.Option()]
Flag = Annotated[bool | None, typer.Option()]


@dataclass(frozen=True)
class Paging:
    limit: Annotated[int, typer.Option(min=1, help="How many at most")] = 25
    all: Annotated[bool, typer.Option("--all", help="All there are")] = False


class Session:
    """One command's way to a server and to the terminal."""

    def __init__(self, connection: ConnectionOptions, options: OutputOptions, resources: ExitStack) -> None:
        self.connection = connection
        self.out = Output(options)
        self._print_requests = options.print_requests
        self._resources = resources

    @cached_property
    def api(self) -> Api:
        """Connects when first used: not every command needs a server."""
        tell = (lambda line: typer.echo(line, err=True)) if self._print_requests else None
        return self._resources.enter_context(Api(resolve(self.connection), tell))

    def listed(
        self,
        path: str,
        columns: str,
        paging: Paging,
        filters: Any = None,
        times: TimeFormat = TimeFormat.RELATIVE,
        **more: Any,
    ) -> None:
        """Prints a list of the API; `filters` is a dataclass of its query parameters, `more` are others."""
        listing = _Listing(self.api, path, (asdict(filters) if filters else {}) | more, paging)
        self.out.items(listing, columns, times)
        if listing.has_more:
            self.out.talk("There are more: --limit or --all.")


class _Listing:
    def __init__(self, api: Api, path: str, query: Json, paging: Paging) -> None:
        self.has_more = False
        self._limit = None if paging.all else paging.limit
        self._pages = api.pages(path, query, self._limit or PAGE)

    def __iter__(self) -> Iterator[Json]:
        taken = 0
        for page in self._pages:
            rest = None if self._limit is None else self._limit - taken
            yield from islice(page["data"], rest)
            taken += len(page["data"])
            if self._limit is not None and taken >= self._limit:
                self.has_more = page["has_more"] or taken > self._limit
                return


def command(app: typer.Typer, name: str) -> Callable[[F], F]:
    """Registers a command whose first parameter is a Session. A parameter that is a dataclass becomes its options."""

    def register(function: F) -> F:
        app.command(name)(_expanded(function))
        return function

    return register


def _expanded(function: Callable[..., None]) -> Callable[..., None]:
    own = list(inspect.signature(function).parameters.values())[1:]
    groups = [parameter for parameter in own if is_dataclass(parameter.annotation)]
    shared = [option for group in (ConnectionOptions, OutputOptions) for option in _options(group)]

    def run(**given: Any) -> None:
        context: typer.Context = given.pop("context")
        connection = _build(ConnectionOptions, given).preferring(_flags(context))
        options = _build(OutputOptions, given)
        for group in groups:
            given[group.name] = _build(group.annotation, given)
        with ExitStack() as resources:
            try:
                function(Session(connection, options, resources), **given)
            except CommandFailed as failure:
                typer.echo("\n".join(map(printable, failure.message.splitlines())), err=True)
                raise typer.Exit(failure.code) from failure

    parameters = [inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)]
    for parameter in own:
        expanded = _options(parameter.annotation) if parameter in groups else [parameter]
        parameters += [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in expanded]
    run.__doc__ = function.__doc__
    run.__annotations__ = {each.name: each.annotation for each in [*parameters, *shared]}
    run.__signature__ = inspect.Signature([*parameters, *shared])  # type: ignore[attr-defined]
    return run


def _options(group: type) -> list[inspect.Parameter]:
    return [
        inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=each.type)
        for each in fields(group)
    ]


def _build(group: Any, given: dict[str, Any]) -> Any:
    return group(**{each.name: given.pop(each.name) for each in fields(group)})


def _flags(context: typer.Context) -> set[str]:
    """The options that stand on the command line."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"}
