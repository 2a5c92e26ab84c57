// Locks by group and by address, and locks that end. SQLite cannot change a check, so the table is written anew, with its
// index and triggers; no other table refers to it. And the keys by which programs file a request once.

const locks = `
create table locks_with_ends (
  id text primary key check (id glob 'lock-*'),
  person_id text,
  group_name text check (group_name <> ''),
  resource text,
  role text,
  address text check (address <> ''),
  reason text not null,
  placed_by text not null references persons,
  placed_at integer not null,
  until integer check (until > placed_at),
  lifted_by text references persons,
  lifted_at integer,
  check (coalesce(person_id, group_name, resource, role, address) is not null),
  check (lifted_by is null or lifted_at is not null),
  -- lifted by nobody: its time was over
  check (lifted_at is null or lifted_by is not null or coalesce(lifted_at >= until, 0))
) strict;
insert into locks_with_ends
  select id, person_id, null, resource, role, null, reason, placed_by, placed_at, null, lifted_by, lifted_at from locks;
drop table locks;
alter table locks_with_ends rename to locks;
create index locks_standing on locks (placed_at) where lifted_at is null;
create index locks_over on locks (lifted_at) where lifted_at is not null;

create trigger locks_step before update on locks
when old.lifted_at is not null or new.lifted_at is null
begin select raise(abort, 'a lock is lifted once'); end;

create trigger locks_fixed before update on locks
when new.id is not old.id or new.person_id is not old.person_id or new.group_name is not old.group_name
  or new.resource is not old.resource or new.role is not old.role or new.address is not old.address
  or new.reason is not old.reason or new.placed_by is not old.placed_by or new.placed_at is not old.placed_at
  or new.until is not old.until
begin select raise(abort, 'locks: what was written stays'); end;

create trigger locks_kept before delete on locks
begin select raise(abort, 'locks: nothing is ever deleted'); end;

create trigger locks_once before insert on locks when exists (select 1 from locks where id = new.id)
begin select raise(abort, 'locks: it is there already'); end;
`

const requestKeys = `
create table request_keys (
  person_id text not null references persons,
  key text not null check (key <> ''),
  request_id text not null references requests,
  at integer not null,
  primary key (person_id, key)
) strict;
create index request_keys_age on request_keys (at);
`

export const locksWithEnds: string = [locks, requestKeys].join('\n')
