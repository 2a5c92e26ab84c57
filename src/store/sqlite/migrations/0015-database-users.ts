// Users that are made at targets, each for one grant. Written down before they are made, ended once.
export const databaseUsers: string = `
create table database_users (
  id text primary key check (id glob 'dbuser-*'),
  grant_id text not null references grants,
  resource text not null,
  role text not null,
  name text not null check (name glob 'curfew_*' and length(name) <= 63),
  planned_at integer not null,
  made_at integer,
  ended_at integer,
  outcome text check (outcome in ('dropped', 'disabled', 'absent')),
  check ((ended_at is null) = (outcome is null))
) strict;
create unique index database_users_standing on database_users (resource, name) where ended_at is null;
create index database_users_by_name on database_users (resource, name, planned_at);

create trigger database_users_begin before insert on database_users
when new.made_at is not null or new.ended_at is not null
  or not exists (select 1 from grants where id = new.grant_id and resource = new.resource and role = new.role)
begin select raise(abort, 'a database user begins as a plan, for its grant'); end;

create trigger database_users_step before update on database_users
when old.ended_at is not null
  or new.id is not old.id or new.grant_id is not old.grant_id or new.resource is not old.resource
  or new.role is not old.role or new.name is not old.name or new.planned_at is not old.planned_at
begin select raise(abort, 'database_users: what was written stays'); end;

create trigger database_users_kept before delete on database_users
begin select raise(abort, 'database_users: nothing is ever deleted'); end;
create trigger database_users_once before insert on database_users
when exists (select 1 from database_users where id = new.id
  or (ended_at is null and resource = new.resource and name = new.name))
begin select raise(abort, 'database_users: it is there already'); end;
`
