import { createHash } from 'node:crypto'
import { compactVerify, decodeProtectedHeader, importJWK, type JSONWebKeySet } from 'jose'
import { chainInput, chainStart } from './chain.ts'
import { checkpointType } from './checkpoints.ts'
import type { ChainedEvent, Checkpoint } from './store.ts'

/** What can be said about an audit log without its gateway. */
export interface AuditVerification {
  readonly ok: boolean
  /** Events that are as they were written, from the first. */
  readonly events: number
  readonly head: { readonly sequence: number; readonly hash: string }
  /** Checkpoints whose signature holds and whose hash is that of the event they name. */
  readonly checkpoints: number
  /** Up to which event a checkpoint vouches; 0 when none does. */
  readonly signedUpTo: number
  /** The first event, or checkpoint, that is not what it should be. */
  readonly broken: { readonly sequence: number; readonly why: string } | null
}

interface Signed {
  readonly sequence: number
  readonly hash: string
}

/**
 * Checks the chain from the first event on and every checkpoint against it. Memory does not grow with the log.
 * @param events all of them, in order.
 * @param publicKeys as the gateway publishes them; a checkpoint by another key counts as broken.
 */
export async function verifyAudit(
  events: AsyncIterable<ChainedEvent>,
  checkpoints: readonly Checkpoint[],
  publicKeys: JSONWebKeySet,
): Promise<AuditVerification> {
  const signed = new Map<number, string>()
  let broken: AuditVerification['broken'] = null
  for (const checkpoint of checkpoints) {
    const content = await readCheckpoint(checkpoint, publicKeys)
    const known = content === null ? undefined : signed.get(content.sequence)
    if (content === null) broken ??= { sequence: checkpoint.sequence, why: 'a checkpoint has no valid signature' }
    else if (known !== undefined && known !== content.hash) broken ??= contradiction(content.sequence)
    else signed.set(content.sequence, content.hash)
  }
  return broken === null ? follow(events, signed) : { ...nothing, broken }
}

const nothing: AuditVerification = {
  ok: false,
  events: 0,
  head: { sequence: 0, hash: chainStart },
  checkpoints: 0,
  signedUpTo: 0,
  broken: null,
}

async function follow(events: AsyncIterable<ChainedEvent>, signed: Map<number, string>): Promise<AuditVerification> {
  let head = nothing.head
  let signedUpTo = 0
  let checked = 0
  const result = (broken: AuditVerification['broken']): AuditVerification => ({
    ok: broken === null,
    events: head.sequence,
    head,
    checkpoints: checked,
    signedUpTo,
    broken,
  })
  for await (const event of events) {
    const why = fault(event, head)
    if (why !== null) return result({ sequence: head.sequence + 1, why })
    head = { sequence: event.sequence, hash: event.hash }
    const vouched = signed.get(event.sequence)
    if (vouched === undefined) continue
    if (vouched !== event.hash) return result(contradiction(event.sequence))
    signedUpTo = event.sequence
    checked++
  }
  const missing = [...signed.keys()].filter((sequence) => sequence > head.sequence)
  if (missing.length === 0) return result(null)
  return result({
    sequence: head.sequence + 1,
    why: `events up to ${Math.max(...missing)} were signed and are missing`,
  })
}

function fault(event: ChainedEvent, head: Signed): string | null {
  if (event.sequence !== head.sequence + 1) return `event ${event.sequence} follows ${head.sequence}`
  if (event.previous !== head.hash) return 'it does not name the hash of the event before'
  const hash = createHash('sha256')
    .update(chainInput(event.previous, event.sequence, event.json))
    .digest('hex')
  return hash === event.hash ? null : 'its content is not what was hashed'
}

function contradiction(sequence: number): { sequence: number; why: string } {
  return { sequence, why: 'a signed checkpoint tells of another event' }
}

async function readCheckpoint(checkpoint: Checkpoint, publicKeys: JSONWebKeySet): Promise<Signed | null> {
  try {
    const { kid, typ } = decodeProtectedHeader(checkpoint.jws)
    const jwk = publicKeys.keys.find((key) => key.kid === kid)
    if (jwk === undefined || typ !== checkpointType) return null
    const { payload } = await compactVerify(checkpoint.jws, await importJWK(jwk, 'EdDSA'), { algorithms: ['EdDSA'] })
    const { sequence, hash } = JSON.parse(Buffer.from(payload).toString('utf8')) as Partial<Signed>
    if (sequence !== checkpoint.sequence || typeof hash !== 'string') return null
    return { sequence, hash }
  } catch {
    return null // whatever fails, the signature does not hold
  }
}
