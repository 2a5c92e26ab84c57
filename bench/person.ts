import type { Person } from '../src/identity/person.ts'

/** Who does everything in the benchmarks. */
export const benchPerson: Person = {
  id: 'person-bench',
  issuer: 'http://127.0.0.1:9',
  subject: 'bench',
  email: 'bench@example.com',
  name: null,
  groups: ['engineers'],
  seenAt: 0 as Person['seenAt'],
}
