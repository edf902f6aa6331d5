"""The fields of a stored poll, by the names that they have in every store; `import` is a tag in InfluxDB."""

POLL_NUMBERS = ("duration_ms", "http_status", "interval_s")
POLL_TEXTS = ("outcome", "problems", "body", "series", "cycle", "identity", "import")
POLL_COLUMNS = ("outcome", *POLL_NUMBERS, "problems", "body", "series", "cycle", "identity", "import")
MAY_BE_MISSING = frozenset({"body", "series", "cycle", "identity", "import"})
"""The texts that are never empty, and missing where there is nothing to say; the others are never missing."""
POLL_RARE = ("problems", *(name for name in POLL_TEXTS if name in MAY_BE_MISSING))
"""The texts that most polls have nothing in."""
