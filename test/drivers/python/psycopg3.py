"""psycopg 3 on its own libpq: everything of it that needs a server."""

import os
import threading

import psycopg
from cases import check, other_authority, raises, run, text, values

connect = psycopg.connect


def verified():
    with connect() as c:
        check(c.pgconn.ssl_in_use)
        check(c.info.server_version >= 150000)
        check(c.info.parameter_status("TimeZone"))
        check(c.info.backend_pid == c.execute("select pg_backend_pid()").fetchone()[0])
    with connect(hostaddr="127.0.0.1") as c:
        check(c.pgconn.ssl_in_use)


def untrusted():
    check("certificate verify failed" in str(raises(psycopg.OperationalError, connect, sslrootcert=other_authority)))


def newest_protocol():
    with connect(min_protocol_version="3.2", sslnegotiation="direct") as c:
        check(c.pgconn.full_protocol_version == 30002, c.pgconn.full_protocol_version)
        cancelled(c)


def types(binary):
    with connect(options="-c timezone=UTC") as c, c.cursor(binary=binary) as cursor:
        for kind, value in values:
            argument = "%b" if binary else "%t"
            row = cursor.execute(f"select {argument}::{kind}", (value,)).fetchone()
            check(row[0] == value, f"{kind}: {row[0]!r}")


def prepared():
    with connect() as c:
        for number in range(200):
            check(c.execute("select %s::int + 1", (number,), prepare=True).fetchone()[0] == number + 1)
        c.prepare_threshold = 1
        c.prepared_max = 3
        for number in range(60):
            c.execute(f"select {number % 6}, %s::int", (number,))


def pipeline():
    with connect() as c, c.pipeline():
        cursors = [c.execute("select %s::int", (number,)) for number in range(500)]
        check([cursor.fetchone()[0] for cursor in cursors] == list(range(500)))


def pipeline_with_error():
    with connect(autocommit=True) as c:
        with c.pipeline() as p:
            first = c.execute("select 1")
            c.execute("select 1 / 0")
            raises(psycopg.errors.DivisionByZero, p.sync)
            check(first.fetchone()[0] == 1)
            check(c.execute("select 3").fetchone()[0] == 3)


def many():
    with connect() as c, c.cursor() as cursor:
        cursor.execute("create temp table many (id int, text text)")
        cursor.executemany("insert into many values (%s, %s) returning id", [(n, "x") for n in range(2000)], returning=True)
        check(cursor.fetchone()[0] == 0)
        check(c.execute("select count(*) from many").fetchone()[0] == 2000)


def cursors():
    with connect() as c:
        with c.cursor(name="forward") as s:
            s.itersize = 100
            s.execute("select generate_series(1, 5000)")
            check(sum(1 for _ in s) == 5000)
        with c.cursor(name="both", scrollable=True, withhold=True, binary=True) as s:
            s.execute("select generate_series(1, 50)")
            c.commit()
            s.scroll(40)
            check(s.fetchone()[0] == 41)
            s.scroll(-2)
            check(s.fetchone()[0] == 40)
    with connect() as c:
        rows = c.cursor().stream("select generate_series(1, 5000)", size=100)
        check(sum(1 for _ in rows) == 5000)


def copy():
    rows = [(n, f"text {n}\t\\") for n in range(20_000)]
    for form in ("text", "binary"):
        with connect() as c, c.cursor() as cursor:
            cursor.execute("create temp table copied (id int4, text text)")
            with cursor.copy(f"copy copied from stdin (format {form})") as into:
                into.set_types(["int4", "text"])
                for row in rows:
                    into.write_row(row)
            with cursor.copy(f"copy copied to stdout (format {form})") as out:
                out.set_types(["int4", "text"])
                check(list(out.rows()) == rows)


def copy_with_error():
    def half():
        with cursor.copy("copy numbers from stdin") as into:
            into.write("1\nx\n")

    def given_up():
        with cursor.copy("copy numbers from stdin") as into:
            into.write("1\n")
            raise ValueError("changed my mind")

    with connect(autocommit=True) as c, c.cursor() as cursor:
        cursor.execute("create temp table numbers (a int)")
        raises(psycopg.errors.InvalidTextRepresentation, half)
        raises(ValueError, given_up)
        check(cursor.execute("select count(*) from numbers").fetchone()[0] == 0)


def errors():
    with connect() as c:
        wrong = "insert into customers (name, email, country, created_at) values ('a', 'b', 'DE', now())"
        error = raises(psycopg.errors.CheckViolation, c.execute, wrong)
        check(error.sqlstate == "23514" and error.diag.constraint_name == "customers_email_check")
        raises(psycopg.errors.InFailedSqlTransaction, c.execute, "select 1")
        c.rollback()
        with c.transaction():
            c.execute("create temp table kept (a int)")
            raises(psycopg.errors.DivisionByZero, inner, c)
            check(c.execute("select 1").fetchone()[0] == 1)


def inner(c):
    with c.transaction():
        c.execute("select 1 / 0")


def notices():
    heard = []
    with connect() as c:
        c.add_notice_handler(lambda notice: heard.append((notice.severity, notice.message_primary)))
        c.execute("do $$begin raise warning 'look'; end$$")
    check(heard == [("WARNING", "look")], heard)


def notifications():
    with connect(autocommit=True) as listener, connect(autocommit=True) as speaker:
        listener.execute("listen news")
        for number in range(50):
            speaker.execute("select pg_notify('news', %s)", (str(number),))
        heard = [notify.payload for notify in listener.notifies(timeout=20, stop_after=50)]
        check(heard == [str(number) for number in range(50)])


def cancelled(c):
    thread = threading.Timer(0.5, c.cancel_safe)
    thread.start()
    raises(psycopg.errors.QueryCanceled, c.execute, "select pg_sleep(61)")
    thread.join()
    c.rollback()
    check(c.execute("select 2").fetchone()[0] == 2)


def cancel():
    with connect() as c:
        cancelled(c)


def large():
    with connect() as c:
        check(c.execute("select %s::text", (text,)).fetchone()[0] == text)
        check(len(c.execute("select repeat('x', 16000000)", binary=True).fetchone()[0]) == 16_000_000)


def threads():
    def one():
        with connect() as c:
            for number in range(20):
                found.append(c.execute("select %s::int", (number,)).fetchone()[0])

    found = []
    all_of_them = [threading.Thread(target=one) for _ in range(20)]
    for thread in all_of_them:
        thread.start()
    for thread in all_of_them:
        thread.join()
    check(len(found) == 400)


def ended():
    with connect() as idle, connect() as busy:
        print("waiting", flush=True)
        error = raises(psycopg.OperationalError, busy.execute, "select pg_sleep(60)")
        print(f"read {error.sqlstate} {error.diag.message_primary}", flush=True)
        error = raises(psycopg.OperationalError, idle.execute, "select 1")
        print(f"read {error.sqlstate} {error.diag.message_primary}", flush=True)


run(
    {
        "verified TLS": verified,
        "another authority": untrusted,
        "protocol 3.2": newest_protocol,
        "values as text": lambda: types(False),
        "values in binary": lambda: types(True),
        "prepared statements": prepared,
        "pipeline": pipeline,
        "pipeline with an error": pipeline_with_error,
        "batch": many,
        "cursors": cursors,
        "COPY": copy,
        "COPY with an error": copy_with_error,
        "errors and savepoints": errors,
        "notices": notices,
        "notifications": notifications,
        "cancel": cancel,
        "large values": large,
        "pool": threads,
        "the end": ended,
    }
)
