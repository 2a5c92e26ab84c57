// What reports look up: requests and grants by time, sessions by grant and by role, grants by policy.
export const reports: string = `
create index requests_asked on requests (asked_at, id);
create index grants_begun on grants (starts_at, id);
create index grants_by_policy on grants (policy, starts_at);
create index sessions_of_grant_begun on sessions (grant_id, started_at);
create index sessions_as_role on sessions (resource, role, started_at);
`
