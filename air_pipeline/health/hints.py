"""What to look at first where a rule speaks often: rule to a few words, at greater length in docs/rules.md.

A rule that says nothing of the hardware, as of what somebody knows by hand, has none.
"""

from collections.abc import Mapping
from types import MappingProxyType

HINTS: Mapping[str, str] = MappingProxyType(
    {
        "unusable_value": "see what comes in: air-pipeline poll; a loose wire, or another firmware",
        "sensor_range": "a broken sensor, a bad contact, or a supply that sags",
        "expected_range": "if the room is so, widen expected_range in devices.yaml",
        "failure_value": "look at the plug of the probes and the 4.7 kΩ resistor",
        "before_first_measurement": "it restarts: look at its supply",
        "gases_off": "look at the supply of the MQ135 and its analogue wire",
        "bmp180_garbage": "look at the I²C wires of the BMP180",
        "spike": "a long or loose wire",
        "probe_step": "look at the plug of the probes, and count them",
        "rate": "a loose wire, if only one sensor does it",
        "flat_line": "restart the device; if it comes again, replace the sensor",
        "dht22_frozen": "restart the device, and look at the data wire of the DHT22",
        "same_document": "restart the device; if it comes again, look for a cache between it and here",
        "thermometers_apart": "see whether one of them is in the sun or at a heater",
        "pressure_ratio": "give the ratio of your firmware as sea_level_ratio under rules in devices.yaml",
        "gas_ratio": "if the firmware has other curves, switch max_gas_error off under rules in devices.yaml",
        "same_cycle": "ask it less often: its interval is shorter than it takes to measure",
        "channels_apart": "blow out both lasers: dust, a spider or a dying fan; replace the one that stays off",
        "warming_up": "wait until the gas sensor is warm",
    }
)
