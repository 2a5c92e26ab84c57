// Sign-ins for SSH and the keys that they bind. SQLite cannot change a check, so both tables are written anew; their
// indices and triggers went with the old ones and are written anew, too. No other table refers to these two.

const signIns = `
create table sign_ins_with_keys (
  id text primary key check (id glob 'signin-*'),
  code text not null,
  purpose text not null check (purpose in ('postgres', 'ssh', 'cli')),
  address text not null,
  application text not null,
  resource text,
  role text,
  secret_hash text,
  key_fingerprint text check (key_fingerprint glob 'SHA256:*'),
  created_at integer not null,
  expires_at integer not null check (expires_at > created_at),
  state text not null check (state in ('waiting', 'confirmed', 'refused')),
  person_id text references persons,
  browser_session_id text references browser_sessions,
  answered_at integer,
  check ((state = 'waiting') = (answered_at is null)),
  check (state = 'waiting' or person_id is not null),
  check (key_fingerprint is null or purpose = 'ssh')
) strict;
insert into sign_ins_with_keys
  select id, code, purpose, address, application, resource, role, secret_hash, null,
    created_at, expires_at, state, person_id, browser_session_id, answered_at from sign_ins;
drop table sign_ins;
alter table sign_ins_with_keys rename to sign_ins;
create index sign_ins_by_code on sign_ins (code, created_at);

create trigger sign_ins_code before insert on sign_ins
when exists (select 1 from sign_ins where code = new.code and state = 'waiting' and expires_at > new.created_at)
begin select raise(abort, 'two programs would wait with one code'); end;

create trigger sign_ins_step before update on sign_ins
when old.state <> 'waiting' or new.state = 'waiting'
begin select raise(abort, 'a sign-in is answered once'); end;

create trigger sign_ins_fixed before update on sign_ins
when new.id is not old.id or new.code is not old.code or new.purpose is not old.purpose
  or new.address is not old.address or new.application is not old.application
  or new.resource is not old.resource or new.role is not old.role
  or new.secret_hash is not old.secret_hash or new.key_fingerprint is not old.key_fingerprint
  or new.created_at is not old.created_at
begin select raise(abort, 'sign_ins: what was written stays'); end;
`

const bindings = `
create table bindings_with_keys (
  id text primary key check (id glob 'binding-*'),
  person_id text not null references persons,
  browser_session_id text not null references browser_sessions,
  kind text not null check (kind in ('address', 'ssh-key')),
  value text not null,
  created_at integer not null,
  expires_at integer not null check (expires_at > created_at),
  ended_at integer,
  check (kind <> 'ssh-key' or value glob 'SHA256:*')
) strict;
insert into bindings_with_keys
  select id, person_id, browser_session_id, kind, value, created_at, expires_at, ended_at from bindings;
drop table bindings;
alter table bindings_with_keys rename to bindings;
create index bindings_of on bindings (person_id, created_at);
create index bindings_for on bindings (kind, value, expires_at) where ended_at is null;

create trigger bindings_one_person_per_key before insert on bindings
when new.kind = 'ssh-key' and exists (
  select 1 from bindings where kind = 'ssh-key' and value = new.value and person_id <> new.person_id
    and ended_at is null and expires_at > new.created_at)
begin select raise(abort, 'curfew:KEY_TAKEN'); end;

create trigger bindings_fixed before update on bindings
when new.id is not old.id or new.person_id is not old.person_id
  or new.browser_session_id is not old.browser_session_id
  or new.kind is not old.kind or new.value is not old.value or new.created_at is not old.created_at
begin select raise(abort, 'bindings: what was written stays'); end;
`

export const ssh: string = [signIns, bindings].join('\n')
