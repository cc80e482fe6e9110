<%
    commands = "\n".join(line for line in (upgrades or "pass").splitlines() if not line.strip().startswith("# ###")).strip()
%>"""${message}"""

import sqlalchemy as sa
from alembic import op
% if "JSON" in commands:
from sqlalchemy.dialects.postgresql import JSONB
% endif

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None
% if "JSON" in commands:

JSON = sa.JSON().with_variant(JSONB(), "postgresql")
% endif


def upgrade() -> None:
    ${commands}
