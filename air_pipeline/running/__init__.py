"""Everything on one machine, as one thing that starts and stops: what `up` and the demo run.

Belongs here: its processes, what is said of them while they run, the ports and sockets where they meet, the demo's
devices and their past. Does not: words of the command line (`cli`), what the processes do.
"""

from air_pipeline.errors import AirPipelineError


class UpError(AirPipelineError):
    """`up` cannot start or go on; the message says why and what to do."""
