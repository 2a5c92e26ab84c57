import type { JSONWebKeySet } from 'jose'
import type { Person } from './person.ts'
import type { Session } from '../sessions/session.ts'

/**
 * Signed statements to applications about who somebody is: a JWT (RFC 7519), ES256, with a key of its own, so that it can
 * never pass for anything else that the gateway signs. `iss`: the gateway's public URL; `aud`: the resource's name; `sub`: the
 * person's id; `email`, `name`, `groups`, `role`, `sid` (session), `grant`; valid for `lengthMs`, never beyond the grant. More
 * than 4 KiB of groups are left out, and `groupsLeftOut` says how many they are.
 */
export interface Assertions {
  /** Signed at most every `lengthMs / 2` for one session and role, unless the person changed; in between the same text is given. */
  of(session: Session, person: Person, endsAt: number): string | Promise<string>
  forget(session: Session): void
  /** For verifiers: published at `/.well-known/curfew/identity-keys.json`. */
  publicKeys(): JSONWebKeySet
}
