-- The aggregates of a day once more, written from docs/tables.md alone: DuckDB, over the observations file as it lies.
-- Local days and hours come from DuckDB's own time zones (ICU).
--
-- Given: the tables devices(device, timezone), units(device, series, unit), thresholds(device, series, threshold), and
-- the variables `day` and `observations` (a path).

CREATE TABLE observed AS
SELECT * REPLACE (device::VARCHAR AS device, series::VARCHAR AS series), flag IN (1, 2) AS valid
FROM read_parquet(getvariable('observations'));

CREATE TABLE every_series AS SELECT DISTINCT device, series FROM observed;

-- What the clock at each device shows, minute by minute: no clock was ever changed within one, since 1972.
CREATE TABLE clock AS
SELECT device, instant, shown, date_diff('minute', timezone('UTC', instant), shown) AS utc_offset_minutes
FROM (
    SELECT device, instant, timezone(timezone, instant) AS shown
    FROM devices, (
        SELECT unnest(generate_series(
            timezone('UTC', getvariable('day') - INTERVAL 2 DAYS),
            timezone('UTC', getvariable('day') + INTERVAL 3 DAYS),
            INTERVAL 1 MINUTE
        )) AS instant
    )
);

-- A local day is [first instant of it, first instant of the next one).
CREATE TABLE days AS
SELECT
    device,
    min(instant) FILTER (shown >= getvariable('day')) AS day_start,
    min(instant) FILTER (shown >= getvariable('day') + INTERVAL 1 DAY) AS day_end
FROM clock
GROUP BY device;

-- An hour is a run of equal local date, hour and offset.
CREATE TABLE hours AS
SELECT
    device,
    min(instant) AS hour_start,
    max(instant) + INTERVAL 1 MINUTE AS hour_end,
    arg_min(shown, instant) AS hour_start_local,
    any_value(utc_offset_minutes) AS utc_offset_minutes
FROM (
    SELECT *, count(*) FILTER (is_new) OVER (PARTITION BY device ORDER BY instant) AS number
    FROM (
        SELECT
            *,
            (date_trunc('hour', shown), utc_offset_minutes) IS DISTINCT FROM lag(
                (date_trunc('hour', shown), utc_offset_minutes)
            ) OVER (PARTITION BY device ORDER BY instant) AS is_new
        FROM clock JOIN days USING (device)
        WHERE day_start <= instant AND instant < day_end
    )
)
GROUP BY device, number;

CREATE TABLE of_hours AS
SELECT
    *,
    coverage IS NOT NULL AND coverage >= 0.75 AS is_complete
FROM (
    SELECT
        each.device,
        each.series,
        hours.hour_start,
        any_value(hours.hour_end) AS hour_end,
        any_value(hours.hour_start_local) AS hour_start_local,
        any_value(hours.utc_offset_minutes) AS utc_offset_minutes,
        any_value(units.unit) AS unit,
        count(flag) AS expected_count,
        count(*) FILTER (flag <> 9) AS observed_count,
        count(*) FILTER (valid) AS valid_count,
        count(*) FILTER (flag = 3) AS suspect_count,
        count(*) FILTER (flag = 4) AS bad_count,
        count(*) FILTER (flag = 9) AS missing_count,
        count(*) FILTER (valid) / nullif(count(flag), 0) AS coverage,
        avg(value) FILTER (valid) AS mean,
        min(value) FILTER (valid) AS min,
        max(value) FILTER (valid) AS max,
        stddev_samp(value) FILTER (valid) AS sd,
        quantile_cont(value, 0.5) FILTER (valid) AS median,
        quantile_cont(value, 0.02) FILTER (valid) AS p02,
        quantile_cont(value, 0.98) FILTER (valid) AS p98
    FROM every_series AS each
    JOIN hours ON hours.device = each.device
    JOIN units ON units.device = each.device AND units.series = each.series
    LEFT JOIN observed
        ON observed.device = each.device AND observed.series = each.series
        AND observed_at >= hour_start AND observed_at < hour_end
    GROUP BY each.device, each.series, hours.hour_start
);

CREATE VIEW hourly_aggregates AS SELECT * EXCLUDE (hour_end) FROM of_hours;

