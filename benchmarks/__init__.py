"""What it costs: collecting, building, flagging, comparing, reading, and how far one collector and one writer go.

Each beside a peer measured in the same run.

`make bench` runs all of it, `make bench FULL=1` the large sizes as well.
"""
