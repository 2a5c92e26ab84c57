import { Fault } from '../kernel/fault.ts'
import type { Person } from './person.ts'

const groupsMax = 1000
const textLengthMax = 256

/** What the provider says about somebody. */
export type Profile = Pick<Person, 'email' | 'name' | 'groups'>
type Claims = Readonly<Record<string, unknown>>

/** Whether the ID token leaves out something that the userinfo endpoint may know. */
export function needsUserInfo(claims: Claims, groupsClaim: string): boolean {
  return claims['email'] === undefined || claims[groupsClaim] === undefined
}

/** @throws Fault SIGN_IN_FAILED when the groups are not a list of names. */
export function profileOf(claims: Claims, groupsClaim: string): Profile {
  // An address that nobody verified would let people pose as others before an approver.
  const verified = claims['email_verified'] !== false && claims['email_verified'] !== 'false'
  return {
    email: verified ? shortText(claims['email']) : null,
    name: shortText(claims['name']) ?? shortText(claims['preferred_username']),
    groups: groupsOf(claims[groupsClaim], groupsClaim),
  }
}

/** The same groups, in whatever order. */
export function sameGroups(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((group) => right.includes(group))
}

function shortText(value: unknown): string | null {
  if (typeof value !== 'string') return null
  const text = value.replace(/\p{Cc}/gu, ' ').trim()
  return text === '' ? null : text.slice(0, textLengthMax)
}

function groupsOf(value: unknown, claim: string): readonly string[] {
  const list: unknown = typeof value === 'string' ? [value] : (value ?? [])
  if (!Array.isArray(list) || list.length > groupsMax || !list.every(isGroup)) {
    throw new Fault('SIGN_IN_FAILED', `The claim "${claim}" is not a list of at most ${groupsMax} names`)
  }
  return [...new Set<string>(list)].sort()
}

function isGroup(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= textLengthMax
}
