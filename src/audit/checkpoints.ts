import type { Log } from '../kernel/log.ts'
import type { Clock, Timer } from '../kernel/time.ts'
import { MerkleTree } from './merkle.ts'
import type { AuditStore } from './store.ts'

/** The `typ` of a checkpoint's JWS, so that no other signature of the same key can pass for one. */
export const checkpointType = 'curfew-checkpoint'

/** The gateway's key, as this room needs it. */
export interface CheckpointSigner {
  sign(type: string, payload: unknown): Promise<string>
}

export interface CheckpointDeps {
  readonly audit: AuditStore
  readonly key: CheckpointSigner
  readonly clock: Clock
  readonly log: Log
  /** Default: five minutes. */
  readonly everyMs?: number
}

/** What a checkpoint's JWS says. */
export interface SignedCheckpoint {
  /** Of the last event that it covers, and that event's hash. */
  readonly sequence: number
  readonly hash: string
  /** Of the first event below `root`: the one behind the checkpoint before. */
  readonly from: number
  /** Root of the Merkle tree over the hashes of the events from `from` to `sequence`, hex. */
  readonly root: string
  /** Milliseconds since the Unix epoch. */
  readonly at: number
}

/**
 * Events below one root: a proof for one of them never needs more than these, and their tree is made in a few milliseconds,
 * for which nothing else runs.
 */
export const checkpointEventsMax = 1024
const pageEvents = 512

export interface Checkpoints extends AsyncDisposable {
  /** Signs what is not signed yet, now. Rejects with what the store or the key throws. */
  sign(): Promise<void>
}

/**
 * Signs the head of the audit log now and then, and a last time when disposed; nothing when it has not moved.
 * A checkpoint that fails is logged and tried again the next time: the chain itself is not in danger.
 */
export function startCheckpoints(deps: CheckpointDeps): Checkpoints {
  const checkpoints = new SigningCheckpoints(deps)
  checkpoints.start()
  return checkpoints
}

class SigningCheckpoints implements Checkpoints {
  readonly #deps: CheckpointDeps
  /** null: not asked yet. */
  #signedSequence: number | null = null
  #timer: Timer | null = null
  #last: Promise<void> = Promise.resolve()
  #closing = false

  constructor(deps: CheckpointDeps) {
    this.#deps = deps
  }

  start(): void {
    this.#timer = this.#deps.clock.after(this.#deps.everyMs ?? 300_000, () => {
      void this.#signOrLog().finally(() => {
        if (!this.#closing) this.start()
      })
    })
  }

  sign(): Promise<void> {
    const signed = this.#last.then(() => this.#signOpen())
    this.#last = signed.catch(() => undefined) // whoever asked for it is told; the next one tries again
    return signed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing) return
    this.#closing = true
    this.#timer?.cancel()
    await this.#signOrLog()
  }

  async #signOrLog(): Promise<void> {
    try {
      await this.sign()
    } catch (error) {
      this.#deps.log.error({ error: (error as Error).message }, 'audit checkpoint failed')
    }
  }

  async #signOpen(): Promise<void> {
    const { audit } = this.#deps
    this.#signedSequence ??= (await audit.checkpoints()).reduce((most, { sequence }) => Math.max(most, sequence), 0)
    const { sequence: head } = await audit.head()
    while (this.#signedSequence < head) this.#signedSequence = await this.#signFrom(this.#signedSequence + 1, head)
  }

  /** @returns up to which event it vouches now. */
  async #signFrom(from: number, head: number): Promise<number> {
    const { audit, key, clock } = this.#deps
    const sequence = Math.min(head, from + checkpointEventsMax - 1)
    const hashes = await hashesBetween(audit, from, sequence)
    const content: SignedCheckpoint = {
      ...{ sequence, hash: hashes.at(-1)!, from, root: new MerkleTree(hashes).root, at: clock.now() },
    }
    await audit.addCheckpoint({ sequence, jws: await key.sign(checkpointType, content) })
    return sequence
  }
}

/** Hashes of the events from `from` to `to`, both inclusive; those must be there. */
export async function hashesBetween(audit: Pick<AuditStore, 'events'>, from: number, to: number): Promise<string[]> {
  const hashes: string[] = []
  while (hashes.length <= to - from) {
    const after = from + hashes.length - 1
    const page = await audit.events(after, Math.min(pageEvents, to - after))
    if (page.length === 0) throw new Error(`the audit log ends at ${after}, before ${to}`)
    hashes.push(...page.map(({ hash }) => hash))
  }
  return hashes
}
