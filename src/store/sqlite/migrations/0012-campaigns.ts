// Access reviews: a snapshot of standing access, each entry decided once and by somebody else, or by silence at the due date.

const tables = `
create table campaigns (
  id text primary key check (id glob 'campaign-*'),
  name text not null check (trim(name) <> ''),
  started_by text not null references persons,
  started_at integer not null,
  due_at integer not null check (due_at > started_at),
  grant_ms integer not null check (grant_ms >= 0),
  token_ms integer not null check (token_ms >= 0),
  reviewers text not null check (json_array_length(reviewers) > 0),
  reminded_at integer,
  finished_at integer
) strict;
create index campaigns_running on campaigns (due_at) where finished_at is null;
create index campaigns_started on campaigns (started_at);

create table campaign_entries (
  id text primary key check (id glob 'entry-*'),
  campaign_id text not null references campaigns,
  position integer not null,
  kind text not null check (kind in ('grant', 'token', 'policy')),
  subject text not null check (subject <> ''),
  person_id text references persons,
  title text not null,
  details text not null,
  expires_at integer,
  last_used_at integer,
  state text not null check (state in ('waiting', 'confirmed', 'ended', 'silent', 'gone')),
  decided_by text references persons,
  decided_at integer,
  comment text not null,
  unique (campaign_id, position),
  unique (campaign_id, kind, subject),
  check ((kind = 'policy') = (person_id is null)),
  check ((state = 'waiting') = (decided_at is null)),
  check ((state in ('confirmed', 'ended')) = (decided_by is not null)),
  check (state <> 'confirmed' or trim(comment) <> '')
) strict;
create index campaign_entries_waiting on campaign_entries (campaign_id, position) where state = 'waiting';
`

const rules = `
create trigger campaigns_begin before insert on campaigns
when new.reminded_at is not null or new.finished_at is not null
  or exists (select 1 from persons where id = new.started_by and kind = 'machine')
begin select raise(abort, 'a campaign begins running, by a person'); end;

create trigger campaigns_step before update on campaigns
when old.finished_at is not null
  or (new.finished_at is not null
    and exists (select 1 from campaign_entries where campaign_id = old.id and state = 'waiting'))
begin select raise(abort, 'a campaign finishes once, when nothing of it waits'); end;

create trigger campaigns_fixed before update on campaigns
when new.id is not old.id or new.name is not old.name or new.started_by is not old.started_by
  or new.started_at is not old.started_at or new.due_at is not old.due_at or new.grant_ms is not old.grant_ms
  or new.token_ms is not old.token_ms or new.reviewers is not old.reviewers
begin select raise(abort, 'campaigns: what was written stays'); end;

create trigger campaign_entries_begin before insert on campaign_entries
when new.state <> 'waiting' or (select finished_at from campaigns where id = new.campaign_id) is not null
begin select raise(abort, 'an entry begins by waiting'); end;

-- a word before the due date, silence from then on
create trigger campaign_entries_step before update on campaign_entries
begin
  select raise(abort, 'curfew:REVIEW_CLOSED') where old.state <> 'waiting';
  select raise(abort, 'an entry is decided once') where new.state = 'waiting';
  select raise(abort, 'curfew:REVIEW_CLOSED')
    from campaigns where id = old.campaign_id and new.decided_by is not null and new.decided_at >= due_at;
  select raise(abort, 'silence speaks at the due date')
    from campaigns where id = old.campaign_id and new.state = 'silent' and new.decided_at < due_at;
end;

-- nobody decides on their own, nor by a second account with the same address
create trigger campaign_entries_by_others before update of decided_by on campaign_entries
when new.decided_by is not null
begin
  select raise(abort, 'curfew:SELF_APPROVAL')
    from persons as holder, persons as reviewer
    where holder.id = old.person_id and reviewer.id = new.decided_by
      and (holder.id = reviewer.id or lower(holder.email) = lower(reviewer.email));
  select raise(abort, 'campaign_entries: a machine reviews nothing')
    from persons where id = new.decided_by and kind = 'machine';
end;

create trigger campaign_entries_fixed before update on campaign_entries
when new.id is not old.id or new.campaign_id is not old.campaign_id or new.position is not old.position
  or new.kind is not old.kind or new.subject is not old.subject or new.person_id is not old.person_id
  or new.title is not old.title or new.details is not old.details or new.expires_at is not old.expires_at
  or new.last_used_at is not old.last_used_at
begin select raise(abort, 'campaign_entries: what was written stays'); end;

create trigger campaigns_kept before delete on campaigns
begin select raise(abort, 'campaigns: nothing is ever deleted'); end;
create trigger campaign_entries_kept before delete on campaign_entries
begin select raise(abort, 'campaign_entries: nothing is ever deleted'); end;
create trigger campaigns_once before insert on campaigns when exists (select 1 from campaigns where id = new.id)
begin select raise(abort, 'campaigns: it is there already'); end;
create trigger campaign_entries_once before insert on campaign_entries
when exists (select 1 from campaign_entries where id = new.id
  or (campaign_id = new.campaign_id and (position = new.position or (kind = new.kind and subject = new.subject))))
begin select raise(abort, 'campaign_entries: it is there already'); end;
`

export const campaigns: string = [tables, rules].join('\n')
