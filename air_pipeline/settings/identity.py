"""Which device an entry of `devices.yaml` is of, written into its text: one place changes, all else stays as it is.

Belongs here: from a text to a text. Does not: the file (`accepting`), what an identity means to others (`devices`).
"""

from dataclasses import replace
from typing import cast

import yaml

from air_pipeline.settings import SettingsError
from air_pipeline.settings.file import parse_settings
from air_pipeline.settings.yaml import read_yaml
from air_pipeline.showing import flow_text


def with_identity(text: str, name: str, device: str, identity: str) -> str | None:
    """The text with the `identity` of one device; None where its entry is written in a way that cannot be changed here.

    Args:
        text: a valid one.
        name: how errors call it.
        device: its id.
        identity: what it says of itself.

    Raises:
        SettingsError: the text is not valid.
    """
    before = parse_settings(text, name)
    wanted = tuple(replace(one, identity=identity) if one.id == device else one for one in before.devices)
    edited = _edited(text, name, device, flow_text(identity))
    try:
        if edited is not None and parse_settings(edited, name) == replace(before, devices=wanted):
            return edited
    except SettingsError:
        pass
    return None


def _edited(text: str, name: str, device: str, identity: str) -> str | None:
    entry = _entry_of(text, name, device)
    if entry is None:
        return None
    lines = text.splitlines(keepends=True)
    said = {key.value: (key, value) for key, value in entry.value}
    if "identity" in said:
        start, end = said["identity"][1].start_mark, said["identity"][1].end_mark
        if start.line != end.line:
            return None
        line = lines[start.line]
        lines[start.line] = line[: start.column] + identity + line[end.column :]
        return "".join(lines)
    key, value = said["id"]
    at, column = value.end_mark.line, value.end_mark.column
    if entry.flow_style:
        lines[at] = f"{lines[at][:column]}, identity: {identity}{lines[at][column:]}"
    else:
        ending = "\r\n" if lines[0].endswith("\r\n") else "\n"
        lines[at] = lines[at].rstrip("\r\n") + ending
        lines.insert(at + 1, f"{' ' * key.start_mark.column}identity: {identity}{ending}")
    return "".join(lines)


def _entry_of(text: str, name: str, device: str) -> yaml.MappingNode | None:
    root, _ = read_yaml(text, name)
    devices = next((value for key, value in cast("yaml.MappingNode", root).value if key.value == "devices"), None)
    for entry in devices.value if isinstance(devices, yaml.SequenceNode) else ():
        if isinstance(entry, yaml.MappingNode) and any(
            (key.value, value.value) == ("id", device) for key, value in entry.value
        ):
            return entry
    return None
