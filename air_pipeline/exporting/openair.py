"""Hourly CSV for openair: a row a UTC hour and device, a column a series.

Belongs here: the columns that openair asks for. Does not: what an hour holds (`utc_hours`).

openair (R) takes a data frame with `date`, in GMT, the hour's beginning; several stations are told apart by `site`;
any other column is what the user names as `pollutant`. Sources: openair's book, "Input data requirements", and its
functions `checkPrep` and `quickText`; worldmet gives its hours as `date` in GMT too, so that both join by `date`.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from air_pipeline.exporting.selection import Selection
from air_pipeline.exporting.utc_hours import utc_hours
from air_pipeline.exporting.writing import Progress, whole_text
from air_pipeline.naming import distinct


def write_openair(selection: Selection, target: Path, progress: Progress = lambda _done, _days: None) -> int:
    """Writes a CSV file and says how many rows it has.

    Names of series have `.` for `-`, as R makes of them by itself; where that is another column's, a number follows.

    Raises:
        ExportError: the file cannot be written.
        TableError: a day's file cannot be read.
    """
    rows = 0
    columns = distinct(selection.units, _dotted, lambda name, n: f"{_dotted(name)}.{n}", ("date", "site"))
    with whole_text(target) as file:
        file.write(",".join(["date", "site", *columns.values()]) + "\n")
        for done, (_, found) in enumerate(utc_hours(selection)):
            progress(done, len(selection.days))
            for hours in found:
                frame = pd.DataFrame(hours.means, texts_of_hours(hours.hours))
                frame.insert(0, "site", hours.device)
                frame.to_csv(file, header=False, lineterminator="\n")
                rows += len(frame)
    return rows


def texts_of_hours(hours: npt.NDArray[np.int64]) -> pd.Index:
    """Hours in ms UTC as R's `as.POSIXct` and `readr` read them."""
    return pd.Index(np.char.replace(np.datetime_as_string(hours.astype("datetime64[ms]"), unit="s"), "T", " "))


def _dotted(name: str) -> str:
    return name.replace("-", ".")
