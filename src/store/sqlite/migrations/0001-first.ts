// What is written here is what the database itself refuses, whoever writes to it: illegal steps, deleting, replacing.
// A refusal that people can meet is raised as `curfew:CODE`; store/sqlite/refusals.ts has the sentence for it.

const tables = `
create table persons (
  id text primary key check (id glob 'person-*'),
  issuer text not null,
  subject text not null,
  email text,
  name text,
  groups text not null check (json_valid(groups)),
  seen_at integer not null,
  unique (issuer, subject)
) strict;
create index persons_by_email on persons (lower(email)) where email is not null;

create table browser_sessions (
  id text primary key check (id glob 'browser-*'),
  person_id text not null references persons,
  secret_hash text not null unique,
  provider_session text,
  id_token text,
  sealed_refresh_token text,
  address text not null,
  user_agent text not null,
  created_at integer not null,
  expires_at integer not null check (expires_at > created_at),
  ended_at integer
) strict;
create index browser_sessions_of on browser_sessions (person_id, created_at);
create index browser_sessions_at_provider on browser_sessions (provider_session) where provider_session is not null;
create index browser_sessions_to_refresh on browser_sessions (expires_at)
  where ended_at is null and sealed_refresh_token is not null;

create table sign_ins (
  id text primary key check (id glob 'signin-*'),
  code text not null,
  purpose text not null check (purpose in ('postgres', 'cli')),
  address text not null,
  application text not null,
  resource text,
  role text,
  secret_hash text,
  created_at integer not null,
  expires_at integer not null check (expires_at > created_at),
  state text not null check (state in ('waiting', 'confirmed', 'refused')),
  person_id text references persons,
  browser_session_id text references browser_sessions,
  answered_at integer,
  check ((state = 'waiting') = (answered_at is null)),
  check (state = 'waiting' or person_id is not null)
) strict;
create index sign_ins_by_code on sign_ins (code, created_at);

create table bindings (
  id text primary key check (id glob 'binding-*'),
  person_id text not null references persons,
  browser_session_id text not null references browser_sessions,
  kind text not null check (kind in ('address')),
  value text not null,
  created_at integer not null,
  expires_at integer not null check (expires_at > created_at),
  ended_at integer
) strict;
create index bindings_of on bindings (person_id, created_at);
create index bindings_for on bindings (kind, value, expires_at) where ended_at is null;

create table tokens (
  id text primary key check (id glob 'token-*'),
  person_id text not null references persons,
  label text not null,
  kind text not null check (kind in ('access', 'cli')),
  secret_hash text not null unique,
  created_at integer not null,
  expires_at integer not null check (expires_at > created_at),
  last_used_at integer,
  ended_at integer
) strict;
create index tokens_of on tokens (person_id, created_at);

create table requests (
  id text primary key check (id glob 'request-*'),
  person_id text not null references persons,
  resource text not null check (resource <> ''),
  role text not null check (role <> ''),
  length_ms integer not null check (length_ms > 0),
  reason text not null,
  ticket text,
  starts_at integer,
  policy text not null,
  approval text not null check (json_extract(approval, '$.kind') in ('none', 'people')),
  origin text not null,
  asked_at integer not null,
  lapses_at integer not null check (lapses_at > asked_at),
  state text not null check (state in ('requested', 'approved', 'denied', 'cancelled', 'lapsed')),
  closed_at integer,
  check ((state = 'requested') = (closed_at is null))
) strict;
create index requests_of on requests (person_id, asked_at);
create index requests_open on requests (asked_at) where state = 'requested';
create index requests_to_lapse on requests (lapses_at) where state = 'requested';
create index requests_closed on requests (closed_at) where state <> 'requested';

create table decisions (
  id text primary key check (id glob 'decision-*'),
  request_id text not null references requests,
  person_id text not null references persons,
  verdict text not null check (verdict in ('approve', 'deny')),
  comment text not null,
  at integer not null,
  unique (request_id, person_id)
) strict;

create table grants (
  id text primary key check (id glob 'grant-*'),
  request_id text not null unique references requests,
  person_id text not null references persons,
  resource text not null,
  role text not null,
  policy text not null,
  starts_at integer not null,
  expires_at integer not null check (expires_at > starts_at),
  state text not null check (state in ('scheduled', 'active', 'expired', 'revoked', 'ended')),
  ended_at integer,
  ended_by text references persons,
  comment text,
  check ((state in ('scheduled', 'active')) = (ended_at is null)),
  check (ended_at is not null or (ended_by is null and comment is null))
) strict;
create index grants_of on grants (person_id, starts_at);
create index grants_living on grants (person_id, resource, role) where state in ('scheduled', 'active');

create table locks (
  id text primary key check (id glob 'lock-*'),
  person_id text,
  resource text,
  role text,
  reason text not null,
  placed_by text not null references persons,
  placed_at integer not null,
  lifted_by text references persons,
  lifted_at integer,
  check (coalesce(person_id, resource, role) is not null),
  check ((lifted_by is null) = (lifted_at is null))
) strict;
create index locks_standing on locks (placed_at) where lifted_at is null;

create table sessions (
  id text primary key check (id glob 'session-*'),
  person_id text not null references persons,
  person_name text not null,
  credential text not null,
  browser_session_id text references browser_sessions,
  grant_id text not null references grants,
  resource text not null,
  role text not null,
  "database" text,
  client text not null check (json_valid(client)),
  node text not null,
  started_at integer not null,
  recording text,
  ended_at integer,
  ending text check (json_valid(ending)),
  check ((ended_at is null) = (ending is null))
) strict;
create index sessions_started on sessions (started_at);
create index sessions_of on sessions (person_id, started_at);
create index sessions_live on sessions (started_at) where ended_at is null;

create table audit (
  sequence integer primary key,
  json text not null,
  previous text not null check (length(previous) = 64),
  hash text not null check (length(hash) = 64),
  type text not null generated always as (json_extract(json, '$.type')) virtual
) strict;
create index audit_by_type on audit (type, sequence);

create table checkpoints (
  number integer primary key,
  sequence integer not null references audit,
  jws text not null
) strict;

create table changes (
  number integer primary key autoincrement check (number > 0),
  json text not null check (json_valid(json))
) strict;
`

