"""All rules, in the order of their bits."""

from air_pipeline.processing.rules.agreement import (
    channels_apart,
    dht22_frozen,
    gas_ratio,
    pressure_ratio,
    same_document,
    thermometers_apart,
    warming_up,
)
from air_pipeline.processing.rules.course import flat_line, probe_step, rate, same_cycle, spike
from air_pipeline.processing.rules.marked import marked
from air_pipeline.processing.rules.measuring import Rule
from air_pipeline.processing.rules.values import (
    before_first_measurement,
    bmp180_garbage,
    expected_range,
    failure_value,
    gases_off,
    sensor_range,
    unusable_value,
)

RULES: tuple[Rule, ...] = (
    unusable_value,
    sensor_range,
    expected_range,
    failure_value,
    before_first_measurement,
    gases_off,
    bmp180_garbage,
    spike,
    probe_step,
    rate,
    flat_line,
    dht22_frozen,
    same_document,
    thermometers_apart,
    pressure_ratio,
    gas_ratio,
    warming_up,
    marked,
    same_cycle,
    channels_apart,
)
