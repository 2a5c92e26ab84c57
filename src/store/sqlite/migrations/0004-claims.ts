// What the provider says of people beyond their groups, as far as policies ask: {"department":["engineering"]}.
export const claims: string = `
alter table persons add column claims text not null default '{}' check (json_valid(claims));
`
