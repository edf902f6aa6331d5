"""A real HTTP server with simulated devices, faithful to the firmware: for tests, the demo and benchmarks.

What others use:

- `Simulator(["living-room"])`, a context manager with `url`, `requests`, `set_fault`; `serve_forever(simulator)` for a
  process of its own;
- `document_at(Profile("living-room", seed), time_ms)`: what a device would have said at any instant;
  `arrays.values_at(profile, times_ms)`: the same as arrays, for histories;
- `read_script(text)`, `Flaky`, `Fault`, `FAULTS`: what goes wrong, and when.
"""

from air_pipeline.devices.simulator.faults import FAULTS, Fault, document_at
from air_pipeline.devices.simulator.script import Flaky, Script, read_script
from air_pipeline.devices.simulator.server import Simulator, Traffic, serve_forever
from air_pipeline.devices.simulator.weather import Profile

__all__ = [
    "FAULTS",
    "Fault",
    "Flaky",
    "Profile",
    "Script",
    "Simulator",
    "Traffic",
    "document_at",
    "read_script",
    "serve_forever",
]
