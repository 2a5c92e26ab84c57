import { auditEvent, theGateway } from '../../audit/event.ts'
import { Fault } from '../../kernel/fault.ts'
import type { TokenId } from '../../kernel/ids.ts'
import type { Instant } from '../../kernel/time.ts'
import { isoTime, later } from '../../kernel/time.ts'
import { isIn, networksOf, readNetwork } from '../../policy/networks.ts'
import { plainAddress } from '../address.ts'
import type { IdentityDeps } from '../deps.ts'
import { tokenProblem } from '../certifying-token.ts'
import { actorOf } from '../endings.ts'
import { FailureLimit } from '../failure-limit.ts'
import type { SshIdentity } from '../identity.ts'
import { displayName } from '../person.ts'
import type { Person } from '../person.ts'
import type { Remembered } from '../remembered.ts'
import type { Token } from '../store.ts'
import { noteUse } from '../tokens.ts'
import { certificateSignedBy, readCertificate, signCertificate } from './certificate.ts'
import type { SshCertificate } from './certificate.ts'
import { fingerprintOf, readPublicLine } from './public-key.ts'
import type { SshPublicKey } from './public-key.ts'
import { SshWireError } from './wire.ts'

/** A certificate holds at most this long, however long its token does. */
export const sshCertificateMsMax: number = 12 * 3_600_000
/** Nodes' clocks differ a little. */
const earlierSeconds = 60
const lineLengthMax = 16 * 1024
/** Each leaves an event in the audit log. */
const madePerMinuteMax = 30
const refusalsRecordedPerMinuteMax = 10
/** What OpenSSH's clients and servers expect of a login without limits; the gateway itself goes by roles. */
const extensions = { 'permit-agent-forwarding': '', 'permit-port-forwarding': '', 'permit-pty': '' }

export function createSshIdentity(deps: IdentityDeps, remembered: Remembered): SshIdentity {
  const { store, clock, random, metrics, sshPeopleAuthority: authority } = deps
  const made = new FailureLimit(clock, madePerMinuteMax, 60_000)
  const refusals = new FailureLimit(clock, refusalsRecordedPerMinuteMax, 60_000)

  return {
    recogniseKey: (fingerprint) => remembered.recognise('ssh-key', fingerprint),

    async issueCertificate({ person, token }, publicKey) {
      const key = readKey(publicKey)
      const at = clock.now()
      const live = await store.token(token.id)
      if (live?.person !== person.id || tokenProblem(live, person, at) !== null) {
        throw new Fault('TOKEN_REFUSED', 'The token has ended')
      }
      if (!made.count(person.id)) throw new Fault('RATE_LIMITED', `${madePerMinuteMax} certificates in a minute`)
      const { certificate, expiresAt } = make(key, person, live, at)
      const data = { token: live.id, key: fingerprintOf(key.blob), until: isoTime(expiresAt) }
      await store.transact((tx) => tx.record(auditEvent('certificate.made', at, actorOf(person), data)))
      return { certificate, expiresAt }
    },

    async verifyCertificate(blob, from) {
      const at = clock.now()
      const address = plainAddress(from.address)
      const certificate = readOrNot(blob)
      if (certificate === undefined) return refuse('unreadable', address, at)
      const problem = certificateProblem(certificate, authority.publicBlob, address, at)
      if (problem !== null) return refuse(problem, address, at, certificate)
      const { token, person } = await owner(certificate)
      if (token === undefined || person === undefined) return refuse('unknown', address, at, certificate)
      const tokens = tokenProblem(token, person, at)
      if (tokens !== null) return refuse(tokens, address, at, certificate, person)
      await noteUse(store, token, at)
      metrics.add('curfew_sign_ins_total', { way: 'certificate', outcome: 'ok' })
      return { person: person.id, personName: displayName(person), credential: token.id, browserSession: null }
    },
  }

  function make(key: SshPublicKey, person: Person, token: Token, at: Instant) {
    const validBefore = Math.floor(Math.min(token.expiresAt, later(at, sshCertificateMsMax)) / 1000)
    const contents = {
      type: 'user',
      publicBlob: key.blob,
      serial: Buffer.from(random.bytes(8)).readBigUInt64BE(),
      keyId: `${keyIdPrefix}${token.id}`,
      principals: [principalOf(person)],
      validAfter: Math.floor(at / 1000) - earlierSeconds,
      validBefore,
      criticalOptions: {},
      extensions,
      nonce: random.bytes(32),
    } as const
    const blob = signCertificate(contents, authority)
    const certificate = `${readCertificate(blob).format} ${blob.toString('base64')} ${contents.keyId}`
    return { certificate, expiresAt: (validBefore * 1000) as Instant }
  }

  /** Whoever signed it was this gateway: the key id is to be believed. The principal says the same once more. */
  async function owner({ keyId, principals }: SshCertificate) {
    const token = keyId.startsWith(keyIdPrefix)
      ? await store.token(keyId.slice(keyIdPrefix.length) as TokenId)
      : undefined
    const person = token === undefined ? undefined : await store.person(token.person)
    return { token, person: person !== undefined && principals.includes(principalOf(person)) ? person : undefined }
  }

  /**
   * The client reads the same sentence for every reason; the audit log knows which it was. Nobody is slowed down:
   * agents offer certificates of other authorities all day, and a signature cannot be guessed.
   */
  async function refuse(
    reason: string,
    address: string,
    at: Instant,
    certificate?: SshCertificate,
    person?: Person,
  ): Promise<never> {
    metrics.add('curfew_sign_ins_total', { way: 'certificate', outcome: 'CERTIFICATE_REFUSED' })
    if (refusals.count(address)) {
      const actor = person === undefined ? theGateway : actorOf(person)
      const event = auditEvent('certificate.refused', at, actor, { address, reason, ...namesOf(certificate) })
      await store.transact((tx) => tx.record(event))
    }
    throw new Fault('CERTIFICATE_REFUSED', 'The certificate was refused')
  }
}

