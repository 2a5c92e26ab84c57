// Each emergency has a review, which is open from the start and closed once, by somebody else. Nothing of it is deleted.

const table = `
create table reviews (
  id text primary key check (id glob 'review-*'),
  request_id text not null unique references requests,
  person_id text not null references persons,
  reviewers text not null check (json_valid(reviewers)),
  opened_at integer not null,
  reminders integer not null check (reminders >= 0),
  remind_at integer not null check (remind_at > opened_at),
  verdict text check (verdict in ('justified', 'not-justified')),
  comment text check (trim(comment) <> ''),
  closed_by text references persons,
  closed_at integer check (closed_at >= opened_at),
  check ((verdict is null) = (closed_at is null)),
  check ((comment is null) = (closed_at is null)),
  check ((closed_by is null) = (closed_at is null))
) strict;
create index reviews_open on reviews (opened_at) where closed_at is null;
create index reviews_closed on reviews (closed_at) where closed_at is not null;
`

const reviews = `
create trigger reviews_begin before insert on reviews
when new.closed_at is not null or new.reminders <> 0 or not exists (
  select 1 from requests where id = new.request_id and kind = 'break-glass' and person_id = new.person_id)
begin select raise(abort, 'a review begins open, with its emergency'); end;

create trigger reviews_step before update on reviews
begin
  select raise(abort, 'curfew:REVIEW_CLOSED') where old.closed_at is not null;
  select raise(abort, 'reviews: reminders are counted') where new.reminders < old.reminders;
end;

-- nobody closes their own, nor by a second account with the same address
create trigger reviews_by_others before update of closed_by on reviews when new.closed_by is not null
begin
  select raise(abort, 'curfew:SELF_APPROVAL')
    from requests
      join persons as asker on asker.id in (requests.person_id, requests.asked_by)
      join persons as reviewer on reviewer.id = new.closed_by
    where requests.id = old.request_id
      and (asker.id = reviewer.id or lower(asker.email) = lower(reviewer.email));
  select raise(abort, 'reviews: a machine reviews nothing')
    from persons where id = new.closed_by and kind = 'machine';
end;

create trigger reviews_fixed before update on reviews
when new.id is not old.id or new.request_id is not old.request_id or new.person_id is not old.person_id
  or new.reviewers is not old.reviewers or new.opened_at is not old.opened_at
begin select raise(abort, 'reviews: what was written stays'); end;

create trigger reviews_kept before delete on reviews
begin select raise(abort, 'reviews: nothing is ever deleted'); end;

create trigger reviews_once before insert on reviews
when exists (select 1 from reviews where id = new.id or request_id = new.request_id)
begin select raise(abort, 'reviews: it is there already'); end;
`

const emergencies = `
create trigger requests_emergency before insert on requests
when new.kind = 'break-glass' and (trim(new.reason) = '' or new.starts_at is not null
  or json_extract(new.approval, '$.kind') <> 'none')
begin select raise(abort, 'requests: an emergency has a reason, and waits for nothing'); end;

create trigger grants_reviewed before insert on grants
when exists (select 1 from requests where id = new.request_id and kind = 'break-glass')
  and not exists (select 1 from reviews where request_id = new.request_id)
begin select raise(abort, 'grants: an emergency has a review'); end;

-- whoever needs longer asks in the usual way
create trigger grants_emergency_is_short before update of expires_at on grants
when new.expires_at > old.expires_at
  and exists (select 1 from requests where id = old.request_id and kind = 'break-glass')
begin select raise(abort, 'curfew:GRANT_IN_WRONG_STATE'); end;

create trigger requests_extend_no_emergency before insert on requests
when new.extends_grant_id is not null and exists (
  select 1 from grants join requests as given on given.id = grants.request_id
    where grants.id = new.extends_grant_id and given.kind = 'break-glass')
begin select raise(abort, 'curfew:GRANT_IN_WRONG_STATE'); end;
`

export const reviewsOfEmergencies: string = [table, reviews, emergencies].join('\n')
