"""What it costs: collecting, building, flagging and comparing, each beside a peer measured in the same run.

`make bench` runs all of it.
"""
