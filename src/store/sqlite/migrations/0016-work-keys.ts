// What programs did under a key of theirs: locks and campaigns. Requests have request_keys.
export const workKeys: string = `
create table work_keys (
  person_id text not null references persons,
  key text not null check (key <> ''),
  kind text not null check (kind in ('lock', 'campaign')),
  subject text not null,
  wish text not null,
  at integer not null,
  primary key (person_id, key)
) strict;
create index work_keys_age on work_keys (at);
`
