"""What the assets are called, how they are grouped, and whose they are, for those that speak of them.

For the underlying Dagster concept, see docs.dagster.io: asset keys.
"""

import dagster as dg

DEVICES = dg.AssetKey("devices")
RAW_READINGS = dg.AssetKey("raw_readings")
COLLECTING = "collecting"
"""The group of what comes in; of the assets of a day it is DAYS."""
DAYS = "days"
OWNER = "team:air"