-- How long each slot of a device stands: until the next one; the last as long as the one before it, a lone one until the
-- day ends; never more than an hour.
CREATE TABLE standing AS
SELECT observed.*, stands_minutes
FROM observed JOIN (
    SELECT
        device,
        observed_at,
        least(
            epoch_ms(
                coalesce(
                    lead(observed_at) OVER slots - observed_at,
                    observed_at - lag(observed_at) OVER slots,
                    day_end - observed_at
                )
            ),
            3_600_000
        ) / 60_000 AS stands_minutes
    FROM (SELECT DISTINCT device, observed_at FROM observed) JOIN days USING (device)
    WINDOW slots AS (PARTITION BY device ORDER BY observed_at)
) USING (device, observed_at);

-- Windows of 8 hours begin with an hour row and end inside the day. What counts are the complete hours wholly inside, at
-- least 6 h of them, each by its length.
CREATE TABLE windows AS
SELECT first.device, first.series, sum(inside.mean * inside.ms) / sum(inside.ms) AS mean
FROM of_hours AS first
JOIN days USING (device)
JOIN (SELECT *, epoch_ms(hour_end - hour_start) AS ms FROM of_hours WHERE is_complete) AS inside
    ON inside.device = first.device AND inside.series = first.series
    AND inside.hour_start >= first.hour_start AND inside.hour_end <= first.hour_start + INTERVAL 8 HOURS
WHERE first.hour_start + INTERVAL 8 HOURS <= day_end
GROUP BY first.device, first.series, first.hour_start
HAVING sum(inside.ms) >= 6 * 3_600_000;

CREATE VIEW daily_aggregates AS
SELECT
    *,
    expected_count > 0 AND complete_hours >= ceil(0.75 * hour_count) AS is_complete
FROM (
    SELECT
        device,
        series,
        any_value(day_start) AS day_start,
        any_value(day_end) AS day_end,
        any_value(epoch(day_end - day_start) / 3600) AS hours_in_day,
        any_value(timezone) AS timezone,
        any_value(unit) AS unit,
        count(*) AS expected_count,
        count(*) FILTER (flag <> 9) AS observed_count,
        count(*) FILTER (valid) AS valid_count,
        count(*) FILTER (flag = 3) AS suspect_count,
        count(*) FILTER (flag = 4) AS bad_count,
        count(*) FILTER (flag = 9) AS missing_count,
        count(*) FILTER (valid) / count(*) AS coverage,
        (SELECT count(*) FROM of_hours WHERE of_hours.device = one.device AND of_hours.series = one.series)
            AS hour_count,
        (
            SELECT count(*) FROM of_hours
            WHERE of_hours.device = one.device AND of_hours.series = one.series AND is_complete
        ) AS complete_hours,
        avg(value) FILTER (valid) AS mean,
        min(value) FILTER (valid) AS min,
        max(value) FILTER (valid) AS max,
        stddev_samp(value) FILTER (valid) AS sd,
        quantile_cont(value, 0.5) FILTER (valid) AS median,
        quantile_cont(value, 0.02) FILTER (valid) AS p02,
        quantile_cont(value, 0.98) FILTER (valid) AS p98,
        avg(value) FILTER (valid AND hour(local_time) BETWEEN 6 AND 21) AS mean_06_22,
        avg(value) FILTER (valid AND hour(local_time) NOT BETWEEN 6 AND 21) AS mean_22_06,
        (SELECT max(mean) FROM windows WHERE windows.device = one.device AND windows.series = one.series)
            AS max_8h_mean,
        CASE
            WHEN any_value(threshold) IS NOT NULL
                THEN coalesce(sum(stands_minutes) FILTER (valid AND value > threshold), 0)
        END AS exceedance_minutes
    FROM standing AS one
    JOIN days USING (device)
    JOIN devices USING (device)
    JOIN units USING (device, series)
    LEFT JOIN thresholds USING (device, series)
    GROUP BY one.device, one.series
);

-- The local time of every observation, by DuckDB's time zones.
CREATE VIEW local_times AS
SELECT device, series, observed_at, clock.shown AS local_time, clock.utc_offset_minutes
FROM observed JOIN (SELECT device, timezone FROM devices) USING (device),
LATERAL (
    SELECT
        timezone(timezone, observed_at) AS shown,
        date_diff('minute', timezone('UTC', observed_at), timezone(timezone, observed_at)) AS utc_offset_minutes
) AS clock;
