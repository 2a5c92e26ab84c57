import type { Socket } from 'node:net'
import { formatDuration } from '../../kernel/durations.ts'
import { asFault, Fault } from '../../kernel/fault.ts'
import type { Clock, Timer } from '../../kernel/time.ts'
import type { Admission } from '../../sessions/admission.ts'
import type { SessionEnd } from '../../sessions/session.ts'
import type { JsonBytes } from '../../recording/json-bytes.ts'
import { announceEnds } from '../../sessions/announce-ends.ts'
import { cutText } from '../../sessions/words.ts'
import { Activity } from './activity.ts'
import type { LeaveState } from './dismiss.ts'
import { farewell } from './farewell.ts'
import { Flow, paused } from './flow.ts'
import { FrameWalker } from './frames.ts'
import { errorResponse, fatal, internalError, notice, warning } from './messages.ts'
import { usualReading } from './guard/backslashes.ts'
import { SessionGuard, type GuardDeps, type WaitingStatement } from './guard/session-guard.ts'
import { noteSetting, SettingsTap } from './guard/settings-tap.ts'
import { record } from './recording.ts'
import type { Target } from './target.ts'
import type { RowsKept } from './target-tap.ts'
import { Transcript } from './transcript.ts'
import type { Turns } from './turns.ts'

/** Whoever a relay works for. */
export interface RelayOwner {
  /** Ends the connection to the target, in the background. At most once. */
  dismiss(state: LeaveState): void
  /** The session is over and the client has been told what there was to tell. Called once. */
  over(end: RelayEnd): void
}

export interface RelayParts {
  readonly owner: RelayOwner
  readonly client: Socket
  readonly target: Socket
  /** What the target said of itself. */
  readonly parameters: Target['parameters']
  readonly admission: Admission
  /** A session that does nothing for so long is ended; null: never. */
  readonly idleMs: number | null
  /** What is recorded of each result; null: only how many rows it had. */
  readonly recordRows: RowsKept | null
  /** What judges statements; null: nobody looks at them. */
  readonly guard: GuardDeps | null
  readonly clock: Clock
  /** To write lines of the recording in; shared by all sessions. */
  readonly json: JsonBytes
  /** Shared by all sessions, too. */
  readonly turns: Turns
}

export type RelayEnd = Pick<SessionEnd, 'by' | 'bytesFromClient' | 'bytesFromTarget'> & { readonly error?: unknown }

/** PostgreSQL takes no message of 1 GiB or more (PQ_LARGE_MESSAGE_LIMIT), and sends none. */
const clientBodyBytesMax = 0x3fff_ffff
const targetBodyBytesMax = 0x7fff_fffb
/** Clocks take no longer delay. */
const timerMsMax = 2 ** 31 - 1

/** The life of a session from "ready for queries" to its end: two flows, a recording, and one way for it to be over. */
export class Relay {
  readonly #owner: RelayOwner
  readonly #client: Socket
  readonly #target: Socket
  readonly #admission: Admission
  readonly #clock: Clock
  readonly #idleMs: number | null
  readonly #activity = new Activity()
  readonly #up: Flow
  readonly #down: Flow
  readonly #warnings: Disposable
  readonly #guard: SessionGuard | null = null
  #phase: 'open' | 'over' = 'open'
  #waitsForRecorder = false
  #usedAtMs = 0
  #idleTimer: Timer | undefined

  constructor(parts: RelayParts) {
    const { owner, client, target, admission, clock, idleMs } = parts
    this.#owner = owner
    this.#client = client
    this.#target = target
    this.#admission = admission
    this.#clock = clock
    this.#idleMs = idleMs
    const transcript = admission.recorder.active
      ? new Transcript(admission.recorder, clock, parts.recordRows, parts.json)
      : null
    for (const [name, value] of parts.parameters) transcript?.parameter(name, value)
    const fromClient = new FrameWalker(this.#activity.clientTap(transcript?.client ?? null), clientBodyBytesMax)
    const readAs = usualReading()
    for (const [name, value] of parts.parameters) noteSetting(readAs, name, value)
    const answers = this.#activity.targetTap(transcript?.target ?? null)
    const watched = parts.guard === null ? answers : new SettingsTap(readAs, answers)
    const fromTarget = new FrameWalker(watched, targetBodyBytesMax)
    this.#up = new Flow(client, target, fromClient, false, parts.turns, this)
    this.#down = new Flow(target, client, fromTarget, true, parts.turns, this)
    if (parts.guard !== null) {
      this.#guard = new SessionGuard(parts.guard, {
        ...{ up: this.#up, down: this.#down, turns: parts.turns, readAs },
        isBusy: () => this.#activity.busy,
        note: (word) => {
          if (admission.recorder.active) record(admission.recorder, 'g', word)
        },
        warn: (text) => this.#down.say(warning(text)),
        tell: (text) => this.#down.say(notice(text)),
      })
      this.#up.through(this.#guard.up)
      this.#down.through(this.#guard.down)
    }
    this.#warnings = announceEnds(admission, (text) => this.say(text))
  }

