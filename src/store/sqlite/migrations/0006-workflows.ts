// Approvals in steps, decisions with terms, and grants that know more than when they end. Old approvals become one step;
// old grants last from their start until they end, as they did.

const requests = `
drop trigger requests_fixed;
drop trigger requests_step;
drop trigger requests_enough;
alter table requests add column kind text not null default 'access'
  check (kind in ('access', 'extension', 'break-glass'));
alter table requests add column asked_by text references persons;
alter table requests add column extends_grant_id text references grants
  check ((extends_grant_id is not null) = (kind = 'extension'));
alter table requests add column bundle_id text check (bundle_id glob 'bundle-*');
alter table requests add column bundle_name text check ((bundle_id is null) = (bundle_name is null));
alter table requests add column recurrence text check (json_valid(recurrence));
alter table requests add column risk text check (json_valid(risk));
alter table requests add column step integer not null default 0 check (step >= 0);
alter table requests add column step_since integer not null default 0;
alter table requests add column escalated_at integer;
update requests set step_since = asked_at,
  step = case when state = 'approved' and json_extract(approval, '$.kind') = 'people' then 1 else 0 end,
  approval = case json_extract(approval, '$.kind') when 'none' then approval else
    json_object('kind', 'people', 'steps', json_array(json_object(
      'people', json_extract(approval, '$.people'), 'from', json_extract(approval, '$.from'),
      'allOf', json('[]'), 'named', json('[]'), 'manager', json('false'), 'refusals', 1, 'escalate', null))) end;
create index requests_of_bundle on requests (bundle_id) where bundle_id is not null;
create index requests_to_extend on requests (extends_grant_id) where extends_grant_id is not null;
create index requests_asked_by on requests (asked_by, asked_at) where asked_by is not null;

create trigger requests_fixed before update on requests
when new.id is not old.id or new.person_id is not old.person_id or new.resource is not old.resource
  or new.role is not old.role or new.length_ms is not old.length_ms or new.reason is not old.reason
  or new.ticket is not old.ticket or new.starts_at is not old.starts_at or new.policy is not old.policy
  or new.approval is not old.approval or new.origin is not old.origin or new.asked_at is not old.asked_at
  or new.lapses_at is not old.lapses_at or new.kind is not old.kind or new.asked_by is not old.asked_by
  or new.extends_grant_id is not old.extends_grant_id or new.bundle_id is not old.bundle_id
  or new.bundle_name is not old.bundle_name or new.recurrence is not old.recurrence or new.risk is not old.risk
begin select raise(abort, 'requests: what was written stays'); end;

create trigger requests_step before update on requests
when old.state <> 'requested' or new.step < old.step
  or (new.state = 'requested' and new.step = old.step and (new.escalated_at is null or old.escalated_at is not null))
begin select raise(abort, 'curfew:REQUEST_CLOSED'); end;

-- every step that is passed has its people; every step, when it is approved
create trigger requests_enough before update of state, step on requests
when json_extract(old.approval, '$.kind') = 'people' and exists (
  select 1 from json_each(old.approval, '$.steps') as step
    where (step.key < new.step or new.state = 'approved')
      and (select count(*) from decisions
             where request_id = old.id and verdict = 'approve' and decisions.step = step.key)
        < json_extract(step.value, '$.people'))
begin select raise(abort, 'curfew:NOT_ALLOWED'); end;
`

const decisions = `
drop trigger decisions_by_others;
alter table decisions add column step integer not null default 0 check (step >= 0);
alter table decisions add column terms text check (json_valid(terms));

create trigger decisions_by_others before insert on decisions
begin
  select raise(abort, 'curfew:SELF_APPROVAL')
    from requests where id = new.request_id and (person_id = new.person_id or asked_by = new.person_id);
  select raise(abort, 'curfew:ALREADY_DECIDED')
    from decisions where request_id = new.request_id and person_id = new.person_id;
  select raise(abort, 'curfew:REQUEST_CLOSED')
    from requests where id = new.request_id and (state <> 'requested' or step <> new.step);
end;
`

const grants = `
drop trigger grants_fixed;
drop trigger grants_begin;
drop trigger grants_step;
alter table grants add column length_ms integer not null default 0;
alter table grants add column clock text not null default 'start' check (clock in ('start', 'first-use'));
alter table grants add column uses text not null default 'many' check (uses in ('many', 'once'));
alter table grants add column first_used_at integer;
alter table grants add column use_by integer;
alter table grants add column windows text check (json_valid(windows));
alter table grants add column databases text check (json_valid(databases));
alter table grants add column networks text check (json_valid(networks));
update grants set length_ms = expires_at - starts_at;
create index grants_unused on grants (use_by) where use_by is not null and first_used_at is null
  and state in ('scheduled', 'active');

create trigger grants_fixed before update on grants
when new.id is not old.id or new.request_id is not old.request_id or new.person_id is not old.person_id
  or new.resource is not old.resource or new.role is not old.role or new.policy is not old.policy
  or new.starts_at is not old.starts_at or new.clock is not old.clock or new.uses is not old.uses
  or new.use_by is not old.use_by or new.windows is not old.windows or new.databases is not old.databases
  or new.networks is not old.networks or (old.first_used_at is not null and new.first_used_at is not old.first_used_at)
begin select raise(abort, 'grants: what was written stays'); end;

-- the role that was asked for, or the one that an approver made of it; an extension gives no grant of its own
create trigger grants_begin before insert on grants
when new.state not in ('scheduled', 'active') or not exists (
  select 1 from requests where id = new.request_id and state = 'approved' and kind <> 'extension'
    and person_id = new.person_id and resource = new.resource
    and (role = new.role or exists (
      select 1 from decisions where request_id = requests.id and verdict = 'approve'
        and json_extract(terms, '$.role') = new.role)))
begin select raise(abort, 'curfew:GRANT_IN_WRONG_STATE'); end;

create trigger grants_step before update on grants
when not (
  (old.state = 'scheduled' and new.state in ('active', 'expired', 'revoked', 'ended'))
  or (old.state = 'active' and new.state in ('expired', 'revoked', 'ended'))
  or (old.state in ('scheduled', 'active') and new.state = old.state
    and (new.expires_at <> old.expires_at or new.first_used_at is not old.first_used_at)))
begin select raise(abort, 'curfew:GRANT_IN_WRONG_STATE'); end;

create trigger sessions_single before insert on sessions
when exists (select 1 from grants where id = new.grant_id and uses = 'once')
  and exists (select 1 from sessions where grant_id = new.grant_id)
begin select raise(abort, 'curfew:GRANT_IN_WRONG_STATE'); end;
`

export const workflows: string = [requests, decisions, grants].join('\n')
