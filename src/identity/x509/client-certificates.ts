import { createHash, createPublicKey, X509Certificate, type KeyObject } from 'node:crypto'
import { auditEvent, theGateway } from '../../audit/event.ts'
import { Fault } from '../../kernel/fault.ts'
import type { TokenId } from '../../kernel/ids.ts'
import type { Instant } from '../../kernel/time.ts'
import { isoTime, later, timeForPeople } from '../../kernel/time.ts'
import { plainAddress } from '../address.ts'
import { tokenProblem } from '../certifying-token.ts'
import type { IdentityDeps } from '../deps.ts'
import { actorOf } from '../endings.ts'
import { FailureLimit } from '../failure-limit.ts'
import type { ClientCertificates } from '../identity.ts'
import { isOfKind } from '../key-file.ts'
import { displayName } from '../person.ts'
import type { Person } from '../person.ts'
import type { Token } from '../store.ts'
import { noteUse } from '../tokens.ts'
import type { ClientAuthority } from './authority.ts'
import { clientAuthentication, signX509 } from './certificate.ts'

/** A certificate holds at most this long, however long its token does. */
export const clientCertificateMsMax: number = 12 * 3_600_000
/** Nodes' clocks differ a little. */
const earlierMs = 60_000
/** Each leaves an event in the audit log. */
const madePerMinuteMax = 30
const refusalsRecordedPerMinuteMax = 10
const serialBytes = 16
const format = 'x509'

export function createClientCertificates(deps: IdentityDeps): ClientCertificates {
  const { store, clock, random, metrics, clientAuthority: authority } = deps
  const made = new FailureLimit(clock, madePerMinuteMax, 60_000)
  const refusals = new FailureLimit(clock, refusalsRecordedPerMinuteMax, 60_000)

  return {
    authority: authority.certificate.toString(),

    async issue({ person, token }, publicKey) {
      const key = readKey(publicKey)
      const at = clock.now()
      const live = await store.token(token.id)
      if (live?.person !== person.id || tokenProblem(live, person, at) !== null) {
        throw new Fault('TOKEN_REFUSED', 'The token has ended')
      }
      if (!made.count(person.id)) throw new Fault('RATE_LIMITED', `${madePerMinuteMax} certificates in a minute`)
      const { certificate, expiresAt } = make(key, person, live, at)
      const data = { token: live.id, format, ...namesOf(certificate), until: isoTime(expiresAt) }
      await store.transact((tx) => tx.record(auditEvent('certificate.made', at, actorOf(person), data)))
      return { certificate: certificate.toString(), expiresAt }
    },

    async verify(certificate, from) {
      if (certificate.issuer !== authority.certificate.subject) return undefined
      const at = clock.now()
      const address = plainAddress(from.address)
      const problem = certificateProblem(certificate, authority, at)
      if (problem !== null) return refuse(problem, address, at, certificate)
      const { token, person } = await owner(certificate)
      if (token === undefined || person === undefined) return refuse('unknown', address, at, certificate)
      const tokens = tokenProblem(token, person, at)
      if (tokens !== null) return refuse(tokens, address, at, certificate, person)
      await noteUse(store, token, at)
      metrics.add('curfew_sign_ins_total', { way: 'certificate', outcome: 'ok' })
      const of = { person: person.id, personName: displayName(person), credential: token.id, browserSession: null }
      return { ...of, certificate: serialOf(certificate) }
    },
  }

  function make(publicKey: KeyObject, person: Person, token: Token, at: Instant) {
    const expiresAt = (Math.floor(Math.min(token.expiresAt, later(at, clientCertificateMsMax)) / 1000) *
      1000) as Instant
    const contents = {
      subject: { organisation: authority.name.organisation, common: displayName(person) },
      issuer: authority.name,
      publicKey,
      serial: random.bytes(serialBytes),
      validFrom: later(at, -earlierMs),
      validUntil: expiresAt,
      uri: `${uriPrefix}${person.id}/${token.id}`,
    }
    return { certificate: new X509Certificate(signX509(contents, authority.privateKey)), expiresAt }
  }

  /** Whoever signed it was this gateway: its names are to be believed. */
  async function owner({ subjectAltName = '' }: X509Certificate) {
    const [, personId, tokenId] = /^URI:curfew:(person-[\w-]+)\/(token-[\w-]+)$/.exec(subjectAltName) ?? []
    const token = tokenId === undefined ? undefined : await store.token(tokenId as TokenId)
    const isTheirs = token !== undefined && token.person === personId
    return { token, person: isTheirs ? await store.person(token.person) : undefined }
  }

  /** The client reads the same sentence for every reason but its times, which it can read itself; the audit log knows which it was. */
  async function refuse(
    reason: string,
    address: string,
    at: Instant,
    certificate: X509Certificate,
    person?: Person,
  ): Promise<never> {
    metrics.add('curfew_sign_ins_total', { way: 'certificate', outcome: 'CERTIFICATE_REFUSED' })
    if (refusals.count(address)) {
      const actor = person === undefined ? theGateway : actorOf(person)
      const data = { address, reason, format, ...namesOf(certificate) }
      await store.transact((tx) => tx.record(auditEvent('certificate.refused', at, actor, data)))
    }
    throw new Fault('CERTIFICATE_REFUSED', refusalWords(reason, certificate))
  }
}

const uriPrefix = 'curfew:'
const keyBytesMax = 512

function readKey(der: Uint8Array): KeyObject {
  const key = keyOrNot(der)
  if (key !== undefined && isOfKind(key, 'P-256')) return key
  throw new Fault('INPUT_INVALID', 'This is no public key that may be used here', {
    hint: 'Give a SubjectPublicKeyInfo of curve P-256, DER in base64.',
  })
}

function keyOrNot(der: Uint8Array): KeyObject | undefined {
  if (der.length > keyBytesMax) return undefined
  try {
    return createPublicKey({ key: Buffer.from(der), format: 'der', type: 'spki' })
  } catch {
    return undefined // not DER, or a point that lies on no curve
  }
}

/** Nothing that TLS found out counts here: it goes by its own clock, and it remembers what it found in earlier connections. */
function certificateProblem(certificate: X509Certificate, authority: ClientAuthority, at: Instant): string | null {
  if (!certificate.verify(authority.publicKey)) return 'of another authority'
  if (certificate.ca || !certificate.keyUsage?.includes(clientAuthentication)) return 'for another purpose'
  if (at < certificate.validFromDate.getTime()) return 'not valid yet'
  return at < certificate.validToDate.getTime() ? null : 'over'
}

function refusalWords(reason: string, { validFromDate, validToDate }: X509Certificate): string {
  if (reason === 'over') return `The certificate was good until ${timeForPeople(validToDate.getTime() as Instant)}`
  if (reason !== 'not valid yet') return 'The certificate was refused'
  return `The certificate is good from ${timeForPeople(validFromDate.getTime() as Instant)} on`
}

function namesOf(certificate: X509Certificate) {
  const key = createHash('sha256').update(certificate.publicKey.export({ type: 'spki', format: 'der' }))
  return { certificate: serialOf(certificate), key: `SHA256:${key.digest('base64').replace(/=+$/, '')}` }
}

/** Others may give theirs any length. */
function serialOf({ serialNumber }: X509Certificate): string {
  return serialNumber.slice(0, 2 * serialBytes).toLowerCase()
}
