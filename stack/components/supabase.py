"""How the Supabase gateway (REST, Auth, Storage over the real PostgreSQL, and a mailbox) is started."""

from __future__ import annotations

import sys

from stack.supabase.keys import generate as new_keys
from stack.supabase.project import Project, ProjectError
from stack.supervisor.component import Component, ComponentPaths, Engine, StackConfig
from stack.supervisor.errors import USAGE, StackError


def generate(site: ComponentPaths, stack_config: StackConfig) -> None:
    """Add the project's address and keys; limits meant for strangers are off until a check switches them on."""
    keys = new_keys()
    stack_config.secrets.update(keys.secrets())
    stack_config.variables.update(
        {
            "VITE_SUPABASE_URL": f"http://127.0.0.1:{site.ports['supabase']}",
            "VITE_SUPABASE_ANON_KEY": keys.publishable_key,
            "SUPABASE_SERVICE_KEY": keys.secret_key,
            "MAILBOX_URL": f"http://127.0.0.1:{site.ports['mail']}",
            "OAUTH_TEST_PROVIDER": "github",
        }
    )
    stack_config.options["supabase"] = {"rate_limits": False, "bcrypt_cost": 6}
    if "platform" in site.ports:
        stack_config.options["supabase"]["redirect_urls"] = [f"http://127.0.0.1:{site.ports['platform']}/**"]
    try:
        cli = Project.read(stack_config.options.get("project") or {}).cli
    except ProjectError as error:
        raise StackError(str(error), USAGE) from error
    stack_config.options["supabase"] |= cli.options
    if cli.unknown:
        stack_config.notes.append(f"config.toml: {', '.join(cli.unknown)} changes nothing here")


COMPONENT = Component(
    name="supabase",
    ports=("supabase", "mail"),
    needs=("postgres",),
    argv=lambda site: [sys.executable, "-m", "stack.supabase", str(site.config)],
    generate=generate,
    engines=lambda site: {
        "supabase.auth": Engine("stand-in", "stack/supabase over PostgreSQL"),
        "supabase.database": Engine("engine", "PostgreSQL behind stack/supabase"),
        "supabase.storage": Engine("stand-in", "stack/supabase over PostgreSQL"),
    },
)
