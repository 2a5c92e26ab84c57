import type { Log } from '../kernel/log.ts'
import type { Clock, Timer } from '../kernel/time.ts'
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

/**
 * Signs the head of the audit log now and then, and a last time when disposed; nothing when it has not moved.
 * A checkpoint that fails is logged and tried again the next time: the chain itself is not in danger.
 */
export function startCheckpoints(deps: CheckpointDeps): AsyncDisposable {
  const checkpoints = new Checkpoints(deps)
  checkpoints.start()
  return checkpoints
}

class Checkpoints implements AsyncDisposable {
  readonly #deps: CheckpointDeps
  /** null: not asked yet. */
  #signedSequence: number | null = null
  #timer: Timer | null = null
  #running: Promise<void> = Promise.resolve()
  #closing = false

  constructor(deps: CheckpointDeps) {
    this.#deps = deps
  }

  start(): void {
    this.#timer = this.#deps.clock.after(this.#deps.everyMs ?? 300_000, () => {
      this.#running = this.#sign().finally(() => {
        if (!this.#closing) this.start()
      })
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing) return
    this.#closing = true
    this.#timer?.cancel()
    await this.#running
    await this.#sign()
  }

  async #sign(): Promise<void> {
    const { audit, key, clock, log } = this.#deps
    try {
      this.#signedSequence ??= (await audit.checkpoints()).reduce((most, { sequence }) => Math.max(most, sequence), 0)
      const { sequence, hash } = await audit.head()
      if (sequence === this.#signedSequence) return
      const jws = await key.sign(checkpointType, { sequence, hash, at: clock.now() })
      await audit.addCheckpoint({ sequence, jws })
      this.#signedSequence = sequence
    } catch (error) {
      log.error({ error: (error as Error).message }, 'audit checkpoint failed')
    }
  }
}
