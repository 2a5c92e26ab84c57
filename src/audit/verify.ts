import { createHash } from 'node:crypto'
import type { JSONWebKeySet } from 'jose'
import { readSigned } from '../kernel/signed.ts'
import { chainInput, chainStart } from './chain.ts'
import { checkpointEventsMax, checkpointType, type SignedCheckpoint } from './checkpoints.ts'
import { MerkleTree } from './merkle.ts'
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
type Known = Signed & Partial<Pick<SignedCheckpoint, 'from' | 'root'>>

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
  const signed = new Map<number, Known>()
  let broken: AuditVerification['broken'] = null
  for (const checkpoint of checkpoints) {
    const content = await readCheckpoint(checkpoint, publicKeys)
    const known = content === null ? undefined : signed.get(content.sequence)
    if (content === null) broken ??= { sequence: checkpoint.sequence, why: 'a checkpoint has no valid signature' }
    else if (known !== undefined && known.hash !== content.hash) broken ??= contradiction(content.sequence)
    else signed.set(content.sequence, content)
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

async function follow(events: AsyncIterable<ChainedEvent>, signed: Map<number, Known>): Promise<AuditVerification> {
  let head = nothing.head
  let signedUpTo = 0
  let checked = 0
  const since = new HashesSince()
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
    since.add(event)
    const vouched = signed.get(event.sequence)
    if (vouched === undefined) continue
    if (vouched.hash !== event.hash || !since.leadTo(vouched)) return result(contradiction(event.sequence))
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

/** Hashes of the last events: as many as one root may cover, and begun anew behind each checkpoint. */
class HashesSince {
  #first = 1
  #hashes: string[] = []

  add({ sequence, hash }: Signed): void {
    if (this.#hashes.length === 0 || this.#hashes.length >= checkpointEventsMax) {
      this.#first = sequence
      this.#hashes = []
    }
    this.#hashes.push(hash)
  }

  /** Whether the root is that of these events; also where it reaches further back than is known here. */
  leadTo({ from, root }: Known): boolean {
    const hashes = this.#hashes.slice(Math.max(0, (from ?? 0) - this.#first))
    const reaches = from !== undefined && from >= this.#first && hashes.length > 0
    this.#hashes = []
    return !reaches || new MerkleTree(hashes).root === root
  }
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

/** What a checkpoint says, when a trusted key says it. Those of older gateways have no `from` and no `root`. */
export async function readCheckpoint(checkpoint: Checkpoint, publicKeys: JSONWebKeySet): Promise<Known | null> {
  const { payload, key } = await readSigned(checkpoint.jws, checkpointType, publicKeys)
  if (payload === null || !key.trusted) return null
  try {
    const { sequence, hash, from, root } = JSON.parse(
      Buffer.from(payload).toString('utf8'),
    ) as Partial<SignedCheckpoint>
    if (sequence !== checkpoint.sequence || typeof hash !== 'string') return null
    return { sequence, hash, ...(typeof from === 'number' && typeof root === 'string' && { from, root }) }
  } catch {
    return null // not JSON
  }
}