const steps = `
create trigger requests_begin before insert on requests
when new.state <> 'requested'
  and not (new.state = 'approved' and json_extract(new.approval, '$.kind') = 'none')
begin select raise(abort, 'curfew:REQUEST_CLOSED'); end;

create trigger requests_step before update on requests
when old.state <> 'requested' or new.state = 'requested'
begin select raise(abort, 'curfew:REQUEST_CLOSED'); end;

create trigger requests_enough before update of state on requests
when new.state = 'approved' and json_extract(old.approval, '$.kind') = 'people'
  and (select count(*) from decisions where request_id = old.id and verdict = 'approve')
    < json_extract(old.approval, '$.people')
begin select raise(abort, 'curfew:NOT_ALLOWED'); end;

create trigger decisions_by_others before insert on decisions
begin
  select raise(abort, 'curfew:SELF_APPROVAL')
    from requests where id = new.request_id and person_id = new.person_id;
  select raise(abort, 'curfew:ALREADY_DECIDED')
    from decisions where request_id = new.request_id and person_id = new.person_id;
  select raise(abort, 'curfew:REQUEST_CLOSED')
    from requests where id = new.request_id and state <> 'requested';
end;

create trigger grants_begin before insert on grants
when new.state not in ('scheduled', 'active') or not exists (
  select 1 from requests where id = new.request_id and state = 'approved'
    and person_id = new.person_id and resource = new.resource and role = new.role)
begin select raise(abort, 'curfew:GRANT_IN_WRONG_STATE'); end;

create trigger grants_step before update on grants
when not (
  (old.state = 'scheduled' and new.state in ('active', 'expired', 'revoked', 'ended'))
  or (old.state = 'active' and new.state in ('expired', 'revoked', 'ended'))
  or (old.state in ('scheduled', 'active') and new.state = old.state and new.expires_at <> old.expires_at))
begin select raise(abort, 'curfew:GRANT_IN_WRONG_STATE'); end;

create trigger locks_step before update on locks
when old.lifted_at is not null or new.lifted_at is null
begin select raise(abort, 'a lock is lifted once'); end;

create trigger sessions_begin before insert on sessions
when not exists (
  select 1 from grants where id = new.grant_id and state = 'active'
    and person_id = new.person_id and resource = new.resource and role = new.role)
begin select raise(abort, 'curfew:GRANT_IN_WRONG_STATE'); end;

create trigger sessions_step before update on sessions
when old.ended_at is not null or new.ended_at is null
begin select raise(abort, 'a session ends once'); end;

create trigger sign_ins_code before insert on sign_ins
when exists (select 1 from sign_ins where code = new.code and state = 'waiting' and expires_at > new.created_at)
begin select raise(abort, 'two programs would wait with one code'); end;

create trigger sign_ins_step before update on sign_ins
when old.state <> 'waiting' or new.state = 'waiting'
begin select raise(abort, 'a sign-in is answered once'); end;

create trigger audit_chain before insert on audit
when new.sequence is not (select coalesce(max(sequence), 0) + 1 from audit)
  or new.previous is not coalesce((select hash from audit order by sequence desc limit 1), printf('%064d', 0))
begin select raise(abort, 'the audit log only grows at its end'); end;

create trigger checkpoints_once before insert on checkpoints
when new.number > 0 and exists (select 1 from checkpoints where number = new.number)
begin select raise(abort, 'checkpoints: it is there already'); end;

create trigger changes_grow before insert on changes
when new.number > 0 and new.number <= (select max(number) from changes)
begin select raise(abort, 'the change feed only grows at its end'); end;
`

