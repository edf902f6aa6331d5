"""What `up` asks its own UI's server for: whether the definitions are loaded, and that they be loaded again.

Belongs here: the requests. Does not: when they are made (`up`).
"""

import json
import urllib.error
import urllib.request
from contextlib import suppress
from typing import Any

from air_pipeline.running import UpError
from air_pipeline.running.guard import is_guarded

LOCATION = "air_pipeline"
_WITHIN_S = 5.0
_RELOAD_WITHIN_S = 60.0
_ENTRIES = (
    "{workspaceOrError{...on Workspace{locationEntries{loadStatus locationOrLoadError{__typename"
    " ...on PythonError{message}}}}}}"
)
_RELOAD = f'mutation{{reloadRepositoryLocation(repositoryLocationName:"{LOCATION}"){{__typename}}}}'


def are_definitions_loaded(url: str) -> bool:
    """Whether the UI answers and has loaded the definitions.

    Raises:
        UpError: it cannot load them, or lets in who should not get in.
    """
    answer = _asked(url, _ENTRIES, _WITHIN_S)
    entries = (answer or {}).get("workspaceOrError", {}).get("locationEntries", [])
    for entry in entries:
        if entry["loadStatus"] == "LOADED" and entry["locationOrLoadError"]["__typename"] == "PythonError":
            raise UpError(f"the definitions cannot be loaded: {entry['locationOrLoadError']['message'].strip()}")
    return bool(entries) and all(entry["loadStatus"] == "LOADED" for entry in entries)


def load_definitions_again(url: str) -> None:
    """Has the code server and the UI load the definitions again, as partitions and the like come from the settings.

    Where nobody answers, they are being started again anyway, and so load what there is then.
    """
    with suppress(UpError):
        _asked(url, _RELOAD, _RELOAD_WITHIN_S)


def _asked(url: str, query: str, within_s: float) -> Any:  # noqa: ANN401 - as the query says
    """The data of a GraphQL request; None where there is no answer."""
    # By that name, the guard lets us in wherever the UI listens.
    headers = {"Content-Type": "application/json", "Host": "localhost"}
    body = json.dumps({"query": query}).encode()
    request = urllib.request.Request(f"{url}/graphql", body, headers)  # noqa: S310 -- our own
    try:
        with urllib.request.urlopen(request, timeout=within_s) as answer:  # noqa: S310 -- our own
            data = json.load(answer)["data"]
            guarded = is_guarded(answer.headers)
    except (OSError, ValueError, KeyError, TypeError, urllib.error.URLError):
        return None
    if not guarded:  # as a release of Dagster would be that makes its application in another way
        raise UpError(
            "the UI would obey whoever asks, so it is not started: air_pipeline was not tried with this release of"
            " dagster-webserver; install the one that requirements.lock names"
        )
    return data
