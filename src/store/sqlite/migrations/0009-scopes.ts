// What each token may be used for. Those that are there keep what they could do: the CLI's own sessions everything, the others
// open sessions and nothing else. And what an export of evidence looks up.
export const scopes: string = `
alter table tokens add column scopes text not null default 'all' check (scopes <> '');
update tokens set scopes = 'sessions' where kind = 'access';

create trigger tokens_scopes_fixed before update on tokens when new.scopes is not old.scopes
begin select raise(abort, 'tokens: what was written stays'); end;

create index sessions_under on sessions (grant_id, started_at, id);
create index checkpoints_at on checkpoints (sequence);
`
