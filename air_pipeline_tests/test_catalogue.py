import dataclasses

import pytest

from air_pipeline.catalogue import ANY_SERIES, KNOWN, LIMITS, RULE_PARAMETERS, STATION, Parameter, shared_parameters

GASES = ["co", "co2", "alcohol", "nh4", "acetone", "toluene"]

# Series, the device's spelling, unit, range and resolution, as data sheets and firmware have them.
TABLE = [
    ("dht22_temperature", "temperature", "°C", (-40, 80), 0.1),
    ("dht22_humidity", "humidity", "%", (0, 100), 0.1),
    ("bmp180_temperature", "temperature", "°C", (-40, 85), 0.1),
    ("bmp180_pressure", "pressure", "hPa", (300, 1100), 0.01),
    ("bmp180_sea_level_pressure", "seaLevelPressure", "hPa", (300, 1150), 0.01),
    ("bmp180_altitude", "altitude", "m", (-500, 9000), 0.01),
    ("ds18b20_temperature", "temperature", "°C", (-55, 125), 0.0625),
    *(
        (f"mq135_{gas}", {"acetone": "aceton", "toluene": "toulen"}.get(gas, gas), "ppm", (0, 10_000), 0.01)
        for gas in GASES
    ),
]


@pytest.mark.parametrize(("series", "key", "unit", "sensor_range", "resolution"), TABLE)
def test_the_station_is_as_its_data_sheets_say(series, key, unit, sensor_range, resolution):
    (parameter,) = (parameter for parameter in STATION if parameter.series == series)
    assert (parameter.key, parameter.unit, parameter.sensor_range, parameter.resolution) == (
        key,
        unit,
        sensor_range,
        resolution,
    )


def test_the_station_has_nothing_else():
    assert [parameter.series for parameter in STATION] == [series for series, *_ in TABLE]


def test_each_parameter_says_what_it_means():
    assert all(parameter.description for parameter in STATION)
    assert all(RULE_PARAMETERS.values())


def test_a_series_is_the_sensor_and_the_parameter():
    for parameter in STATION:
        assert parameter.series == f"{parameter.sensor}_{parameter.name}"
        assert "_" not in parameter.sensor
        assert KNOWN[parameter.sensor][parameter.name] is parameter
    assert sum(len(parameters) for parameters in KNOWN.values()) == len(STATION)


def test_one_parameter_has_one_unit():
    units = {}
    for parameter in STATION:
        assert units.setdefault(parameter.name, parameter.unit) == parameter.unit


def test_the_catalogue_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        STATION[0].unit = "K"
    with pytest.raises(TypeError):
        KNOWN["dht22"]["temperature"] = STATION[0]
    with pytest.raises(TypeError):
        KNOWN["dht22"] = {}


def test_the_temperature_of_the_station_is_shared_by_three_sensors():
    assert {name: [member.sensor for member in members] for name, members in shared_parameters(STATION).items()} == {
        "temperature": ["dht22", "bmp180", "ds18b20"]
    }


def test_what_one_sensor_measures_is_not_shared():
    alone = Parameter("dht22", "temperature", "°C", "temperature")
    assert shared_parameters((alone,)) == {}
    assert shared_parameters(()) == {}


def test_each_limit_has_a_value_a_unit_a_source_and_a_meaning():
    stated = {name for limits in LIMITS.values() for name in limits}
    assert stated == set(RULE_PARAMETERS)
    assert set(RULE_PARAMETERS) >= ANY_SERIES
    for limit in (limit for limits in LIMITS.values() for limit in limits.values()):
        assert limit.value > 0
        assert limit.unit
        assert limit.source
