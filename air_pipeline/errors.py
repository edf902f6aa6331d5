"""The errors that speak to a person: their message is a sentence that says what happened, where, and what to do.

Each room defines its own beside what raises it, under the one root here. Who shows errors (the command line, notebooks,
Dagster's runs) knows the root alone; any other exception is a mistake of ours, and its traceback says where.

    AirPipelineError
    ├── CollectorRunning         another collector holds this state directory
    ├── DayError                 days cannot be built as asked
    │   ├── DayNotOver           it has not ended yet, or its grace has not
    │   ├── DayOfOtherSettings   its observations were built with other settings
    │   ├── DayOutOfRange        it is before `start`
    │   ├── DayShrunk            the store holds less of it than was built before
    │   └── OtherTerms           this worker has other settings or versions than the code server
    ├── DemoError                the demo cannot be made
    ├── DocumentUnusable         not one value can be read in what a device answered
    ├── ExportError              built days cannot be exported as asked
    │   └── PositionError        a text that is no position of a device (exit status 2)
    ├── HistoryError             a device cannot be renamed, or what it said deleted
    ├── ImportFailed             a history cannot be imported, or an import not taken back
    ├── MoveUnfinished           readings are copied, and a collector goes on into the old store
    ├── OutboxError              the outbox cannot be read or written
    ├── OutputError              rows cannot be written where they were asked for
    ├── PollsLost                the disk refused polls until the collector had to end
    ├── PortError                the simulated devices cannot listen there
    ├── ProcessingError          readings cannot be made into observations
    ├── PruneError               Dagster's storage cannot be pruned
    ├── ReportError              a page cannot be made
    ├── RestoreError             a backup cannot be put back
    ├── RowUnreadable            a row of the outbox is no poll that this program knows
    ├── SendError                a message was not taken
    ├── SettingsError            the environment or devices.yaml cannot be used (exit status 2)
    ├── ShelfError               the object store with the days' files refuses what was asked
    │   └── ShelfUnavailable     it does not answer
    ├── StorageError             Dagster's storage was written by a newer Dagster, or is damaged
    ├── StoreError               the reading store cannot do what was asked
    │   ├── CopyError            readings cannot be copied
    │   ├── PollsRejected        it will never take these polls
    │   ├── StoreRefused         token, bucket or rights are not as they must be
    │   │   └── BucketMissing    the bucket is not there
    │   └── StoreUnavailable     it may well do it later
    ├── TableError               a day's file cannot be used
    │   ├── DayNotBuilt          it is not there
    │   └── DayUnreadable        it cannot be read, or is not ours
    ├── TimeError                a text that is no time, or no span of time (exit status 2)
    └── UpError                  `up` or `ui` cannot start
        ├── HostError            the UI is not offered at such an address or under such a name (exit status 2)
        └── PortTaken            something else listens there
"""

from typing import ClassVar


class AirPipelineError(Exception):
    """An error whose message is for a person."""

    exit_status: ClassVar[int] = 1
    """What the command that it ends exits with: 1 something failed, 2 wrong use or configuration."""
