"""The fields of a stored poll, by the names that they have in every store."""

POLL_NUMBERS = ("duration_ms", "http_status", "interval_s")
POLL_TEXTS = ("outcome", "problems", "body", "series", "cycle")
POLL_COLUMNS = ("outcome", *POLL_NUMBERS, "problems", "body", "series", "cycle")
