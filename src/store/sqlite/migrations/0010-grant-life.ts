// What grants with a clock of their own, and those for one session, must not allow, whoever writes.

export const grantLife: string = `
create trigger sessions_in_time before insert on sessions
when exists (select 1 from grants where id = new.grant_id and first_used_at is null
  and (clock = 'first-use' or uses = 'once' or use_by <= new.started_at))
begin select raise(abort, 'curfew:GRANT_IN_WRONG_STATE'); end;

-- used once, and in time; only then its end moves by itself
create trigger grants_first_use before update of first_used_at on grants
when old.first_used_at is null and new.first_used_at is not null
  and (old.state <> 'active' or old.use_by <= new.first_used_at or old.expires_at <= new.first_used_at
    or (old.clock = 'start' and new.expires_at <> old.expires_at))
begin select raise(abort, 'curfew:GRANT_IN_WRONG_STATE'); end;

-- an end only moves as far as what was asked for, and every extension that was approved, reach together
create trigger grants_extended before update of expires_at on grants
when new.expires_at > old.expires_at and new.state in ('scheduled', 'active') and (
  new.expires_at > case new.clock when 'start' then new.starts_at else new.first_used_at end + new.length_ms
  or new.first_used_at is null and new.clock = 'first-use'
  or new.length_ms > (select length_ms from requests where id = old.request_id)
    + (select coalesce(sum(length_ms), 0) from requests where extends_grant_id = old.id and state = 'approved'))
begin select raise(abort, 'curfew:GRANT_IN_WRONG_STATE'); end;

create index sessions_of_grant on sessions (grant_id);

create unique index requests_one_extension on requests (extends_grant_id)
  where extends_grant_id is not null and state = 'requested';

create trigger requests_extend before insert on requests
when new.kind = 'extension' and not exists (
  select 1 from grants where id = new.extends_grant_id and person_id = new.person_id
    and resource = new.resource and role = new.role and state in ('scheduled', 'active'))
begin select raise(abort, 'curfew:GRANT_IN_WRONG_STATE'); end;
`
