import type { FrameTap } from './frames.ts'
import { fromClient, fromServer } from './messages.ts'

/** Knows from the types of the messages alone whether the target may have something to do. */
export class Activity {
  /** The client said Terminate: its end is no accident. */
  terminated = false
  /** Type of the last message from the target; an ErrorResponse before the end means it said why. */
  lastFromTarget = 0
  /** ReadyForQuery messages that are still to come. */
  #awaited = 0
  /** Messages of the extended protocol came since the last Sync. */
  #open = false

  /** True when in doubt. */
  get busy(): boolean {
    return this.#awaited > 0 || this.#open
  }

  clientTap(inner: FrameTap | null): FrameTap {
    return new WatchingTap((type) => this.#fromClient(type), inner)
  }

  targetTap(inner: FrameTap | null): FrameTap {
    return new WatchingTap((type) => this.#fromTarget(type), inner)
  }

  #fromClient(type: number): void {
    switch (type) {
      case fromClient.query:
      case fromClient.functionCall:
        this.#awaited += 1
        break
      case fromClient.sync:
        this.#awaited += 1
        this.#open = false
        break
      case fromClient.terminate:
        this.terminated = true
        break
      case fromClient.copyData:
      case fromClient.copyDone:
      case fromClient.copyFail:
        break
      default:
        this.#open = true
    }
  }

  #fromTarget(type: number): void {
    this.lastFromTarget = type
    if (type !== fromServer.readyForQuery) return
    if (this.#awaited > 0) this.#awaited -= 1
  }
}

class WatchingTap implements FrameTap {
  readonly #watch: (type: number) => void
  readonly #inner: FrameTap | null

  constructor(watch: (type: number) => void, inner: FrameTap | null) {
    this.#watch = watch
    this.#inner = inner
  }

  chunk(): void {
    this.#inner?.chunk?.()
  }

  whole(type: number, chunk: Buffer, from: number, to: number): boolean {
    const inner = this.#inner
    if (inner !== null && (inner.whole === undefined || !inner.whole(type, chunk, from, to))) return false
    this.#watch(type)
    return true
  }

  begin(type: number, bodyBytes: number): number {
    this.#watch(type)
    return this.#inner === null ? 0 : this.#inner.begin(type, bodyBytes)
  }
  head(type: number, bytes: Buffer, bodyBytes: number): void {
    this.#inner?.head(type, bytes, bodyBytes)
  }
  rest(type: number, bytes: Buffer): void {
    this.#inner?.rest(type, bytes)
  }
  end(type: number): void {
    this.#inner?.end(type)
  }
}
