import type { JSONWebKeySet } from 'jose'
import { z } from 'zod'
import { verifySlice, type SliceLine, type SliceVerification } from '../audit/proof.ts'
import type { UsedKey } from '../kernel/signed.ts'
import type { ByteSource } from '../recording/source.ts'
import { compareWithLog, LogSaid } from './compare.ts'
import type { BundleManifest } from './manifest.ts'
import { BrokenBundle, openBundle, type OpenBundle } from './open-bundle.ts'
import { readLines, readPart } from './read-part.ts'
import { readFacts, type Facts } from './facts.ts'
import { verifyRecordingShown, type RecordingShown } from './verify-recording.ts'

/** What can be said about one part of a bundle. */
export interface Finding {
  readonly part: 'archive' | 'contents' | 'recordings' | 'audit log' | 'agreement'
  readonly holds: boolean
  /** A sentence for people. */
  readonly says: string
}

/** What can be said about a bundle without its gateway. */
export interface BundleVerification {
  /** Whether it is as a gateway made it, and its parts are what they should be. */
  readonly holds: boolean
  /** The key that signed it; null when nothing signed was reached. */
  readonly key: UsedKey | null
  /** Whether every signature in it is by a key that was given. */
  readonly trusted: boolean
  readonly manifest: BundleManifest | null
  readonly findings: readonly Finding[]
  readonly facts: Facts | null
  readonly audit: SliceVerification | null
  readonly recordings: readonly RecordingShown[]
}

const keySet = z.object({ keys: z.array(z.looseObject({ kty: z.string(), kid: z.string() })).max(1000) })
const hash = z.string().regex(/^[0-9a-f]{64}$/)
const sliceLine = z.union([
  z.strictObject({
    ...{ sequence: z.int().min(1), json: z.string(), previous: hash, hash },
    path: z.array(hash).max(32).nullable(),
  }),
  z.strictObject({ sequence: z.int().min(1), jws: z.string() }),
])

/**
 * Checks all of a bundle: every byte of the archive, every signature, every chain, and whether its parts tell the same.
 * @param trusted keys that somebody vouches for. Without them the bundle's own are used, which shows damage, but not who made it.
 */
export async function verifyBundle(source: ByteSource, trusted: JSONWebKeySet): Promise<BundleVerification> {
  const findings: Finding[] = []
  const state: Writable<Omit<BundleVerification, 'holds' | 'findings'>> = {
    ...{ key: null, trusted: false, manifest: null, facts: null, audit: null, recordings: [] },
  }
  try {
    const bundle = await openBundle(source, trusted)
    Object.assign(state, { key: bundle.key, manifest: bundle.manifest, trusted: bundle.key.trusted })
    findings.push(said('archive', true, `${bundle.manifest.files.length} files, each as it was signed`))
    const facts = await readFacts(bundle)
    state.facts = facts
    findings.push(said('contents', true, contentsWords(facts)))
    const keys = bundle.key.trusted ? trusted : await ownKeys(bundle)
    const log = new LogSaid()
    state.audit = await verifySlice(sliceLines(bundle), keys, (event) => log.take(event))
    state.recordings = await recordingsShown(bundle, facts, keys, log)
    if (state.recordings.some((one) => one.state === 'untrusted')) state.trusted = false
    findings.push(recordingsFinding(state.recordings, facts))
    findings.push(auditFinding(state.audit))
    findings.push(agreementFinding(compareWithLog(facts, log, bundle.manifest)))
  } catch (error) {
    if (!(error instanceof BrokenBundle)) throw error
    const where = error.part === null ? '' : `${error.part}: `
    findings.push(said(state.manifest === null ? 'archive' : 'contents', false, `${where}${error.message}`))
  }
  return { holds: findings.every(({ holds }) => holds), findings, ...state }
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] }

function said(part: Finding['part'], holds: boolean, says: string): Finding {
  return { part, holds, says }
}

async function* sliceLines(bundle: OpenBundle): AsyncGenerator<SliceLine> {
  yield* readLines(bundle, 'audit.jsonl', sliceLine)
}

/** What a bundle says of its own keys shows that its parts belong together, and no more. */
async function ownKeys(bundle: OpenBundle): Promise<JSONWebKeySet> {
  return { keys: (await readPart(bundle, 'keys.json', keySet)).keys }
}

async function recordingsShown(bundle: OpenBundle, { sessions }: Facts, keys: JSONWebKeySet, log: LogSaid) {
  const shown: RecordingShown[] = []
  for (const session of sessions) {
    if (session.recorded) shown.push(await verifyRecordingShown(bundle, session, keys, log))
  }
  return shown
}

function contentsWords({ request, decisions, grant, sessions }: Facts): string {
  const came = grant === null ? 'no grant' : `grant ${grant.state}`
  return `request ${request.state}, ${amount(decisions.length, 'decision')}, ${came}, ${amount(sessions.length, 'session')}`
}

const stateWords: Readonly<Record<RecordingShown['state'], string>> = {
  sealed: 'signed at the end of the session',
  untrusted: 'signed by a key that is not trusted here',
  unsealed: 'not signed: the session was living, or the gateway died',
  'given-up': 'not signed: given up when it could not be written, as the audit log tells',
  'cut-off': 'NOT SIGNED, although the session ended in order',
  missing: 'missing when this was made',
  damaged: 'NOT WHAT THE GATEWAY WROTE',
}

function recordingsFinding(recordings: readonly RecordingShown[], { sessions }: Facts): Finding {
  const damaged = recordings.find(({ state }) => state === 'damaged' || state === 'cut-off')
  const groups = Object.entries(stateWords).map(([state, words]) => {
    const many = recordings.filter((one) => one.state === state).length
    return many === 0 ? '' : `${many} ${words}`
  })
  const silent = sessions.length - recordings.length
  const parts = [...groups, silent === 0 ? '' : `${amount(silent, 'session')} not recorded`].filter((one) => one !== '')
  const worst = damaged === undefined ? '' : ` (${damaged.session}: ${damaged.why ?? ''})`
  return said('recordings', damaged === undefined, `${parts.length === 0 ? 'none' : parts.join('; ')}${worst}`)
}

function auditFinding({ events, proven, signedUpTo, broken }: SliceVerification): Finding {
  if (broken !== null) return said('audit log', false, `event ${broken.sequence}: ${broken.why}`)
  const unproven = events - proven
  const rest = unproven === 0 ? '' : `; ${unproven} older than signed proofs, on the word of the bundle alone`
  return said(
    'audit log',
    true,
    `${amount(proven, 'event')} in the log that is signed up to event ${signedUpTo}${rest}`,
  )
}

function agreementFinding(problem: string | null): Finding {
  return problem === null
    ? said('agreement', true, 'request, decisions, grant and sessions are as the audit log tells')
    : said('agreement', false, problem)
}

function amount(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}
