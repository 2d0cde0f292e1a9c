"""Which server profile speaks for a language, as the configuration has it."""

from __future__ import annotations

from enrichd.config import Config
from enrichd.errors import ConfigError
from enrichd.lsp.profiles import BUILT_IN, Profile, find_command, merge


def profiles(config: Config) -> dict[str, Profile]:
    """The built-in profiles and those of the configuration; raises ConfigError."""
    known = dict(BUILT_IN)
    where = f"{config.path}: " if config.path is not None else ""
    for server in config.servers:
        try:
            known[server.name] = merge(known.get(server.name), server.changes())
        except ConfigError as error:
            raise ConfigError(f"{where}{error.message}") from error
    for language, name in config.enrich.servers.items():
        if name not in known:
            raise ConfigError(
                f"{where}enrich.servers.{language}: there is no server profile named {name}; "
                f"there are {', '.join(sorted(known))}, and [[server]] adds your own"
            )
    return known


def advice(config: Config, language: str) -> str:
    """What to do about a language that nobody speaks for yet."""
    name = config.enrich.servers.get(language)
    if name is None:
        return f"name one in [enrich.servers]: {language} = ..."
    profile = profiles(config)[name]
    if find_command(profile) is not None:
        return f"{name} is installed and has not answered yet"
    how = f": {profile.install_hint}" if profile.install_hint else ""
    return f"{name} is not installed{how}"
