"""What the drivers share: cases run one after the other, and each says on its line how it went."""

import datetime
import decimal
import os
import sys
import uuid

other_authority = os.environ["OTHER_CA"]
text = "é" * 4_000_000

utc = datetime.timezone.utc
#: SQL type and value; each goes there and comes back the same.
values = [
    ("int4", -7),
    ("int8", 2**62),
    ("numeric", decimal.Decimal("123456789012345678901234567890.123456789")),
    ("float8", 0.1),
    ("bool", True),
    ("text", "é\n'\"\\"),
    ("bytea", bytes(range(256))),
    ("uuid", uuid.UUID("11111111-2222-3333-4444-555555555555")),
    ("date", datetime.date(2026, 11, 23)),
    ("timestamptz", datetime.datetime(2026, 11, 23, 12, 34, 56, 789000, utc)),
    ("interval", datetime.timedelta(days=3, seconds=7, microseconds=9)),
    ("int4[]", [1, None, 3]),
    ("text[]", ["a", 'b,"c"', "NULL"]),
]


def check(holds, what=""):
    if not holds:
        raise AssertionError(what or "does not hold")


def raises(kind, call, *args, **more):
    """The exception of that kind which the call ends with."""
    try:
        call(*args, **more)
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def report(name, error=None):
    words = "" if error is None else f": {type(error).__name__}: {error}".replace("\n", " ")
    print(f"{'ok' if error is None else 'not ok'} {name}{words}", flush=True)


def run(cases):
    failed = 0
    for name, case in cases.items():
        try:
            case()
            report(name)
        except Exception as error:
            failed += 1
            report(name, error)
    sys.exit(1 if failed else 0)