  /**
   * @param clientUnread what the client sent before it was asked to.
   * @param targetUnread what came behind the target's ReadyForQuery.
   */
  run(clientUnread: Buffer, targetUnread: Buffer): void {
    const [client, target, admission] = [this.#client, this.#target, this.#admission]
    // TLS has no halves here: what lies below it would have to be told, too.
    if (!('encrypted' in client)) client.allowHalfOpen = true
    client.on('end', this.#clientEnded).on('close', this.#clientGone).on('error', this.#clientGone)
    target.on('end', this.#targetGone).on('close', this.#targetGone).on('error', this.#targetGone)
    admission.cutOff.addEventListener('abort', this.#cutOff, { once: true })
    if (admission.cutOff.aborted) this.#cutOff()
    if (this.#phase === 'open') this.#up.start(clientUnread)
    if (this.#phase === 'open') this.#down.start(targetUnread)
    this.#usedAtMs = this.#clock.monotonicMs()
    if (this.#phase === 'open') this.#watchIdle(this.#idleMs)
    if (client.destroyed) this.#clientGone()
    else if (target.destroyed) this.#targetGone()
  }

  /** Of either flow: a chunk went through. */
  passed(nowMs = this.#clock.monotonicMs()): void {
    this.#usedAtMs = nowMs
    this.#keepPaceWithRecorder(nowMs)
  }

  failed(flow: Flow, error: unknown): void {
    this.#endBy(flow === this.#up ? 'client' : 'target', error)
  }

  /** Looks again when the time would be over; what passes meanwhile moves no timer. */
  #watchIdle(leftMs: number | null): void {
    const [clock, idleMs, admission] = [this.#clock, this.#idleMs, this.#admission]
    if (leftMs === null || idleMs === null) return
    this.#idleTimer = clock.after(Math.min(leftMs, timerMsMax), () => {
      const unusedMs = clock.monotonicMs() - this.#usedAtMs
      if (this.#activity.busy) this.#watchIdle(idleMs)
      else if (unusedMs < idleMs) this.#watchIdle(idleMs - unusedMs)
      else {
        const { resource, role } = admission.session
        this.#cut(
          new Fault(
            'SESSION_IDLE',
            `This session of ${resource} as ${role} did nothing for ${formatDuration(idleMs)}.`,
          ),
        )
      }
    })
  }

  /** The statement that waits to be agreed to; null where none does. */
  get waiting(): WaitingStatement | null {
    return this.#guard?.waiting ?? null
  }

  /** Says something to the person without ending anything. */
  say(text: string): void {
    if (this.#phase === 'over') return
    this.#note('warning', text)
    this.#down.say(warning(text))
  }

  readonly #cutOff = (): void => {
    const reason: unknown = this.#admission.cutOff.reason
    this.#cut(asFault(reason) ?? new Fault('KILLED', 'The session was ended.', { cause: reason }))
  }

  /** First pass: nothing more is forwarded, and the person is told. The gate calls for the second when all were told. */
  #cut(fault: Fault): void {
    const { split } = this.#down
    if (!this.#stop()) return
    const [client, admission] = [this.#client, this.#admission]
    if (split) {
      client.destroy()
      admission.told()
    } else this.#tell(fatal(fault))
    admission.afterTold(() => {
      this.#note('cut', cutText(fault), fault.code)
      this.#leaveTarget()
      this.#finish({ by: 'gate', error: fault })
    })
  }

  #tell(lastWords: Buffer): void {
    const [client, admission] = [this.#client, this.#admission]
    if ('encrypted' in client) {
      // A connection that breaks meanwhile may forget whom it should call back.
      client.once('close', () => admission.told()).write(lastWords, () => admission.told())
      return
    }
    client.write(lastWords)
    // The system has mostly taken it by now; being called back for each costs as much as telling it.
    if (client.writableLength === 0) admission.told()
    else client.once('finish', () => admission.told()).once('close', () => admission.told())
  }

  #endBy(by: 'client' | 'target', error: unknown): void {
    const { split } = this.#down
    if (!this.#stop()) return
    const fault = asFault(error)
    if (!split) this.#client.write(fault === undefined ? internalError : fatal(fault))
    this.#leaveTarget()
    this.#finish({ by: fault === undefined ? 'gate' : by, error })
  }

  /** After a Terminate the target finishes what it has and hangs up by itself; half a one it would wait for the rest of, for ever. */
  get #isFinishing(): boolean {
    return this.#activity.terminated && !this.#up.split && this.#phase === 'open'
  }

  /** Who closed no more than its own half reads the answers; of anybody else, writing tells that they are gone. */
  readonly #clientEnded = (): void => {
    if (!this.#client.allowHalfOpen || !this.#isFinishing) this.#clientGone()
  }

  readonly #clientGone = (): void => {
    if (this.#isFinishing) {
      this.#up.mute()
      this.#down.mute()
      return
    }
    if (!this.#stop()) return
    this.#leaveTarget()
    this.#finish({ by: 'client' })
  }

  readonly #targetGone = (): void => {
    const { split, isWhole } = this.#down
    const said = isWhole && this.#activity.saidLast
    if (!this.#stop()) return
    const by = this.#activity.terminated ? 'client' : 'target'
    if (!this.#activity.terminated && !said && !split) this.#client.write(targetLost(this.#admission))
    this.#target.destroy()
    this.#finish({ by })
  }

  /** @returns false if it was over already. */
  #stop(): boolean {
    if (this.#phase === 'over') return false
    this.#phase = 'over'
    this.#idleTimer?.cancel()
    this.#guard?.stop()
    this.#up.stop()
    this.#down.stop()
    return true
  }

  #leaveTarget(): void {
    const terminated = this.#activity.terminated && !this.#up.split
    this.#owner.dismiss({ busy: this.#activity.busy, atBoundary: !this.#up.split && !terminated })
  }

  #finish(end: { by: SessionEnd['by']; error?: unknown }): void {
    const client = this.#client
    this.#up.release()
    this.#down.release()
    this.#warnings[Symbol.dispose]()
    this.#admission.cutOff.removeEventListener('abort', this.#cutOff)
    let isOver = false
    const over = () => {
      if (isOver) return
      isOver = true
      this.#owner.over({ ...end, bytesFromClient: this.#up.bytes, bytesFromTarget: this.#down.bytes })
    }
    client.once('finish', over)
    void farewell(client, this.#clock).then(over)
  }

  #note(kind: 'warning' | 'cut', text: string, code?: string): void {
    const { recorder } = this.#admission
    if (recorder.active) record(recorder, 'm', { kind, text, ...(code !== undefined && { code }) })
  }

  /** What cannot be recorded is not forwarded: both directions wait until the disk has caught up. */
  #keepPaceWithRecorder(nowMs: number): void {
    const { recorder } = this.#admission
    if (!recorder.isFullAt(nowMs) || this.#waitsForRecorder) return
    this.#waitsForRecorder = true
    this.#up.pause(paused.recorder)
    this.#down.pause(paused.recorder)
    recorder.drained().then(
      () => {
        this.#waitsForRecorder = false
        this.#up.resume(paused.recorder)
        this.#down.resume(paused.recorder)
      },
      (error: unknown) => {
        const fault = asFault(error)
        this.#cut(fault ?? new Fault('RECORDING_FAILED', 'The recording cannot be written.', { cause: error }))
      },
    )
  }
}

/** 08006: the connection failed while it was in use. */
function targetLost({ session }: Admission): Buffer {
  return errorResponse({
    severity: 'FATAL',
    sqlstate: '08006',
    message: `${session.resource} closed the connection.`,
    hint: 'Connect again; if it keeps happening, tell your operations people.',
  })
}
