import type { PersonId } from '../kernel/ids.ts'
import type { Instant } from '../kernel/time.ts'

/** Machines come with tokens of trusted issuers, never by a browser, and decide nothing. */
export type PersonKind = 'person' | 'machine'

/** Somebody whom the identity provider vouches for, or a machine of the configuration: then `name` is its name there. `issuer` and `subject` together never change hands. */
export interface Person {
  readonly id: PersonId
  readonly issuer: string
  readonly subject: string
  /** For people to read; not an identity. Null when the provider gives none. */
  readonly email: string | null
  readonly name: string | null
  readonly groups: readonly string[]
  /** What policies ask about beyond groups, each as a list: empty when the provider does not say. Absent: nothing was asked. */
  readonly claims?: Readonly<Record<string, readonly string[]>>
  readonly seenAt: Instant
  /** Absent: a person. */
  readonly kind?: PersonKind
}

/** How a person is written on pages, in notices and in the audit log. */
export function displayName(person: Pick<Person, 'email' | 'name' | 'subject'>): string {
  return person.email ?? person.name ?? person.subject
}

export function isMachinePerson({ kind }: Pick<Person, 'kind'>): boolean {
  return kind === 'machine'
}
