// What people outside are told: how far the change feed was looked at, the notices, and one message for each recipient.
// Nothing happened, for those who are told, before somebody is told for the first time.

const tables = `
create table notify_position (
  one integer primary key check (one = 1),
  change integer not null check (change >= 0),
  telling integer not null check (telling in (0, 1))
) strict;
insert into notify_position values (1, 0, 0);

create table notices (
  id text primary key check (id glob 'notice-*'),
  type text not null,
  at integer not null,
  subject text not null check (subject <> ''),
  data text not null check (json_valid(data))
) strict;
create index notices_about on notices (subject);

create table messages (
  id text primary key check (id glob 'message-*'),
  notice_id text not null references notices,
  channel text not null check (channel in ('mail', 'slack', 'webhook')),
  recipient text not null check (recipient <> ''),
  audience text not null check (audience in ('deciders', 'requester', 'security', 'subscriber', 'operator')),
  state text not null check (state in ('waiting', 'sent', 'given-up', 'dropped')),
  ready_at integer not null,
  due_at integer not null check (due_at >= ready_at),
  attempts integer not null check (attempts >= 0),
  problem text,
  settled_at integer,
  reference text,
  unique (notice_id, channel, recipient),
  check ((state = 'waiting') = (settled_at is null))
) strict;
create index messages_due on messages (channel, due_at) where state = 'waiting';
create index messages_settled on messages (settled_at) where settled_at is not null;

create table switched_off_receivers (
  recipient text primary key,
  place text not null,
  at integer not null
) strict;
`

const rules = `
create trigger messages_begin before insert on messages
when new.state <> 'waiting' or new.attempts <> 0 or new.reference is not null
begin select raise(abort, 'a message begins by waiting'); end;

create trigger messages_step before update on messages
when old.state <> 'waiting' or new.attempts < old.attempts
begin select raise(abort, 'a message is settled once'); end;

create trigger messages_fixed before update on messages
when new.id is not old.id or new.notice_id is not old.notice_id or new.channel is not old.channel
  or new.recipient is not old.recipient or new.audience is not old.audience or new.ready_at is not old.ready_at
begin select raise(abort, 'messages: what was written stays'); end;

create trigger notices_written before update on notices
begin select raise(abort, 'notices: what was written stays'); end;

create trigger notify_position_grows before update on notify_position
when new.change < old.change
begin select raise(abort, 'the change feed is looked at once'); end;
`

export const notify: string = [tables, rules].join('\n')
