"""The settings in force, while the file that says them changes: looked at and read beside polling.

Belongs here: when a changed file is taken up. Does not: what is in it (`settings`), who takes it up (`process`).
"""

import logging

from air_pipeline.deployment import settings_stamp
from air_pipeline.environment import Environment
from air_pipeline.in_force import load_settings
from air_pipeline.settings import Settings, SettingsError

log = logging.getLogger(__name__)


class Configuration:
    """The settings in force, taken anew from the file whenever it changes into something valid.

    One thread calls `look`, another one `changed`.
    """

    def __init__(self, environment: Environment) -> None:
        """Reads the file.

        Raises:
            SettingsError: it is invalid, and no valid one has been seen before.
        """
        self._environment = environment
        self._stamp = self._seen = settings_stamp(environment.config)
        loaded = load_settings(environment.config, environment.state, marks=False)
        self.settings = loaded.settings
        self._new: Settings | None = None
        if loaded.mistake:
            log.error("going on with the last valid configuration: %s", loaded.mistake)

    def look(self) -> None:
        """To be called every other second or so: reads a changed file that is as it was at the look before.

        A file that was changed since may be half saved, and half a file is often a valid one.
        """
        before, self._stamp = self._stamp, settings_stamp(self._environment.config)
        if self._stamp == self._seen or self._stamp != before:
            return
        self._seen = self._stamp
        try:
            loaded = load_settings(self._environment.config, self._environment.state, marks=False)
        except SettingsError as mistake:
            log.error("going on as before: %s", mistake)
            return
        if loaded.mistake:
            log.error("going on with the last valid configuration: %s", loaded.mistake)
        elif settings_stamp(self._environment.config) == self._stamp and loaded.settings != self.settings:
            self._new = self.settings = loaded.settings
            log.info("taking up the changed configuration: %d devices", len(self.settings.devices))

    def changed(self) -> Settings | None:
        """The settings that came into force since this was last asked, if any did."""
        new, self._new = self._new, None
        return new
