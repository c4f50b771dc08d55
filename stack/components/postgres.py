"""How PostgreSQL is started: its addresses, its passwords, and the folder that it leaves behind."""

from __future__ import annotations

import secrets
import sys

from stack.postgres import folder
from stack.postgres.cluster import dsn_admin, dsn_socket
from stack.supervisor.component import Component, ComponentPaths, StackConfig


def generate(site: ComponentPaths, stack_config: StackConfig) -> None:
    """Add the addresses of the three roles that others use."""
    home, port = folder.of(site.root, site.state), site.ports["postgres"]
    stack_config.secrets["dsn_admin"] = dsn_admin(home, port)
    stack_config.secrets["dsn_authenticator"] = dsn_socket(
        "authenticator", secrets.token_urlsafe(24), home, port
    )
    stack_config.variables["SUPABASE_DB_URL"] = (
        f"postgresql://postgres:{secrets.token_urlsafe(24)}@127.0.0.1:{port}/postgres"
    )


COMPONENT = Component(
    name="postgres",
    ports=("postgres",),
    argv=lambda site: [sys.executable, "-m", "stack.postgres", str(site.config)],
    generate=generate,
    clean=lambda site: folder.remove(site.root, site.state),
    start_s=90,
)
