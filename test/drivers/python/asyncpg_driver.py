"""asyncpg: no libpq; a wire protocol of its own, everything prepared and in binary."""

import asyncio
import os
import ssl

import asyncpg
from cases import check, other_authority, run, text, values

settings = {
    "host": os.environ["PGHOST"],
    "port": int(os.environ["PGPORT"]),
    "user": os.environ["PGUSER"],
    "password": os.environ["PGPASSWORD"],
    "database": os.environ["PGDATABASE"],
}
trusted = ssl.create_default_context(cafile=os.environ["PGSSLROOTCERT"])


async def connect(**more):
    return await asyncpg.connect(**settings, ssl=more.pop("ssl", trusted), **more)


async def raises(kind, awaitable):
    try:
        await awaitable
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


async def verified():
    c = await connect()
    check(c.get_server_version().major >= 15)
    check(c.get_server_pid() == await c.fetchval("select pg_backend_pid()"))
    await c.close()
    c = await connect(direct_tls=True, ssl=alpn())
    check(await c.fetchval("select 1") == 1)
    await c.close()


def alpn():
    context = ssl.create_default_context(cafile=os.environ["PGSSLROOTCERT"])
    context.set_alpn_protocols(["postgresql"])
    return context


async def untrusted():
    await raises(ssl.SSLCertVerificationError, connect(ssl=ssl.create_default_context(cafile=other_authority)))


async def types():
    c = await connect(server_settings={"timezone": "UTC"})
    for kind, value in values:
        found = await c.fetchval(f"select $1::{kind}", value)
        check(found == value, f"{kind}: {found!r}")
    await c.execute("create type pg_temp.mood as enum ('sad', 'happy'); create type pg_temp.pair as (a int, b mood)")
    check(await c.fetchval("select array[(1, 'sad')::pair, (2, 'happy')::pair]") == [(1, "sad"), (2, "happy")])
    await c.close()


async def prepared():
    c = await connect()
    statement = await c.prepare("select $1::int + 1")
    for number in range(200):
        check(await statement.fetchval(number) == number + 1)
    check(statement.get_parameters()[0].name == "int4")
    await c.close()


async def batch():
    c = await connect()
    await c.execute("create temp table many (id int primary key, text text)")
    await c.executemany("insert into many values ($1, $2)", [(n, "x") for n in range(5000)])
    await raises(asyncpg.UniqueViolationError, c.executemany("insert into many values ($1, $2)", [(n, "y") for n in range(6000, 0, -1)]))
    check(await c.fetchval("select count(*) from many") == 5000)
    rows = await c.fetchmany("insert into many values ($1, $2) returning id", [(n, "z") for n in range(7000, 7100)])
    check(len(rows) == 100)
    await c.close()


async def cursors():
    c = await connect()
    async with c.transaction():
        found = [row[0] async for row in c.cursor("select generate_series(1, 5000)", prefetch=100)]
        check(found == list(range(1, 5001)))
        cursor = await c.cursor("select generate_series(1, 100)")
        await cursor.forward(50)
        check((await cursor.fetchrow())[0] == 51)
    await c.close()


async def copy():
    rows = [(n, f"text {n}") for n in range(20_000)]
    c = await connect()
    await c.execute("create temp table copied (id int, text text)")
    await c.copy_records_to_table("copied", records=rows)
    check(await c.fetch("table copied") == rows)
    read = bytearray()

    async def take(chunk):
        read.extend(chunk)

    await c.copy_from_query("select id from copied where id < $1", 5, output=take)
    check(bytes(read) == b"0\n1\n2\n3\n4\n")
    await c.close()


async def copy_with_error():
    async def lines():
        yield b"1\nx\n"

    async def breaks():
        yield b"1\n"
        raise ValueError("changed my mind")

    c = await connect()
    await c.execute("create temp table numbers (a int)")
    await raises(asyncpg.InvalidTextRepresentationError, c.copy_to_table("numbers", source=lines()))
    await raises(ValueError, c.copy_to_table("numbers", source=breaks()))
    check(await c.fetchval("select count(*) from numbers") == 0)
    await c.close()


async def errors():
    c = await connect()
    wrong = "insert into customers (name, email, country, created_at) values ('a', 'b', 'DE', now())"
    error = await raises(asyncpg.CheckViolationError, c.execute(wrong))
    check(error.sqlstate == "23514" and error.constraint_name == "customers_email_check")
    async with c.transaction():
        try:
            async with c.transaction():
                await c.execute("select 1 / 0")
        except asyncpg.DivisionByZeroError:
            pass
        check(await c.fetchval("select 1") == 1)
    await c.close()


async def notices():
    heard = []
    c = await connect()
    c.add_log_listener(lambda _, message: heard.append(message.message))
    await c.execute("do $$begin raise warning 'look'; end$$")
    await c.close()
    check(heard == ["look"], heard)


async def notifications():
    listener, speaker = await connect(), await connect()
    heard = asyncio.Queue()
    await listener.add_listener("news", lambda *words: heard.put_nowait(words[3]))
    await speaker.execute("notify news, 'hello'")
    check(await asyncio.wait_for(heard.get(), 20) == "hello")
    await listener.close()
    await speaker.close()


async def cancel():
    c = await connect()
    await raises(asyncio.TimeoutError, c.execute("select pg_sleep(61)", timeout=0.5))
    check(await c.fetchval("select 2") == 2)
    await c.close()


async def large():
    c = await connect()
    check(await c.fetchval("select $1::text", text) == text)
    await c.close()


async def pool():
    async with asyncpg.create_pool(**settings, ssl=trusted, min_size=5, max_size=20) as connections:
        found = await asyncio.gather(*(connections.fetchval("select $1::int", n) for n in range(500)))
        check(found == list(range(500)))


async def ended():
    idle, busy = await connect(), await connect()
    said = asyncio.Queue()
    idle.add_termination_listener(lambda _: said.put_nowait("idle ended"))
    print("waiting", flush=True)
    error = (await raises(asyncpg.ConnectionDoesNotExistError, busy.execute("select pg_sleep(60)"))).__cause__
    print(f"read {error.sqlstate} {error.message}", flush=True)
    # It reads on while it is idle, and gives what it read to nobody but the log.
    await asyncio.wait_for(said.get(), 20)
    await raises(asyncpg.InterfaceError, idle.execute("select 1"))


cases = {
    "verified TLS": verified,
    "another authority": untrusted,
    "values in binary": types,
    "prepared statements": prepared,
    "batch": batch,
    "cursors": cursors,
    "COPY": copy,
    "COPY with an error": copy_with_error,
    "errors and savepoints": errors,
    "notices": notices,
    "notifications": notifications,
    "cancel": cancel,
    "large values": large,
    "pool": pool,
    "the end": ended,
}
run({name: (lambda case=case: asyncio.run(case())) for name, case in cases.items()})
