"""The frames that every store gives, so that two stores with the same polls give the same bits.

Belongs here: dtypes, index and order of columns. Does not: where the numbers come from. pandas and numpy are imported
when a frame is made, see `store`.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

POLL_NUMBERS = ("duration_ms", "http_status", "interval_s")
POLL_TEXTS = ("outcome", "problems", "body")
POLL_COLUMNS = ("outcome", *POLL_NUMBERS, "problems", "body")


def readings_frame(times: "npt.NDArray[np.int64]", values: Mapping[str, "npt.NDArray[np.float64]"]) -> "pd.DataFrame":
    """Slots (ms UTC, rising) and numbers as the frame of `ReadingStore.readings`, without series that have no value."""
    import numpy as np
    import pandas as pd

    present = {series: values[series] for series in sorted(values) if not np.isnan(values[series]).all()}
    frame = pd.DataFrame(present, index=_slots(times), columns=pd.Index(list(present), dtype="str"))
    return _once_a_slot(frame)


def polls_frame(
    times: "npt.NDArray[np.int64]",
    numbers: Mapping[str, "npt.NDArray[np.float64]"],
    texts: Mapping[str, Sequence[Any]],
) -> "pd.DataFrame":
    """Slots (ms UTC, rising), numbers and texts (or None) as the frame of `ReadingStore.polls`."""
    import numpy as np
    import pandas as pd

    index = _slots(times)
    nowhere = [None] * len(index)
    columns: dict[str, pd.Series] = {}
    for name in POLL_COLUMNS:
        if name in POLL_NUMBERS:
            columns[name] = pd.Series(numbers.get(name, np.full(len(index), np.nan)), index=index, dtype="float64")
        else:
            column = pd.Series(texts.get(name, nowhere), index=index, dtype="str")
            # An empty text and none look the same in CSV: here a body is never empty, the others never missing.
            columns[name] = column.where(column != "") if name == "body" else column.fillna("")
    return _once_a_slot(pd.DataFrame(columns, index=index, columns=pd.Index(POLL_COLUMNS, dtype="str")))


def _slots(times: "npt.NDArray[np.int64]") -> "pd.DatetimeIndex":
    import pandas as pd

    return pd.DatetimeIndex(times.astype("datetime64[ms]"), tz="UTC", name="observed_at")


def _once_a_slot(frame: "pd.DataFrame") -> "pd.DataFrame":
    # Only points that others wrote, at fractions of a ms, can share one.
    return frame if frame.index.is_unique else frame[~frame.index.duplicated(keep="last")]
