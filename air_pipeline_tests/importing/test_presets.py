"""Each preset reads what such a source writes, with the right values, units and times."""

import gzip
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from air_pipeline.importing.home_assistant import read_statistics
from air_pipeline.importing.mapping import presets, read_meaning
from air_pipeline.importing.planning import history_of
from air_pipeline.importing.rows import ImportFailed
from air_pipeline.importing.tables import read_tables
from air_pipeline.processing.local_time import epoch_ms
from air_pipeline.settings import SettingsError
from air_pipeline_tests.importing.histories import NAME, deployed_in

NOON = epoch_ms(datetime(2026, 3, 1, 12, tzinfo=UTC))
AIRGRADIENT = (
    "\ufeffLocation ID,Location Name,Location Group,Location Type,Sensor ID,Place Open,Local Date/Time,UTC Date/Time,"
    "# of aggregated records,PM2.5 (μg/m³) raw,PM2.5 (μg/m³) corrected,0.3μm particle count,CO2 (ppm) raw,"
    "CO2 (ppm) corrected,Temperature (°C) raw,Temperature (°C) corrected,Heat Index (°C),Humidity (%) raw,"
    "Humidity (%) corrected,TVOC (ppb),TVOC index,NOX index,PM1 (μg/m³),PM10 (μg/m³)\n"
    "67284,Home,,Indoor,airgradient:744dbd,false,2026-03-01 13:00:00,2026-03-01T12:00:00.000Z,1,33.8,30.1,700,496,496,"
    "29.6,28.9,36.4,80,78,-,104,1,20,40.5\n"
)
PURPLEAIR = (
    "UTCDateTime,mac_address,firmware_ver,hardware,current_temp_f,current_humidity,current_dewpoint_f,pressure,adc,mem,"
    "rssi,uptime,pm1_0_cf_1,pm2_5_cf_1,pm10_0_cf_1,pm1_0_atm,pm2_5_atm,pm10_0_atm,pm2.5_aqi_cf_1,pm2.5_aqi_atm,p_0_3_um,"
    "p_0_5_um,p_1_0_um,p_2_5_um,p_5_0_um,p_10_0_um,pm1_0_cf_1_b,pm2_5_cf_1_b,pm10_0_cf_1_b,pm1_0_atm_b,pm2_5_atm_b,"
    "pm10_0_atm_b,pm2.5_aqi_cf_1_b,pm2.5_aqi_atm_b,p_0_3_um_b,p_0_5_um_b,p_1_0_um_b,p_2_5_um_b,p_5_0_um_b,p_10_0_um_b,"
    "gas\n2026/03/01T12:00:00z,84:f3:eb,7.02,2.0+BME280+PMSX003-B,50,36,25,859.38,0.03,17872,-57,654,1,2,3,4,5,6,8,8,"
    "654,222,38,8,2,0,1.5,2.5,3.5,4.5,5.5,6.5,8,8,684,221,36,6,2,0,25.00\n"
)
COMMUNITY = "sensor_id;sensor_type;location;lat;lon;timestamp;"
CLIMATE = "9;BME280;5;1.0;2.0;2026-03-01T12:00:00;96913.02;;;12.75;63.35"
FILES = {
    "airgradient": (
        AIRGRADIENT,
        {"pms5003_pm25": 33.8, "s8_co2": 496.0, "sht40_temperature": 29.6, "sgp41_tvoc_index": 104.0},
        {"pms5003_pm25": "µg/m³", "s8_co2": "ppm"},
    ),
    "purpleair-sd": (
        PURPLEAIR,
        {"bme280_temperature": 10.0, "bme280_pressure": 859.38, "pms5003-a_pm25": 5.0, "pms5003-b_pm25_standard": 2.5},
        {"bme280_temperature": "°C", "bme280_pressure": "hPa"},
    ),
    "sensor.community-sds011": (
        f"{COMMUNITY}P1;durP1;ratioP1;P2;durP2;ratioP2\n7;SDS011;5;1.0;2.0;2026-03-01T12:00:00;11.00;;;8.50;;\n",
        {"sds011_pm10": 11.0, "sds011_pm25": 8.5},
        {"sds011_pm10": "µg/m³"},
    ),
    "sensor.community-dht22": (
        f"{COMMUNITY}temperature;humidity\n8;DHT22;5;1.0;2.0;2026-03-01T12:00:00.053188+00:00;14.30;52.80\n",
        {"dht22_temperature": 14.3, "dht22_humidity": 52.8},
        {"dht22_humidity": "%"},
    ),
    "sensor.community-bme280": (
        f"{COMMUNITY}pressure;altitude;pressure_sealevel;temperature;humidity\n{CLIMATE}\n",
        {"bme280_pressure": 969.1302, "bme280_temperature": 12.75},
        {"bme280_pressure": "hPa"},
    ),
}
OF_OTHERS = {"ahttpdc", "telegraf", "telegraf-json_v2", "home-assistant"}  # buckets: test_bucket; Home Assistant: below


