// When everything that a person was known by was ended last: access tokens from before open nothing, whenever they come.
export const everythingEnded: string = `
alter table persons add column everything_ended_at integer;
`
