// Statements that a guard asks about: each is answered once, by somebody else, or by silence.

const tables = `
create table statement_questions (
  id text primary key check (id glob 'question-*'),
  session_id text not null references sessions,
  grant_id text not null references grants,
  request_id text not null references requests,
  person_id text not null references persons,
  resource text not null,
  role text not null,
  sql text not null,
  sql_chars integer not null check (sql_chars >= 0),
  rule text,
  about text not null,
  message text,
  askers text,
  asked_at integer not null,
  lapses_at integer not null check (lapses_at > asked_at),
  state text not null check (state in ('waiting', 'approved', 'refused', 'lapsed', 'given-up')),
  decided_by text references persons,
  closed_at integer,
  comment text not null,
  check ((state = 'waiting') = (closed_at is null)),
  check ((state in ('approved', 'refused')) = (decided_by is not null))
) strict;
create index statement_questions_waiting on statement_questions (lapses_at) where state = 'waiting';
create index statement_questions_asked on statement_questions (asked_at, id);
create index statement_questions_of_request on statement_questions (request_id, asked_at);
create index statement_questions_of_session on statement_questions (session_id);
`

const rules = `
create trigger statement_questions_begin before insert on statement_questions
when new.state <> 'waiting' or exists (select 1 from sessions where id = new.session_id and ended_at is not null)
begin select raise(abort, 'a question begins by waiting, in a living session'); end;

create trigger statement_questions_step before update on statement_questions
begin
  select raise(abort, 'curfew:QUESTION_CLOSED') where old.state <> 'waiting';
  select raise(abort, 'a question is answered once') where new.state = 'waiting';
  select raise(abort, 'curfew:QUESTION_CLOSED')
    where new.state in ('approved', 'refused') and new.closed_at >= old.lapses_at;
end;

-- nobody agrees to their own, nor by a second account with the same address
create trigger statement_questions_by_others before update of decided_by on statement_questions
when new.decided_by is not null
begin
  select raise(abort, 'curfew:SELF_APPROVAL')
    from persons as asker, persons as decider
    where asker.id = old.person_id and decider.id = new.decided_by
      and (asker.id = decider.id or lower(asker.email) = lower(decider.email));
  select raise(abort, 'statement_questions: a machine agrees to nothing')
    from persons where id = new.decided_by and kind = 'machine';
end;

create trigger statement_questions_fixed before update on statement_questions
when new.id is not old.id or new.session_id is not old.session_id or new.grant_id is not old.grant_id
  or new.request_id is not old.request_id or new.person_id is not old.person_id or new.resource is not old.resource
  or new.role is not old.role or new.sql is not old.sql or new.sql_chars is not old.sql_chars
  or new.rule is not old.rule or new.about is not old.about or new.message is not old.message
  or new.askers is not old.askers or new.asked_at is not old.asked_at or new.lapses_at is not old.lapses_at
begin select raise(abort, 'statement_questions: what was written stays'); end;

create trigger statement_questions_kept before delete on statement_questions
begin select raise(abort, 'statement_questions: nothing is ever deleted'); end;
create trigger statement_questions_once before insert on statement_questions
when exists (select 1 from statement_questions where id = new.id)
begin select raise(abort, 'statement_questions: it is there already'); end;
`

export const statementQuestions: string = [tables, rules].join('\n')