def none(*_):
    pass


def test_each_preset_of_files_is_tried():
    assert set(presets()) == {*FILES, *OF_OTHERS}


@pytest.mark.parametrize("name", FILES)
def test_a_preset_reads_what_its_source_writes(tmp_path, name):
    text, values, units = FILES[name]
    path = tmp_path / "file.csv"
    path.write_text(text, encoding="utf-8")
    meaning, deployed = read_meaning(name), deployed_in(tmp_path)
    rows, notes = read_tables([path], meaning, none)
    history = history_of(deployed, NAME, meaning, rows, "file.csv")
    assert [at - at % 1000 for at in history.rows.times.tolist()] == [NOON]
    got = {series: column[0] for series, column in history.rows.series.items()}
    assert {series: got[series] for series in values} == pytest.approx(values)
    assert all(value == round(value, 9) for value in got.values())  # no digits that only the conversion made
    assert not np.isnan(list(got.values())).any()
    said = {one.series: one.unit for one in history.parameters}
    assert {series: said[series] for series in units} == units
    assert all("not" not in what for what in notes.counts if not what.startswith("columns")), notes.sentences()
    deployed.store.close()


def test_the_files_of_two_sensors_of_one_device_are_one_import_by_what_both_presets_say(tmp_path):
    paths = []
    for name in ("sds011", "bme280"):
        paths.append(tmp_path / f"{name}.csv")
        paths[-1].write_text(FILES[f"sensor.community-{name}"][0], encoding="utf-8")
    mapping = tmp_path / "both.yaml"
    columns = "columns: {humidty: bme280_humidity}"
    mapping.write_text(f"like: [sensor.community-sds011, sensor.community-bme280]\n{columns}\n")
    with pytest.raises(SettingsError, match=r"columns.humidity: bme280_humidity is also what humidty is"):
        read_meaning(str(mapping))
    mapping.write_text(mapping.read_text().replace("bme280_humidity", "sht31_humidity"))
    rows, notes = read_tables(paths, read_meaning(str(mapping)), none)
    assert {"sds011_pm10", "sds011_pm25", "bme280_pressure", "bme280_temperature"} <= set(rows.series)
    assert "1 columns that the mapping names are in none of the files: humidty" in notes.sentences()


@pytest.mark.parametrize("old", [False, True], ids=["seconds since 1970", "texts in UTC, before 2023"])
def test_the_statistics_of_home_assistant_are_the_means_of_hours(tmp_path, old):
    path = tmp_path / "home-assistant_v2.db"
    at = "start" if old else "start_ts"
    into = f"INSERT INTO statistics (metadata_id, {at}, mean)"
    with closing(sqlite3.connect(path)) as file:
        file.execute(
            "CREATE TABLE statistics_meta (id INTEGER PRIMARY KEY, statistic_id TEXT, source TEXT,"
            " unit_of_measurement TEXT, has_mean INTEGER, has_sum INTEGER, name TEXT)"
        )
        file.execute(
            f"CREATE TABLE statistics (id INTEGER PRIMARY KEY, metadata_id INTEGER, {at}, mean REAL, min REAL)"
        )
        file.execute("INSERT INTO statistics_meta VALUES (3, 'sensor.hall', 'recorder', '°F', 1, 0, NULL)")
        for hour in range(3):
            moment = datetime(2026, 3, 1, 12, tzinfo=UTC) + timedelta(hours=hour)
            said = moment.replace(tzinfo=None).isoformat(" ") + ".000000" if old else moment.timestamp()
            file.execute(f"{into} VALUES (3, ?, ?)", (said, 50.0 + 9 * hour))
        file.execute(f"{into} VALUES (9, 0, 1)")
        file.commit()
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text("like: home-assistant\ncolumns: {sensor.hall: dht22_temperature, sensor.gone: dht22_humidity}\n")
    rows, notes, meaning = read_statistics([path], read_meaning(str(mapping)), none)
    deployed = deployed_in(tmp_path)
    history = history_of(deployed, NAME, meaning, rows, "db")
    assert history.rows.times.tolist() == [NOON + 3_600_000 * hour for hour in range(3)]
    assert history.rows.series["dht22_temperature"].tolist() == pytest.approx([10.0, 15.0, 20.0])
    assert notes.sentences() == ["1 statistics that the mapping names are not there: sensor.gone"]
    deployed.store.close()