const keyIdPrefix = 'curfew '
const shownLengthMax = 80

/** No name that a machine could have as a login, in case somebody lets a machine trust this authority. */
function principalOf(person: Person): string {
  return `curfew-${person.id}`
}

function readKey(publicKey: string): SshPublicKey {
  try {
    if (publicKey.length > lineLengthMax) throw new SshWireError('a line that is too long')
    return readPublicLine(publicKey).key
  } catch (cause) {
    if (!(cause instanceof SshWireError)) throw cause
    throw new Fault('INPUT_INVALID', 'This is no public key that may be used here', {
      cause,
      hint: 'Give the line of a .pub file: Ed25519, ECDSA, or RSA of 2048 bits or more.',
    })
  }
}

function readOrNot(blob: Uint8Array): SshCertificate | undefined {
  try {
    return readCertificate(blob)
  } catch (error) {
    if (error instanceof SshWireError) return undefined
    throw error
  }
}

function certificateProblem(
  certificate: SshCertificate,
  authorityBlob: Uint8Array,
  address: string,
  at: Instant,
): string | null {
  if (!certificateSignedBy(certificate, authorityBlob)) return 'of another authority'
  if (certificate.type !== 'user') return 'for a host'
  if (at < certificate.validAfter * 1000) return 'not valid yet'
  if (at >= certificate.validBefore * 1000) return 'over'
  const unknown = Object.keys(certificate.criticalOptions).find((name) => name !== 'source-address')
  if (unknown !== undefined) return 'with a critical option that is not known'
  const addresses = certificate.criticalOptions['source-address']
  return addresses === undefined || isAmong(address, addresses) ? null : 'for other addresses'
}

/** `10.0.0.0/8,2001:db8::1`: what cannot be read matches nothing. */
function isAmong(address: string, ranges: string): boolean {
  return isIn(networksOf(ranges.split(',').filter((range) => readNetwork(range) !== undefined)), address)
}

/** Others' certificates say what they like: cut, and without control characters. */
function namesOf(certificate: SshCertificate | undefined) {
  if (certificate === undefined) return {}
  return {
    certificate: certificate.keyId.replace(/\p{C}/gu, ' ').slice(0, shownLengthMax),
    key: fingerprintOf(certificate.publicBlob),
    authority: fingerprintOf(certificate.authorityBlob),
  }
}
