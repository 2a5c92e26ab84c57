import { createHash } from 'node:crypto'
import { decodeJwt, type JSONWebKeySet } from 'jose'
import { chainInput } from './chain.ts'
import { checkpointEventsMax, hashesBetween, type SignedCheckpoint } from './checkpoints.ts'
import { MerkleTree, rootFrom } from './merkle.ts'
import type { AuditStore, ChainedEvent, Checkpoint } from './store.ts'
import { readCheckpoint } from './verify.ts'

/** An event with what leads from its hash to the root that a checkpoint signs. Null: no checkpoint with a root covers it. */
export interface ProvenEvent extends ChainedEvent {
  readonly path: readonly string[] | null
}

/** A part of the log, so that others can check it without the rest: behind each run of events the checkpoint that covers them. */
export type SliceLine = ProvenEvent | Checkpoint

interface Covering {
  readonly checkpoint: Checkpoint
  readonly from: number
  readonly tree: MerkleTree
}

/** @param events in the order of the log. Holds the hashes of what one checkpoint covers, and nothing else. */
export async function* proveSlice(audit: AuditStore, events: AsyncIterable<ChainedEvent>): AsyncGenerator<SliceLine> {
  let covering: Covering | null = null
  for await (const event of events) {
    if (covering !== null && event.sequence > covering.checkpoint.sequence) {
      yield covering.checkpoint
      covering = null
    }
    covering ??= await coveringOf(audit, event.sequence)
    yield { ...event, path: covering === null ? null : covering.tree.pathOf(event.sequence - covering.from) }
  }
  if (covering !== null) yield covering.checkpoint
}

async function coveringOf(audit: AuditStore, sequence: number): Promise<Covering | null> {
  const checkpoint = await audit.checkpointFrom(sequence)
  if (checkpoint === undefined) return null
  const { from, root } = decodeJwt<SignedCheckpoint>(checkpoint.jws)
  const covers = typeof from === 'number' && from <= sequence && checkpoint.sequence - from < checkpointEventsMax
  if (!covers || typeof root !== 'string') return null
  return { checkpoint, from, tree: new MerkleTree(await hashesBetween(audit, from, checkpoint.sequence)) }
}

/** What can be said about a slice without its gateway. */
export interface SliceVerification {
  readonly events: number
  /** Events that a signed checkpoint vouches for. */
  readonly proven: number
  readonly checkpoints: number
  /** Up to which event a checkpoint of the slice vouches; 0 when none does. */
  readonly signedUpTo: number
  /** The first event, or checkpoint, that is not what it should be. */
  readonly broken: { readonly sequence: number; readonly why: string } | null
}

/**
 * Checks each event's hash, and that it stands in the log that the checkpoints sign.
 * @param lines as `proveSlice` makes them.
 * @param see is told each event whose own hash holds.
 */
export async function verifySlice(
  lines: AsyncIterable<SliceLine>,
  publicKeys: JSONWebKeySet,
  see: (event: ChainedEvent) => void,
): Promise<SliceVerification> {
  let [events, proven, checkpoints, signedUpTo, last] = [0, 0, 0, 0, 0]
  let waiting: ProvenEvent[] = []
  const result = (broken: SliceVerification['broken']) => ({ events, proven, checkpoints, signedUpTo, broken })
  for await (const line of lines) {
    if ('jws' in line) {
      const broken = await coverProblem(line, waiting, publicKeys)
      if (broken !== null) return result(broken)
      ;[proven, checkpoints, signedUpTo, waiting] = [proven + waiting.length, checkpoints + 1, line.sequence, []]
      continue
    }
    const why = eventProblem(line, last)
    if (why !== null) return result({ sequence: line.sequence, why })
    events += 1
    last = line.sequence
    if (line.path !== null) waiting.push(line)
    if (waiting.length > checkpointEventsMax) break
    see(line)
  }
  const [open] = waiting
  return result(open === undefined ? null : { sequence: open.sequence, why: 'no checkpoint follows it' })
}

function eventProblem({ sequence, json, previous, hash }: ChainedEvent, last: number): string | null {
  if (sequence <= last) return 'it stands behind a later one'
  const made = createHash('sha256')
    .update(chainInput(previous, sequence, json))
    .digest('hex')
  return made === hash ? null : 'its content is not what was hashed'
}

async function coverProblem(
  checkpoint: Checkpoint,
  events: readonly ProvenEvent[],
  publicKeys: JSONWebKeySet,
): Promise<SliceVerification['broken']> {
  const content = await readCheckpoint(checkpoint, publicKeys)
  if (content?.from === undefined) {
    return { sequence: checkpoint.sequence, why: 'a checkpoint has no valid signature by these keys' }
  }
  const { from, sequence: to, root } = content
  const strange = events.find(
    ({ sequence, hash, path }) => rootFrom(hash, sequence - from, to - from + 1, path ?? []) !== root,
  )
  if (strange !== undefined) return { sequence: strange.sequence, why: 'it is not in the log that was signed' }
  const head = events.find(({ sequence, hash }) => sequence === to && hash !== content.hash)
  return head === undefined ? null : { sequence: to, why: 'a signed checkpoint tells of another event' }
}
