"""All rules, in the order of their bits."""

from air_pipeline.processing.rules.measuring import Rule
from air_pipeline.processing.rules.values import expected_range, sensor_range, unusable_value

RULES: tuple[Rule, ...] = (unusable_value, sensor_range, expected_range)
