"""SQLAlchemy on psycopg 3: its pool, its reflection, its batches."""

import sqlalchemy as sa
from cases import check, raises, run
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert

engine = sa.create_engine("postgresql+psycopg://", pool_size=5, max_overflow=10, pool_pre_ping=True)
metadata = sa.MetaData(schema="alchemy")
parents = sa.Table(
    "parents",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, unique=True),
    sa.Column("facts", JSONB),
    sa.Column("tags", ARRAY(sa.Text)),
)
children = sa.Table(
    "children",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("parent", sa.ForeignKey(parents.c.id), nullable=False),
)


def schema():
    with engine.begin() as c:
        c.execute(sa.schema.CreateSchema("alchemy"))
    metadata.create_all(engine)


def batch():
    rows = [{"name": f"n{n}", "facts": {"n": n}, "tags": ["a", str(n)]} for n in range(3000)]
    with engine.begin() as c:
        found = c.execute(parents.insert().returning(parents.c.id, sort_by_parameter_order=True), rows).scalars().all()
        check(len(found) == 3000 and found == sorted(found))
        c.execute(children.insert(), [{"parent": parent} for parent in found])
        kept = c.execute(insert(parents).values(name="n1").on_conflict_do_nothing().returning(parents.c.id)).all()
        check(kept == [])


def reflection():
    found = sa.MetaData(schema="alchemy")
    found.reflect(engine)
    check(set(found.tables) == {"alchemy.parents", "alchemy.children"})
    check([key.target_fullname for key in found.tables["alchemy.children"].foreign_keys] == ["alchemy.parents.id"])


def cursors():
    with engine.connect() as c:
        rows = c.execution_options(stream_results=True, yield_per=100).execute(sa.select(parents.c.facts))
        check(sum(row[0]["n"] for row in rows) == sum(range(3000)))


def errors():
    with engine.connect() as c:
        with c.begin():
            raises(sa.exc.IntegrityError, nested, c)
            check(c.execute(sa.select(sa.func.count()).select_from(parents)).scalar() == 3000)
    with engine.connect().execution_options(isolation_level="SERIALIZABLE", postgresql_readonly=True) as c:
        raises(sa.exc.DBAPIError, c.execute, parents.delete())


def nested(c):
    with c.begin_nested():
        c.execute(parents.insert().values(name="n1"))


def pool():
    connections = [engine.connect() for _ in range(15)]
    check([c.execute(sa.text("select 1")).scalar() for c in connections] == [1] * 15)
    for c in connections:
        c.close()


def gone():
    metadata.drop_all(engine)
    with engine.begin() as c:
        c.execute(sa.schema.DropSchema("alchemy"))


def ended():
    with engine.connect() as c:
        print("waiting", flush=True)
        error = raises(sa.exc.OperationalError, c.execute, sa.text("select pg_sleep(60)"))
        check(error.connection_invalidated)
        print(f"read {error.orig.sqlstate} {error.orig.diag.message_primary}", flush=True)


run(
    {
        "making tables": schema,
        "batch": batch,
        "reflection": reflection,
        "cursors": cursors,
        "errors and savepoints": errors,
        "pool": pool,
        "dropping tables": gone,
        "the end": ended,
    }
)
