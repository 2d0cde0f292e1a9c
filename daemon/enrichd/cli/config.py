"""`config`: is the configuration right, and what holds?"""

from __future__ import annotations

from pathlib import Path

import click

from enrichd.cli.invocation import Invocation, config_option, json_option
from enrichd.cli.text import print_json


@click.group
def config() -> None:
    """Check and show the configuration.

    \b
    Examples:
      enrichd config check /etc/enrichd/config.toml
      enrichd config show
    """


@config.command
@click.argument("file", required=False, type=click.Path(path_type=Path))
@config_option
@click.pass_obj
def check(invocation: Invocation, file: Path | None) -> None:
    """Is FILE right, or the configuration in force? Exit 78 and one line if it is not.

    \b
    Examples:
      enrichd config check
      enrichd config check new.toml
    """
    from enrichd.embed.model import configured  # noqa: PLC0415
    from enrichd.servers import profiles  # noqa: PLC0415

    if file is not None:
        invocation.config_file = file
    checked = invocation.config
    profiles(checked)
    configured(checked)
    click.echo(f"ok: {checked.path or 'there is no file, the defaults hold'}")


@config.command
@json_option
@config_option
@click.pass_obj
def show(invocation: Invocation) -> None:
    """What holds, as a config.toml, and who said so: flag, environment, file or default.

    \b
    Examples:
      enrichd config show
      ENRICHD_LISTEN= enrichd config show
    """
    if invocation.as_json:
        import msgspec  # noqa: PLC0415

        document = msgspec.to_builtins(invocation.config, enc_hook=str)
        print_json({"schema_version": 1} | document)
        return
    from enrichd.config import show as rendered  # noqa: PLC0415

    click.echo(rendered(invocation.config), nl=False)
