import type { OidcPerson } from './oidc-provider.ts'

/** One for each kind of person. A click signs in: everything here listens on loopback only. */
export const people = [
  { kind: 'engineer', subject: 'alice', name: 'Alice Chen', email: 'alice@shop.example', groups: ['engineering'] },
  { kind: 'approver', subject: 'bob', name: 'Bob Ortiz', email: 'bob@shop.example', groups: ['approvers'] },
  { kind: 'reviewer', subject: 'sam', name: 'Sam Okoye', email: 'sam@shop.example', groups: ['security'] },
  { kind: 'operator', subject: 'olga', name: 'Olga Novak', email: 'olga@shop.example', groups: ['operations'] },
] as const satisfies readonly (OidcPerson & { readonly kind: string })[]
