"""Rules for the settings of a provider: what stands in a file is checked, described, and taken as it is written."""

from __future__ import annotations

import json

from ..config.load import load_data
from ..config.schema import json_schema
from ..errors import ConfigError, PluginError
from ..plugins.hooks import ProviderPlugin, hookimpl
from ..plugins.registry import Registered, Registry, load_plugins
from .canaries import Canaries, References
from .provider_case import ProviderCase
from .settings_rules import NO_SUCH_SETTING, check_schema, check_strict, refused

__all__ = ["ProviderSettingsRules"]


class ProviderSettingsRules(ProviderCase):
    """The rules for settings, schema and facts."""

    def test_settings_are_strict_and_frozen(self) -> None:
        """A typing mistake in a file is told; what was checked stays as it was."""
        check_strict(self.model, self.route(Canaries()))

    def test_schema_describes_every_setting_and_shows_no_secret(self) -> None:
        """Editors and the reference page are made from the schema."""
        check_schema(self.model)
        assert (self.model.__doc__ or "").strip(), f"{self.model.__name__} has no docstring: the schema quotes it"

    def test_facts_say_what_it_is(self) -> None:
        """Lists show the facts."""
        facts = self.model.facts
        assert facts.title.strip(), "facts.title is empty"
        assert facts.summary.strip(), "facts.summary is empty"
        words = [word for word in facts.capabilities if not word or word != word.strip().lower()]
        assert not words, f"capabilities are plain lower-case words, not {words}"
        assert self.claimed <= facts.capabilities, (
            f"{sorted(self.claimed - facts.capabilities)} is claimed here, and not in `facts.capabilities`"
        )

    def test_route_works_from_a_configuration_file(self) -> None:
        """It comes through the plug-in door, its secrets come from variables, and the schema of the file knows it."""
        secret = References()
        route = {"provider": self.model.kind, **self.route(secret)}
        registry = self._registry()
        data = {"services": {"kit": {"routes": [json.loads(json.dumps(route))]}}}
        try:
            config = load_data(data, source="kit", environment=secret.environment, registry=registry)
        except ConfigError as error:
            raise AssertionError(f"the route of the case is not accepted from a file: {error}") from None
        assert config.services["kit"].routes[0].provider.kind == self.model.kind
        assert self.model.kind in json.dumps(json_schema(registry)), "the JSON Schema of the file does not name it"

    def test_mistake_in_a_file_is_told_without_the_secrets(self) -> None:
        """The error of a wrong setting names the setting and nothing that is secret."""
        secret = References()
        route = {"provider": self.model.kind, **self.route(secret), NO_SUCH_SETTING: 1}
        data, registry = {"services": {"kit": {"routes": [route]}}}, self._registry()
        error = refused(
            ConfigError,
            lambda: load_data(data, source="kit", environment=secret.environment, registry=registry),
            "a wrong setting is a ConfigError",
        )
        leaked = secret.in_text(f"{error} {error!r}")
        assert leaked is None, f"the error of a wrong setting shows the secret {leaked!r}"
        assert NO_SUCH_SETTING in str(error), "the error of a wrong setting does not name it"

    def _registry(self) -> Registry:
        model = self.model

        class Plugin:
            @hookimpl
            def directlane_providers(self) -> list[ProviderPlugin]:
                return [ProviderPlugin(model)]

        registry = load_plugins(only=["balancers", "transports"])
        try:
            registry.add(Plugin(), Registered("kit", "kit 1"))
        except PluginError as error:
            raise AssertionError(f"it does not come through the plug-in door: {error}") from None
        return registry
