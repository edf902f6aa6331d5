"""Where things are kept: the stores of readings (InfluxDB, SQLite) behind one protocol, and the Parquet tables."""
