"""Talking to devices: one bounded GET, a document made a reading, the simulator."""
