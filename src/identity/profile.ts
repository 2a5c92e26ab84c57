import { Fault } from '../kernel/fault.ts'
import type { Person } from './person.ts'

const groupsMax = 1000
/** Control and format characters, and white space but the usual one. */
const unseen = /[\p{C}\p{Zl}\p{Zp}]|[^\S ]/u
const textLengthMax = 256

/** What the provider says about somebody. */
export type Profile = Pick<Person, 'email' | 'name' | 'groups' | 'claims'>
type Claims = Readonly<Record<string, unknown>>

/** Whether the ID token leaves out something that the userinfo endpoint may know. */
export function needsUserInfo(claims: Claims, groupsClaim: string, kept: readonly string[] = []): boolean {
  return ['email', 'email_verified', groupsClaim, ...kept].some((claim) => claims[claim] === undefined)
}

/**
 * @param kept names of the claims that policies ask about.
 * @throws Fault SIGN_IN_FAILED when the groups, or one of those claims, are not a list of names: a policy that denies
 *   must not miss somebody for it.
 */
export function profileOf(claims: Claims, groupsClaim: string, kept: readonly string[] = []): Profile {
  // An address that nobody verified would let people pose as others before an approver.
  const { email_verified: said } = claims
  const verified = said === undefined || said === true || said === 'true'
  return {
    email: verified ? addressText(claims['email']) : null,
    name: shortText(claims['name']) ?? shortText(claims['preferred_username']),
    groups: namesOf(claims[groupsClaim], groupsClaim),
    ...(kept.length > 0 && {
      claims: Object.fromEntries(kept.map((claim) => [claim, namesOf(inWords(claims[claim]), claim)])),
    }),
  }
}

/** Whether policies must be asked again. */
export function sameForPolicies(left: Profile, right: Profile): boolean {
  return (
    left.email === right.email &&
    left.name === right.name &&
    sameGroups(left.groups, right.groups) &&
    sameClaims(left, right)
  )
}

function sameClaims({ claims: left = {} }: Profile, { claims: right = {} }: Profile): boolean {
  return (
    sameGroups(Object.keys(left), Object.keys(right)) &&
    Object.entries(left).every(([claim, values]) => sameGroups(values, right[claim] ?? []))
  )
}

/** The same groups, in whatever order. */
export function sameGroups(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((group) => right.includes(group))
}

/** Without overrides of direction: people may choose their names, and an approver must not read something else than is there. */
function shortText(value: unknown): string | null {
  if (typeof value !== 'string') return null
  const text = value.replace(/[\p{Cc}\p{Cs}\u202a-\u202e\u2066-\u2069]/gu, ' ').trim()
  return text === '' ? null : text.slice(0, textLengthMax)
}

/** Rules name people by it: with what nobody sees taken out, it would be somebody else's. */
function addressText(value: unknown): string | null {
  return typeof value === 'string' && unseen.test(value) ? null : shortText(value)
}

function namesOf(value: unknown, claim: string): readonly string[] {
  const list: unknown = typeof value === 'string' ? [value] : (value ?? [])
  if (!Array.isArray(list) || list.length > groupsMax || !list.every(isName)) {
    throw new Fault('SIGN_IN_FAILED', `The claim "${claim}" is not a list of at most ${groupsMax} names`)
  }
  return [...new Set<string>(list)].sort()
}

/** Numbers and truth values, alone or in lists, are written as in JSON. */
function inWords(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inWords)
  return typeof value === 'number' || typeof value === 'boolean' ? JSON.stringify(value) : value
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= textLengthMax
}