def test_what_is_no_database_of_home_assistant_is_said(tmp_path):
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text("like: home-assistant\ncolumns: {sensor.hall: dht22_temperature}\n")
    (tmp_path / "x.db").write_text("no database at all, but a text that is long enough")
    for name in ("x.db", "missing.db"):
        with pytest.raises(ImportFailed, match="is no database of Home Assistant that can be read"):
            read_statistics([tmp_path / name], read_meaning(str(mapping)), none)


WRONG = {
    "columns: {a: dht22_temperature, b: dht22_temperature}": r"m.yaml:1: columns.a: dht22_temperature is also what b",
    "columns: {a: dht22_temperature}\ntime: {colum: x}": r"m.yaml:2: time: (unknown key 'colum'|column is missing)",
    "device: hall": r"m.yaml: names no columns",
    "like: ahttpd\ncolumns: {a: dht22_temperature}": r"did you mean ahttpdc\?",
    "colums: {a: dht22_temperature}": r"unknown key 'colums'; did you mean columns\?",
    "columns: {a: dht22_temperature}\ntime: {column: x, written: soon}": r"time.written: 'soon' is none of iso",
    "[1]": r"is not a mapping",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_mapping_that_is_wrong_is_said_with_its_place(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.yaml").write_text(text)
    with pytest.raises(SettingsError, match=WRONG[text]):
        read_meaning("m.yaml")


UNFIT = {
    "{a: {series: dht22_temperature, unit: hPa}}": "dht22_temperature is in °C, and hPa cannot be said in it",
    "{a: sds011_pm25}": "nobody knows the unit of sds011_pm25; say it",
    "{a: {series: temperature, unit: °C}}": "temperature is no series",
    "{a: {series: x_Y, unit: °C}}": "x_Y is no series",
}


@pytest.mark.parametrize("columns", UNFIT)
def test_a_series_that_the_device_cannot_have_is_said(tmp_path, columns):
    (tmp_path / "m.yaml").write_text(f"time: at\ncolumns: {columns}\n")
    (tmp_path / "a.csv").write_text("at,a\n2026-03-01T12:00:00Z,1\n")
    meaning = read_meaning(str(tmp_path / "m.yaml"))
    rows, _ = read_tables([tmp_path / "a.csv"], meaning, none)
    deployed = deployed_in(tmp_path)
    with pytest.raises(SettingsError, match=UNFIT[columns]):
        history_of(deployed, NAME, meaning, rows, "a.csv")
    with pytest.raises(SettingsError, match=r"has no device hal; did you mean hall\?"):
        history_of(deployed, "hal", meaning, rows, "a.csv")
    deployed.store.close()


def test_a_table_of_parquet_gives_the_same_rows_as_one_of_csv(tmp_path):
    """Times as timestamps with and without a zone, as texts, and as numbers."""
    times = pd.date_range("2026-03-01T12:00:00Z", periods=3, freq="10s")
    frame = pd.DataFrame({"aware": times, "naive": times.tz_localize(None), "ms": times.as_unit("ms").asi8})
    frame["text"] = [at.isoformat() for at in times]
    frame["a"] = [1.5, None, 3.0]
    frame.to_parquet(tmp_path / "a.parquet")
    frame.to_csv(tmp_path / "a.csv.gz", index=False)
    wanted = [NOON + 10_000 * n for n in range(3)]
    for column, more in (("aware", ""), ("naive", ", zone: UTC"), ("text", ""), ("ms", ", written: epoch-ms")):
        (tmp_path / "m.yaml").write_text(f"time: {{column: {column}{more}}}\ncolumns: {{a: dht22_temperature}}\n")
        for name in ("a.parquet", "a.csv.gz"):
            rows, _ = read_tables([tmp_path / name], read_meaning(str(tmp_path / "m.yaml")), none)
            assert rows.times.tolist() == wanted, (column, name)
            assert np.array_equal(rows.series["dht22_temperature"], [1.5, np.nan, 3.0], equal_nan=True)


def test_cells_that_are_no_numbers_are_kept_as_they_came_and_empty_ones_are_none(tmp_path):
    (tmp_path / "a.csv").write_text(
        'at;"t";who\n2026-03-01 13:00;"1.234,5";x\n2026-03-01 13:01;kaputt;x\n2026-03-01 13:02;NaN;x\n'
        "2026-03-01 13:03;inf;x\n2026-03-01 13:04;7;y\n2026-03-01 13:05;8\n",
        encoding="latin-1",
    )
    (tmp_path / "m.yaml").write_text(
        "time: {column: at, zone: Europe/Warsaw}\ndecimal: ','\nencoding: latin-1\nwhere: {who: x}\n"
        "columns: {t: dht22_temperature}\n"
    )
    rows, notes = read_tables([tmp_path / "a.csv"], read_meaning(str(tmp_path / "m.yaml")), none)
    assert np.array_equal(rows.series["dht22_temperature"], [1234.5, np.nan, np.nan, np.nan], equal_nan=True)
    assert rows.spoilt == {"dht22_temperature": {NOON + 60_000: "kaputt", NOON + 180_000: "inf"}}
    assert notes.rows == 6
    said = "; ".join(notes.sentences())
    assert "1 rows have fewer or more cells than the header and are left out: row 7 of a.csv" in said
    assert "1 rows of others are left out (where)" in said
    assert "2 cells are no numbers" in said


def test_with_a_decimal_comma_a_point_stands_before_three_digits_or_the_cell_is_no_number(tmp_path):
    """21.5 among numbers with a comma is no 215."""
    cells = {"21.5": None, "1.5,2": None, "1.234": 1234.0, "-1.234.567,8": -1234567.8, "21,5": 21.5, " 7 ": 7.0}
    lines = [f"2026-03-01T12:00:{second:02}Z;{cell}" for second, cell in enumerate(cells)]
    (tmp_path / "a.csv").write_text("\n".join(["at;t", *lines]))
    (tmp_path / "m.yaml").write_text("time: at\ndecimal: ','\ncolumns: {t: dht22_temperature}\n")
    rows, _ = read_tables([tmp_path / "a.csv"], read_meaning(str(tmp_path / "m.yaml")), none)
    read = [None if np.isnan(one) else one for one in rows.series["dht22_temperature"].tolist()]
    assert read == list(cells.values())
    assert list(rows.spoilt["dht22_temperature"].values()) == ["21.5", "1.5,2"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("when,a\n2026-03-01T12:00:00Z,1\n", "has no column 'at', which .* names; it has when, a"),
        ("at,b\n2026-03-01T12:00:00Z,1\n", "has none of the columns that .* names; it has at, b"),
        ("", "has no column 'at'"),
    ],
)
def test_a_table_without_the_columns_is_said_with_those_that_it_has(tmp_path, text, said):
    (tmp_path / "a.csv").write_text(text)
    (tmp_path / "m.yaml").write_text("time: at\ncolumns: {a: dht22_temperature}\n")
    with pytest.raises(ImportFailed, match=said):
        read_tables([tmp_path / "a.csv"], read_meaning(str(tmp_path / "m.yaml")), none)


def test_a_file_that_cannot_be_read_is_said(tmp_path):
    (tmp_path / "m.yaml").write_text("time: at\ncolumns: {a: dht22_temperature}\n")
    meaning = read_meaning(str(tmp_path / "m.yaml"))
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 nothing")
    (tmp_path / "bad.csv.gz").write_bytes(b"no gzip")
    (tmp_path / "bad.csv").write_bytes(b"at,a\n\xff\xfe,1\n")
    (tmp_path / "bad.csv.xz").write_bytes(b"no xz")
    packed = gzip.compress(b"at,a\n" + b"2026-03-01T12:00:00Z,1\n" * 1000, mtime=0)
    (tmp_path / "damaged.csv.gz").write_bytes(packed[:20] + b"\xff\xff\xff\xff" + packed[24:])
    for name in ("missing.csv", "bad.parquet", "bad.csv.gz", "bad.csv", "bad.csv.xz", "damaged.csv.gz"):
        with pytest.raises(ImportFailed, match="cannot be read"):
            read_tables([tmp_path / name], meaning, none)
