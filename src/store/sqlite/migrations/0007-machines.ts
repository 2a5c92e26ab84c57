// Machines beside people: what they are, what made their tokens, and what they never do, whoever writes to the file.
export const machines: string = `
alter table persons add column kind text not null default 'person'
  check (kind in ('person', 'machine') and (kind = 'machine') = (issuer = 'urn:curfew:machine')
    and (kind = 'person' or email is null));

create trigger persons_kind_fixed before update on persons when new.kind is not old.kind
begin select raise(abort, 'persons: what was written stays'); end;

create table machine_tokens (
  token_id text primary key references tokens,
  issuer text not null,
  subject text not null,
  definition text not null
) strict;

create trigger machine_tokens_of_machines before insert on machine_tokens
when not exists (select 1 from tokens join persons on persons.id = tokens.person_id
  where tokens.id = new.token_id and persons.kind = 'machine')
begin select raise(abort, 'machine_tokens: it is a person''s'); end;

create trigger machine_tokens_written before update on machine_tokens
begin select raise(abort, 'machine_tokens: what was written stays'); end;

create index tokens_living on tokens (person_id, expires_at) where ended_at is null;

create trigger browser_sessions_of_people before insert on browser_sessions
when exists (select 1 from persons where id = new.person_id and kind = 'machine')
begin select raise(abort, 'browser_sessions: a machine has no browser'); end;

create trigger decisions_by_people before insert on decisions
when exists (select 1 from persons where id = new.person_id and kind = 'machine')
begin select raise(abort, 'decisions: a machine decides nothing'); end;

create trigger locks_by_people before insert on locks
when exists (select 1 from persons where id = new.placed_by and kind = 'machine')
begin select raise(abort, 'locks: a machine places none'); end;
`
