"""Where the days are kept: a directory of this machine, or a place in an object store.

Belongs here: the address of the latter, which is used as a path is. Does not: what is done there (`storage.shelf`).
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ObjectAddress:
    """The address of an object, or of all that begin so: `s3://bucket/prefix`."""

    url: str

    def __str__(self) -> str:
        return self.url

    def __truediv__(self, name: str) -> "ObjectAddress":
        return ObjectAddress(f"{self.url}/{name}")

    def as_uri(self) -> str:
        """The address, as `Path.as_uri` gives that of a file."""
        return self.url


DataPlace = Path | ObjectAddress
"""What AIR_PIPELINE_DATA names."""