/** Columns that say what a row is; they never change once it is written. */
const fixed: Readonly<Record<string, readonly string[]>> = {
  persons: ['id', 'issuer', 'subject'],
  browser_sessions: ['id', 'person_id', 'secret_hash', 'created_at'],
  sign_ins: ['id', 'code', 'purpose', 'address', 'application', 'resource', 'role', 'secret_hash', 'created_at'],
  bindings: ['id', 'person_id', 'browser_session_id', 'kind', 'value', 'created_at'],
  tokens: ['id', 'person_id', 'kind', 'secret_hash', 'created_at', 'expires_at'],
  requests: [
    ...['id', 'person_id', 'resource', 'role', 'length_ms', 'reason', 'ticket', 'starts_at'],
    ...['policy', 'approval', 'origin', 'asked_at', 'lapses_at'],
  ],
  grants: ['id', 'request_id', 'person_id', 'resource', 'role', 'policy', 'starts_at'],
  locks: ['id', 'person_id', 'resource', 'role', 'reason', 'placed_by', 'placed_at'],
  sessions: [
    ...['id', 'person_id', 'person_name', 'credential', 'browser_session_id', 'grant_id', 'resource', 'role'],
    ...['database', 'client', 'node', 'started_at', 'recording'],
  ],
}
const written = ['decisions', 'audit', 'checkpoints', 'changes']
const kept = ['requests', 'decisions', 'grants', 'locks', 'sessions', 'audit', 'checkpoints', 'changes']
/** Tables whose numbering guards them against `insert or replace` already. */
const replaceable = ['requests', 'decisions', 'grants', 'locks', 'sessions']

function keepColumns(table: string, columns: readonly string[]): string {
  const changed = columns.map((column) => `new."${column}" is not old."${column}"`).join(' or ')
  return `create trigger ${table}_fixed before update on ${table} when ${changed}
    begin select raise(abort, '${table}: what was written stays'); end;`
}

function keepRows(table: string): string {
  return `create trigger ${table}_kept before delete on ${table}
    begin select raise(abort, '${table}: nothing is ever deleted'); end;`
}

function refuseUpdates(table: string): string {
  return `create trigger ${table}_written before update on ${table}
    begin select raise(abort, '${table}: what was written stays'); end;`
}

/** REPLACE removes the row in its way without asking the delete trigger. */
function refuseReplacing(table: string): string {
  return `create trigger ${table}_once before insert on ${table} when exists (select 1 from ${table} where id = new.id)
    begin select raise(abort, '${table}: it is there already'); end;`
}

const refuseSecondGrant = `
create trigger grants_one_per_request before insert on grants
when exists (select 1 from grants where request_id = new.request_id)
begin select raise(abort, 'grants: the request has its grant already'); end;`

export const first: string = [
  tables,
  steps,
  ...Object.entries(fixed).map(([table, columns]) => keepColumns(table, columns)),
  ...kept.map(keepRows),
  ...written.map(refuseUpdates),
  ...replaceable.map(refuseReplacing),
  refuseSecondGrant,
].join('\n')
