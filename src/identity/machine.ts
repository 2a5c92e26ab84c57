import { createHash } from 'node:crypto'
import type { JSONWebKeySet } from 'jose'
import type { PersonId } from '../kernel/ids.ts'
import { globPattern } from '../policy/glob.ts'

/** Somebody outside who says which machine is which, by signed tokens: a CI service, a cluster. */
export interface MachineIssuer {
  /** As the configuration calls it. */
  readonly name: string
  /** The claim `iss` of its tokens, as it is written there. */
  readonly issuer: string
  /** What the claim `aud` must hold: tokens for anybody else are refused. */
  readonly audience: string
  /** Where its public keys are: known already, at an address, or (null) where its own metadata says. */
  readonly keys: JSONWebKeySet | URL | null
  /** Signature algorithms; asymmetric ones only. */
  readonly algorithms: readonly string[]
  /** PEM of the authorities to trust for it; null means the system's. */
  readonly ca: string | null
}

/** A machine that may come with a token of one of those issuers. */
export interface Machine {
  readonly name: string
  readonly issuer: MachineIssuer
  /** Claims that its tokens must have, all of them; of each any one value. `*` stands for any characters. */
  readonly claims: Readonly<Record<string, readonly string[]>>
  readonly groups: readonly string[]
  readonly tokenMs: number
  /** Groups whose people may ask for access on its behalf. */
  readonly askedForBy: readonly string[]
}

export interface MachineSettings {
  readonly issuers: readonly MachineIssuer[]
  readonly machines: readonly Machine[]
}

/** The issuer of every machine in the state: no identity provider has such a name, so no person ever comes as one. */
export const machineIssuer = 'urn:curfew:machine'

const idCharsMax = 16
const idAlphabet = 'abcdefghijklmnopqrstuvwxyz234567'

/** The same for a name at all times and on every node, so that a machine is known before it first comes. */
export function machineId(name: string): PersonId {
  const digest = createHash('sha256').update(`machine ${name}`).digest()
  return `person-${[...digest.subarray(0, idCharsMax)].map((byte) => idAlphabet[byte % 32]).join('')}`
}

/** Changes when other tokens than before would be taken for this machine. */
export function definitionOf({ name, issuer, claims }: Machine): string {
  const keys = issuer.keys instanceof URL ? issuer.keys.href : issuer.keys
  const conditions = Object.keys(claims)
    .toSorted()
    .map((claim) => [claim, claims[claim]])
  const parts = [name, issuer.issuer, issuer.audience, issuer.algorithms, keys, conditions]
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url')
}

const claimCharsMax = 1024
const claimValuesMax = 1000

/** Whether these claims make it that machine. A claim that is neither text, number, truth value nor a list of them is none. */
export function isMachine({ claims: wanted }: Machine, claims: Readonly<Record<string, unknown>>): boolean {
  const conditions = Object.entries(wanted)
  return conditions.length > 0 && conditions.every(([name, patterns]) => hasValue(valuesOf(claims, name), patterns))
}

function hasValue(values: readonly string[], patterns: readonly string[]): boolean {
  return patterns.some((pattern) => values.some((value) => globPattern(pattern).test(value)))
}

/** In words, as conditions and the audit log have them. */
export function valuesOf(claims: Readonly<Record<string, unknown>>, name: string): readonly string[] {
  if (!Object.hasOwn(claims, name)) return []
  const value = claims[name]
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  if (list.length > claimValuesMax) return []
  return list.flatMap((one) => {
    const text = typeof one === 'number' || typeof one === 'boolean' ? String(one) : one
    return typeof text === 'string' && text.length <= claimCharsMax ? [text] : []
  })
}
