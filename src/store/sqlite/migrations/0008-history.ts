// What is looked up of a person whenever they ask for something. The types are those of access/history.ts when this was
// written; more of them take an index of their own.
export const history: string = `
create index grants_there on grants (person_id, resource, starts_at);
create index requests_denied on requests (person_id, closed_at) where state = 'denied';
create index audit_turned_away on audit (json_extract(json, '$.person'), json_extract(json, '$.at'))
  where type in ('sign-in.refused', 'token.refused', 'certificate.refused', 'session.refused', 'request.refused');
`
