"""psycopg2: its own way to build statements, named cursors, COPY with files, large objects."""

import io
import os
import select
import threading

import psycopg2
import psycopg2.extras
from cases import check, other_authority, raises, run, text, values

psycopg2.extras.register_uuid()


def connect(words=""):
    return psycopg2.connect(words)


def one(c, statement, arguments=None):
    cursor = c.cursor()
    cursor.execute(statement, arguments)
    return cursor.fetchone()[0]


def verified():
    c = connect()
    check(c.info.ssl_in_use and c.server_version >= 150000 and c.get_parameter_status("TimeZone"))
    check(c.info.backend_pid == one(c, "select pg_backend_pid()"))


def untrusted():
    error = raises(psycopg2.OperationalError, connect, f"sslrootcert={other_authority}")
    check("certificate verify failed" in str(error))


def types():
    c = connect("options='-c timezone=UTC'")
    for kind, value in values:
        found = one(c, f"select %s::{kind}", (value,))
        found = bytes(found) if kind == "bytea" else found
        check(found == value, f"{kind}: {found!r}")


def batch():
    c = connect()
    cursor = c.cursor()
    cursor.execute("create temp table many (id int, text text)")
    psycopg2.extras.execute_values(cursor, "insert into many values %s", [(n, "x") for n in range(2000)])
    psycopg2.extras.execute_batch(cursor, "update many set text = %s where id = %s", [("y", n) for n in range(500)])
    check(one(c, "select count(*) from many where text = 'y'") == 500)


def cursors():
    c = connect()
    with c.cursor("server") as cursor:
        cursor.itersize = 100
        cursor.execute("select generate_series(1, 5000)")
        check(sum(1 for _ in cursor) == 5000)


def copy():
    lines = "".join(f"{n}\ttext {n}\n" for n in range(20_000))
    c = connect()
    cursor = c.cursor()
    cursor.execute("create temp table copied (id int, text text)")
    cursor.copy_expert("copy copied from stdin", io.StringIO(lines))
    out = io.StringIO()
    cursor.copy_expert("copy copied to stdout", out)
    check(out.getvalue() == lines)


def copy_with_error():
    c = connect()
    c.autocommit = True
    cursor = c.cursor()
    cursor.execute("create temp table numbers (a int)")
    raises(psycopg2.DataError, cursor.copy_expert, "copy numbers from stdin", io.StringIO("1\nx\n"))
    check(one(c, "select count(*) from numbers") == 0)


def errors():
    c = connect()
    wrong = "insert into customers (name, email, country, created_at) values ('a', 'b', 'DE', now())"
    error = raises(psycopg2.errors.CheckViolation, one, c, wrong)
    check(error.pgcode == "23514" and error.diag.constraint_name == "customers_email_check")
    raises(psycopg2.errors.InFailedSqlTransaction, one, c, "select 1")
    c.rollback()
    check(one(c, "select 1") == 1)


def notices():
    c = connect()
    c.cursor().execute("do $$begin raise notice 'look'; end$$")
    check(c.notices == ["NOTICE:  look\n"], c.notices)


def notifications():
    listener, speaker = connect(), connect()
    listener.autocommit = speaker.autocommit = True
    listener.cursor().execute("listen news")
    speaker.cursor().execute("notify news, 'hello'")
    check(select.select([listener], [], [], 20)[0] == [listener])
    listener.poll()
    check([notify.payload for notify in listener.notifies] == ["hello"])


def cancel():
    c = connect()
    threading.Timer(0.5, c.cancel).start()
    raises(psycopg2.errors.QueryCanceled, one, c, "select pg_sleep(61)")
    c.rollback()
    check(one(c, "select 2") == 2)


def large():
    check(one(connect(), "select %s::text", (text,)) == text)


def large_objects():
    c = connect()
    data = os.urandom(3_000_000)
    written = c.lobject(0, "wb")
    written.write(data)
    written.close()
    read = c.lobject(written.oid, "rb")
    read.seek(1_000_000)
    check(read.read() == data[1_000_000:])
    c.rollback()


def pool():
    connections = [connect() for _ in range(50)]
    check([one(c, "select 1") for c in connections] == [1] * 50)
    for c in connections:
        c.close()


def ended():
    idle, busy = connect(), connect()
    print("waiting", flush=True)
    for c, statement in ((busy, "select pg_sleep(60)"), (idle, "select 1")):
        error = raises(psycopg2.OperationalError, one, c, statement)
        # Over TLS this one keeps only the last error that it reads, straight as well.
        check(c.closed and "closed unexpectedly" in str(error), error)


run(
    {
        "verified TLS": verified,
        "another authority": untrusted,
        "values as text": types,
        "batch": batch,
        "cursors": cursors,
        "COPY": copy,
        "COPY with an error": copy_with_error,
        "errors and savepoints": errors,
        "notices": notices,
        "notifications": notifications,
        "cancel": cancel,
        "large values": large,
        "large objects": large_objects,
        "pool": pool,
        "the end": ended,
    }
)
