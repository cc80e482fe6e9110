"""What a field may be set to: the definition's options, or those that its source lists now."""

from sqlalchemy.ext.asyncio import AsyncSession

from activities.configuration import Configuration
from activities.drafts import Drafts
from activities.options import Question, question_of
from api.instances import access
from api.instances.lifecycle_service import pinned
from api.resources import Resources
from domain.config import with_changes
from domain.definitions.model import ConfigField, Definition
from domain.errors import NotFound
from domain.options import Option
from store.customers import Customers
from store.tables import InstanceRow


async def find(resources: Resources, instance_id: str, key: str) -> list[Option]:
    """Raises NotFound for a field without options, Invalid `options_unavailable` when its source cannot be asked."""
    async with resources.database.snapshot() as session:
        row = await access.get(session, instance_id)
        definition = await pinned(session, row)
        each = _field(definition, key)
        if each.options_from is None:
            return [Option(option, str(option)) for option in each.options or ()]
        question = await _question(session, resources, row, definition, each)
    return await resources.options.ask(question)


async def _question(
    session: AsyncSession, resources: Resources, row: InstanceRow, definition: Definition, each: ConfigField
) -> Question:
    customer = await Customers(session).get(row.customer_id)
    assert customer is not None, "instances.customer_id is a foreign key"
    saved = await Configuration(resources.vault).read(session, row.id)
    drafted = await Drafts(resources.vault).drafted(session, row.id)
    values = with_changes(definition.fields(), saved, drafted)
    return await question_of(session, row, customer, definition, each, values)


def _field(definition: Definition, key: str) -> ConfigField:
    each = definition.fields().get(key)
    if each is None:
        raise NotFound("The configuration has no such field.")
    if each.options is None and each.options_from is None:
        raise NotFound("This field has no options.")
    return each
