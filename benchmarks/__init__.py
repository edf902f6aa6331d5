"""What it costs: collecting and building, each beside a peer measured in the same run. `make bench` runs all of it."""
