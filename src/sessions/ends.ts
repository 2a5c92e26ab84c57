import { asFault } from '../kernel/fault.ts'
import type { SessionId } from '../kernel/ids.ts'
import type { Log } from '../kernel/log.ts'

type Write = () => Promise<void>

/**
 * Writes ends of sessions down. What the store cannot take, on a full disk for example, is kept and tried again: no session
 * begins without the store, so these are never more than lived when it failed. The next start ends what is left at the stop.
 */
export class Ends {
  readonly #log: Log
  readonly #unwritten = new Map<SessionId, Write>()
  #trying = false

  constructor(log: Log) {
    this.#log = log
  }

  /** Resolves when it is written, or kept for later. */
  async write(session: SessionId, write: Write): Promise<void> {
    try {
      await write()
    } catch (error) {
      this.#log.error({ session, error }, 'session end not kept')
      if (asFault(error)?.code === 'STORE_FAILED') this.#unwritten.set(session, write)
    }
  }

  /** One try for each, one after the other; over with the first that fails. */
  async tryAgain(): Promise<void> {
    if (this.#trying) return
    this.#trying = true
    try {
      for (const [session, write] of this.#unwritten) {
        await write()
        this.#unwritten.delete(session)
      }
    } catch (error) {
      this.#log.debug({ error }, 'ends of sessions cannot be written yet')
    } finally {
      this.#trying = false
    }
  }
}
