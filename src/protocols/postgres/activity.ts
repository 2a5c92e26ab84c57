import type { FrameTap } from './frames.ts'
import { fromClient, fromServer, readReport } from './messages.ts'

/** Enough of an ErrorResponse to read how severe it is, in the server's language and in English. */
const severityBytes = 64

/** Knows from the types of the messages alone whether the target may have something to do. */
export class Activity {
  /** The client said Terminate: its end is no accident. */
  terminated = false
  /** The target said last why it hangs up: an error that ends no more than a statement is none of these. */
  saidLast = false
  /** What ReadyForQuery is still to come for, in order. */
  readonly #awaited: End[] = []
  /** So many of them are answered. */
  #first = 0
  /** Executes since the last Sync, and whether the last message was one. */
  #executes = 0
  #endsWithExecute = false
  /** The target takes the data of that Execute: if a Sync comes next, it is passed over. */
  #passesSync = false
  /** Messages of the extended protocol came since the last Sync. */
  #open = false

  /** True when in doubt. */
  get busy(): boolean {
    return this.#awaited.length > this.#first || this.#open
  }

  clientTap(inner: FrameTap | null): FrameTap {
    return new ClientWatch(this, inner)
  }

  targetTap(inner: FrameTap | null): FrameTap {
    return new TargetWatch(this, inner)
  }

  fromClient(type: number): void {
    if (type === fromClient.flush) {
      this.#open = true
      return
    }
    const passesSync = this.#passesSync
    this.#passesSync = false
    switch (type) {
      case fromClient.query:
      case fromClient.functionCall:
        this.#awaited.push('other')
        break
      case fromClient.sync:
        if (passesSync) break
        this.#awaited.push(this.#executes === 1 && this.#endsWithExecute ? 'sync-of-one' : 'other')
        this.#executes = 0
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
        if (type === fromClient.execute) this.#executes += 1
        this.#open = true
    }
    this.#endsWithExecute = type === fromClient.execute
  }

  fromTarget(type: number): void {
    this.saidLast = false
    if (type === fromServer.readyForQuery) this.#answered()
    else if (type === fromServer.copyInResponse) this.#beginCopy()
    else if (type === fromServer.errorResponse) this.#passesSync = false
  }

  /**
   * While a target takes data it passes over Sync. Clients of libpq send one right behind the Execute of a COPY, and another
   * after its data, which is the one that is answered. Whatever else stands behind an Execute makes the COPY fail.
   */
  #beginCopy(): void {
    if (this.#awaited.length === this.#first) this.#passesSync = this.#executes === 1 && this.#endsWithExecute
    if (this.#awaited[this.#first] !== 'sync-of-one') return
    this.#answered()
    this.#open ||= this.#awaited.length === 0
  }

  /** Not by `shift` for each: of a long pipeline it moves all the rest. */
  #answered(): void {
    const { length } = this.#awaited
    // As it is nearly always; `pop` keeps the array's memory.
    if (length === 1) return void this.#awaited.pop()
    if (this.#first < length) this.#first += 1
    if (this.#first < length && this.#first < movedTogether) return
    this.#awaited.splice(0, this.#first)
    this.#first = 0
  }
}

const movedTogether = 1024

/** `sync-of-one`: of a pipeline whose last message is its only Execute. */
type End = 'sync-of-one' | 'other'

abstract class WatchingTap implements FrameTap {
  protected readonly activity: Activity
  readonly #inner: FrameTap | null

  constructor(activity: Activity, inner: FrameTap | null) {
    this.activity = activity
    this.#inner = inner
  }

  protected abstract watch(type: number): void

  chunk(nowMs?: number): void {
    this.#inner?.chunk?.(nowMs)
  }

  whole(type: number, chunk: Buffer, from: number, to: number): boolean {
    const inner = this.#inner
    if (inner !== null && (inner.whole === undefined || !inner.whole(type, chunk, from, to))) return false
    this.watch(type)
    return true
  }

  begin(type: number, bodyBytes: number): number {
    this.watch(type)
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

class ClientWatch extends WatchingTap {
  protected override watch(type: number): void {
    this.activity.fromClient(type)
  }
}

class TargetWatch extends WatchingTap {
  override whole(type: number, chunk: Buffer, from: number, to: number): boolean {
    return type !== fromServer.errorResponse && super.whole(type, chunk, from, to)
  }

  override begin(type: number, bodyBytes: number): number {
    const wanted = super.begin(type, bodyBytes)
    return type === fromServer.errorResponse ? Math.max(wanted, severityBytes) : wanted
  }

  override head(type: number, bytes: Buffer, bodyBytes: number): void {
    if (type === fromServer.errorResponse) this.activity.saidLast = readReport(bytes).severity !== 'ERROR'
    super.head(type, bytes, bodyBytes)
  }

  protected override watch(type: number): void {
    this.activity.fromTarget(type)
  }
}
