"""The settings and versions under which a run builds days: told by who asks for it, compared by who does it.

Belongs here: what is told, and whether a worker elsewhere may do it. Does not: how a run is told (`instance`).

On one machine nothing is refused: whoever shares the state directory has the settings in force now, and a file that was
edited while a run was queued counts for it. A worker elsewhere must have the same versions, and the same settings, or
have read them anew from the one address that all of them read.
"""

import json
from dataclasses import asdict, dataclass
from importlib.metadata import version

from air_pipeline.days.calendar import DayError
from air_pipeline.days.compared import settings_now
from air_pipeline.deployment import Deployment, settings_stamp
from air_pipeline.processing.columns import RULE_SET_VERSION, SCHEMA_VERSION
from air_pipeline.settings.remote import remote_file
from air_pipeline.state import StateDirectory


class OtherTerms(DayError):
    """A run was asked for under other settings or versions than this worker has."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Under what days are built.

    Attributes:
        settings: a digest of what days depend on in devices.yaml and marks.yaml.
        versions: of the program, its columns and its rules.
        config: where devices.yaml is.
        home: tells the state directory from that of any other machine; empty where there is none yet.
    """

    settings: str
    versions: str
    config: str
    home: str

    def to_text(self) -> str:
        """As a tag of a run."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> "Terms":
        """The inverse.

        Raises:
            OtherTerms: it was written by a program that tells something else.
        """
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError):
            raise OtherTerms(
                f"this worker does not understand under what it is to build ({text!r}); install the version of"
                " air_pipeline here that the code server has"
            ) from None


def terms_now(deployment: Deployment) -> Terms:
    """Those of a deployment as it is here and now."""
    return Terms(
        settings=settings_now(deployment.settings),
        versions=f"air_pipeline {version('air-pipeline')}, columns {SCHEMA_VERSION}, rules {RULE_SET_VERSION}",
        config=str(deployment.environment.config),
        home=home_of(deployment.environment.state),
    )


def home_of(state: StateDirectory) -> str:
    """What tells a state directory from that of any other machine; empty where there is none yet."""
    stamp = settings_stamp(state.version)  # written once, when the directory was made
    return "-".join(map(str, stamp)) if isinstance(stamp, tuple) else ""


def check_terms(told: str | None, deployment: Deployment) -> None:
    """Makes sure that what a run was asked for is what would be built here.

    Args:
        told: the tag of the run; None of a run that nobody gave one.
        deployment: of this worker.

    Raises:
        OtherTerms: something else would be built; the message says what differs, and what to do.
    """
    if told is None:
        return
    asked, here = Terms.from_text(told), terms_now(deployment)
    if here.home and asked.home == here.home:
        return
    if asked.versions != here.versions:
        raise OtherTerms(
            f"this worker has {here.versions}, and the code server {asked.versions}; install the same in both places,"
            " and start both again. The day is then built by itself"
        )
    one_address = asked.config == here.config and remote_file(here.config) is not None
    is_read_anew = one_address and deployment.mistake is None
    if asked.settings != here.settings and not is_read_anew:
        raise OtherTerms(
            f"this worker's devices.yaml ({here.config}, or the marks.yaml beside it) is not that of the code server"
            f" ({asked.config}): digest {here.settings} here, {asked.settings} there; give both the same files. The day"
            " is then built by itself"
        )
