"""Answers to Flux that a server gives too seldom, or in too many orders, to be asked for."""

import pytest

from air_pipeline.storage.flux_csv import flux_frame
from air_pipeline.storage.store import StoreError

ROWS = b"#datatype,string,long,double\r\n,result,table,_value\r\n,_result,0,1.5\r\n,_result,0,\r\n\r\n"
ERROR = b'#datatype,string,string\r\n,error,reference\r\n,"a, ""b"" failed",897\r\n'


@pytest.mark.parametrize("answer", [ROWS + b"\r\n" + ERROR, ERROR, ERROR + b"\r\n" + ROWS])
def test_an_error_table_in_an_answer_is_an_error(answer: bytes) -> None:
    with pytest.raises(StoreError, match='could not run this Flux query to its end: a, "b" failed'):
        flux_frame(answer)


def test_a_missing_number_is_nan_and_a_missing_integer_stays_one() -> None:
    frame = flux_frame(b"#datatype,long,double\r\n,a,b\r\n,9007199254740993,\r\n,,1.5\r\n")
    assert str(frame["a"].dtype) == "Int64"
    assert frame["a"][0] == 9007199254740993
    assert frame["a"].isna()[1]
    assert frame["b"].isna()[0]


@pytest.mark.parametrize("answer", [b"", b"\r\n", b"#datatype,string,long\r\n,result,table\r\n\r\n"])
def test_no_rows_are_an_empty_frame(answer: bytes) -> None:
    assert flux_frame(answer).empty
