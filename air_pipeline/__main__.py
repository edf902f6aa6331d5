"""`python -m air_pipeline` is the `air-pipeline` command."""

from air_pipeline.cli import main

main()
