"""Finding text in log messages: the same lines on both databases, by trigrams where there is an index of them."""

from sqlalchemy import ColumnElement, and_, literal_column, text
from sqlalchemy.ext.asyncio import AsyncSession

from store.dialect import contains_text, dialect_of
from store.tables import LogRow

MOST_FOUND = 1_000  # above that a text is so common that the newest lines with it are found soon without an index
MOST_TRIGRAMS = 32

# A statement that is made often gets one plan for all texts, which cannot be good for both rare and common ones.
PLANNED_FOR_ITS_TEXT = text("SET LOCAL plan_cache_mode = force_custom_plan")
INDEXED = text("SELECT 1 FROM sqlite_master WHERE name = 'logs_fts'")
FOUND = text(f"SELECT rowid FROM logs_fts WHERE logs_fts MATCH :trigrams LIMIT {MOST_FOUND + 1}")
ROWID: ColumnElement[int] = literal_column("logs.rowid")


async def found_by_text(session: AsyncSession, wanted: str) -> ColumnElement[bool]:
    """The condition of lines whose message contains the text, in any case."""
    contained = contains_text(LogRow.message, wanted)
    if dialect_of(session) == "postgresql":
        await session.execute(PLANNED_FOR_ITS_TEXT)
        return contained
    trigrams = full_text_query(wanted)
    if trigrams is None or await session.scalar(INDEXED) is None:
        return contained
    found = (await session.scalars(FOUND, {"trigrams": trigrams})).all()
    return contained if len(found) > MOST_FOUND else and_(ROWID.in_(found), contained)


def full_text_query(wanted: str) -> str | None:
    """For SQLite's FTS5: every trigram of the text. None: too short, or of letters whose case FTS5 does not know."""
    if len(wanted) < 3 or not all(_is_folded(character) for character in wanted):
        return None
    trigrams = dict.fromkeys(wanted[start : start + 3] for start in range(len(wanted) - 2))
    return " AND ".join(_quoted(trigram) for trigram in list(trigrams)[:MOST_TRIGRAMS])


def _is_folded(character: str) -> bool:
    """Latin, Greek and Cyrillic letters, and whatever has no case; not scripts that got theirs lately."""
    if len(character.lower()) > 1:
        return False
    return (
        character < "\u0250"
        or "\u0386" <= character <= "\u03ce"
        or "\u0400" <= character <= "\u0527"
        or character.lower() == character.upper()
    )


def _quoted(trigram: str) -> str:
    return '"' + trigram.replace('"', '""') + '"'
