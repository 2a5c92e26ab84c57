import { SignJWT } from 'jose'
import type { SessionId } from '../kernel/ids.ts'
import type { Clock } from '../kernel/time.ts'
import type { Session } from '../sessions/session.ts'
import type { AssertionKeys } from './assertion-keys.ts'
import type { Assertions } from './assertion.ts'
import type { Person } from './person.ts'
import { sameGroups } from './profile.ts'

/** As JSON. Many servers take no header line above 8 KiB. */
const groupsCharsMax = 4096

export interface AssertionDeps {
  readonly keys: AssertionKeys
  /** The gateway's public URL. */
  readonly issuer: string
  readonly clock: Clock
  readonly lengthMs: number
}

interface Made {
  readonly role: string
  readonly person: Person
  /** All on the wall clock, in milliseconds; before `madeAt` (it was set back) and from `renewAt` on another one is made. */
  readonly madeAt: number
  readonly expiresAt: number
  readonly renewAt: number
  text: string | Promise<string>
}

export function createAssertions({ keys, issuer, clock, lengthMs }: AssertionDeps): Assertions {
  /** What was made first comes first. */
  const made = new Map<SessionId, Made>()

  return {
    of(session, person, endsAt) {
      const known = made.get(session.id)
      const now = clock.now()
      const isFresh = known !== undefined && known.madeAt <= now && now < known.renewAt
      if (isFresh && holds(known, session, person, endsAt)) return known.text
      return make(session, person, now, endsAt)
    },
    forget: (session) => void made.delete(session.id),
    publicKeys: () => keys.publicKeys(),
  }

  function make(session: Session, person: Person, now: number, endsAt: number): Promise<string> {
    const expiresAt = Math.min(now + lengthMs, endsAt)
    const renewAt = Math.min(now + lengthMs / 2, expiresAt)
    const text = sign(session, person, now, expiresAt)
    const one: Made = { role: session.role, person, madeAt: now, expiresAt, renewAt, text }
    forgetOld(now)
    made.delete(session.id)
    made.set(session.id, one)
    // Who waits for it sees the failure; the next one tries again.
    text.then(
      (done) => (one.text = done),
      () => made.get(session.id) === one && made.delete(session.id),
    )
    return text
  }

  /** Of sessions that nobody said the end of. */
  function forgetOld(now: number): void {
    for (const [id, { expiresAt }] of made) {
      if (now < expiresAt) return
      made.delete(id)
    }
  }

  function sign(session: Session, person: Person, now: number, expiresAt: number): Promise<string> {
    return new SignJWT(claimsOf(session, person))
      .setProtectedHeader({ alg: 'ES256', typ: 'JWT', kid: keys.kid })
      .setIssuer(issuer)
      .setAudience(session.resource)
      .setSubject(person.id)
      .setIssuedAt(seconds(now))
      .setExpirationTime(seconds(expiresAt))
      .sign(keys.privateKey)
  }
}

/** What the provider does not say is left out; of groups all or none, so that nobody decides by half of them. */
function claimsOf({ id, grant, role }: Session, { email, name, groups }: Person) {
  const short = JSON.stringify(groups).length <= groupsCharsMax
  const known = { ...(email !== null && { email }), ...(name !== null && { name }) }
  return { ...known, ...(short ? { groups } : { groupsLeftOut: groups.length }), role, sid: id, grant }
}

/** Whether it says what is true now, and ends in time. */
function holds(made: Made, session: Session, person: Person, endsAt: number): boolean {
  return made.role === session.role && made.expiresAt <= endsAt && samePerson(made.person, person)
}

function samePerson(left: Person, right: Person): boolean {
  if (left === right) return true
  const { id, email, name, groups } = right
  return left.id === id && left.email === email && left.name === name && sameGroups(left.groups, groups)
}

/** NumericDate (RFC 7519 section 2). Rounded down, so that nothing holds longer than it may. */
function seconds(at: number): number {
  return Math.floor(at / 1000)
}
