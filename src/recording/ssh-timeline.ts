import type { RecordedEvent } from './format.ts'
import { readSshEvent, type SshEvent } from './ssh-event-shapes.ts'
import type { SshChannelKind, SshEvents } from './ssh-events.ts'

/** One channel, as far as was read when it was told. Times are seconds since the start of the recording. */
export interface SshChannel {
  readonly ch: number
  /** null: its opening is not in what was read. */
  readonly kind: SshChannelKind | null
  readonly openedAt: number | null
  /** null: it is open, or the recording ends before it does. */
  readonly closedAt: number | null
  /** Of forwarded connections: `host:port`, or a socket's path. */
  readonly to: string | null
  readonly from: string | null
  readonly terminal: { readonly type: string; readonly cols: number; readonly rows: number } | null
  readonly ran: SshRan | null
  /** The first of them. */
  readonly env: readonly { readonly name: string; readonly value: string }[]
  readonly exit: {
    readonly status: number | null
    readonly signal: string | null
    readonly message: string | null
  } | null
  /** Recorded bytes: of output and errors, of input. */
  readonly outputBytes: number
  readonly inputBytes: number
  /** Bytes that passed, whether they were recorded or not; null until its end. */
  readonly bytesUp: number | null
  readonly bytesDown: number | null
  /** Of all that went up, hex, where it is not recorded itself. */
  readonly sha256Up: string | null
  /** File operations. */
  readonly files: number
  /** Why file operations are missing from some place on. */
  readonly lost: string | null
}

export interface SshRan {
  readonly what: SshEvents['run']['what']
  /** The command, or the subsystem's name. */
  readonly command: string | null
  /** Bytes of the whole command when it is only its beginning. */
  readonly commandBytes: number | null
}

export type SshItem =
  /** It runs something, or is a forwarded connection that opens. */
  | { readonly kind: 'begin'; readonly at: number; readonly channel: SshChannel }
  /** It is over. With `closedAt` null: the recording ended first. */
  | { readonly kind: 'end'; readonly at: number; readonly channel: SshChannel }
  | ({ readonly kind: 'file'; readonly at: number } & SshEvents['f'])
  | { readonly kind: 'signal'; readonly at: number; readonly ch: number; readonly name: string }
  | { readonly kind: 'lost'; readonly at: number; readonly ch: number; readonly why: string }
  | ({ readonly kind: 'remote-forward'; readonly at: number } & SshEvents['fw'])
  | { readonly kind: 'refused'; readonly at: number; readonly what: string; readonly why: string }
  /** The gate spoke to the person. */
  | ({ readonly kind: 'gate'; readonly at: number; readonly what: SshEvents['m']['kind'] } & Omit<
      SshEvents['m'],
      'kind'
    >)
  /** A line that this version does not know. */
  | { readonly kind: 'unknown'; readonly at: number; readonly code: string }

/** Open channels that are remembered; of more, the oldest are told as they are. */
const openMax = 4096
const envMax = 100

/**
 * What happened, in the order in which it happened; terminal output itself is asciicast.ts's. Streams: memory depends
 * on how many channels are open at once, not on the recording.
 */
export async function* sshTimeline(events: AsyncIterable<RecordedEvent>): AsyncGenerator<SshItem> {
  const builder = new TimelineBuilder()
  for await (const event of events) yield* builder.take(event)
  yield* builder.rest()
}

export interface SshOverview {
  /** In the order of their numbers; the first `channelsMax`. */
  readonly channels: readonly SshChannel[]
  readonly channelsLeftOut: number
  readonly files: number
  readonly refusals: number
  /** Time of the last event. */
  readonly lastAt: number
}

/** Reads a whole recording, and keeps what is said about its channels. */
export async function sshOverview(events: AsyncIterable<RecordedEvent>, channelsMax = 1000): Promise<SshOverview> {
  const channels: SshChannel[] = []
  const counts = { channelsLeftOut: 0, files: 0, refusals: 0, lastAt: 0 }
  for await (const item of sshTimeline(events)) {
    counts.lastAt = item.at
    if (item.kind === 'file') counts.files += item.count ?? 1
    if (item.kind === 'refused') counts.refusals++
    if (item.kind !== 'end') continue
    if (channels.length < channelsMax) channels.push(item.channel)
    else counts.channelsLeftOut++
  }
  return { channels: channels.sort((a, b) => a.ch - b.ch), ...counts }
}

type Draft = { -readonly [Key in keyof SshChannel]: SshChannel[Key] } & { env: SshChannel['env'][number][] }

class TimelineBuilder {
  readonly #open = new Map<number, Draft>()
  #lastAt = 0;

  *take(recorded: RecordedEvent): Generator<SshItem> {
    const at = recorded.seconds
    this.#lastAt = at
    const event = readSshEvent(recorded)
    if (event === undefined) return yield { kind: 'unknown', at, code: recorded.code }
    if (event.code === 'ch') yield* this.#begin(at, event.data)
    else if ('ch' in event.data) yield* this.#onChannel(at, event as OnChannel)
    else yield* ofConnection(at, event as OfConnection)
  }

  *rest(): Generator<SshItem> {
    for (const draft of this.#open.values()) yield { kind: 'end', at: this.#lastAt, channel: draft }
  }

  *#begin(at: number, { ch, kind, to, from }: SshEvents['ch']): Generator<SshItem> {
    const draft = { ...emptyDraft(ch), kind, openedAt: at, to: to ?? null, from: from ?? null }
    yield* this.#remember(at, draft)
    if (kind !== 'session') yield { kind: 'begin', at, channel: copyOf(draft) }
  }

  *#remember(at: number, draft: Draft): Generator<SshItem> {
    this.#open.set(draft.ch, draft)
    if (this.#open.size <= openMax) return
    const [oldest] = this.#open.values()
    this.#open.delete(oldest!.ch)
    yield { kind: 'end', at, channel: oldest! }
  }

  *#onChannel(at: number, event: OnChannel): Generator<SshItem> {
    const { ch } = event.data
    const known = this.#open.get(ch)
    const draft = known ?? emptyDraft(ch)
    if (known === undefined) yield* this.#remember(at, draft)
    note(draft, event)
    const item = itemOf(at, draft, event)
    if (item !== null) yield item
    if (event.code !== 'end') return
    this.#open.delete(ch)
    yield { kind: 'end', at, channel: { ...draft, closedAt: at } }
  }
}

type OfConnection = Extract<SshEvent, { code: 'fw' | 'no' | 'm' }>
type OnChannel = Exclude<SshEvent, OfConnection | { code: 'ch' }>

function* ofConnection(at: number, event: OfConnection): Generator<SshItem> {
  if (event.code === 'fw') return yield { kind: 'remote-forward', at, ...event.data }
  if (event.code === 'no') return yield { kind: 'refused', at, ...event.data }
  const { kind: what, ...said } = event.data
  yield { kind: 'gate', at, what, ...said }
}

function note(draft: Draft, event: OnChannel): void {
  switch (event.code) {
    case 'pty':
      draft.terminal = { type: event.data.term, cols: event.data.cols, rows: event.data.rows }
      return
    case 'env':
      if (draft.env.length < envMax) draft.env.push({ name: event.data.name, value: event.data.value })
      return
    case 'run':
      draft.ran = {
        what: event.data.what,
        command: event.data.command ?? null,
        commandBytes: event.data.bytes ?? null,
      }
      return
    case 'x': {
      const { status = null, signal = null, message = null } = event.data
      draft.exit = { status, signal, message }
      return
    }
    case 'f':
      draft.files += event.data.count ?? 1
      return
    case 'lost':
      draft.lost = event.data.why
      return
    case 'end':
      draft.bytesUp = event.data.bytesUp
      draft.bytesDown = event.data.bytesDown
      draft.sha256Up = event.data.sha256Up ?? null
      return
    case '=i':
      draft.inputBytes += event.bytes.length
      return
    case '=o':
    case '=e':
      draft.outputBytes += event.bytes.length
      return
    case 'r':
    case 'sig': // nothing that stays
  }
}

function itemOf(at: number, draft: Draft, event: OnChannel): SshItem | null {
  switch (event.code) {
    case 'run':
      return { kind: 'begin', at, channel: copyOf(draft) }
    case 'f':
      return { kind: 'file', at, ...event.data }
    case 'sig':
      return { kind: 'signal', at, ...event.data }
    case 'lost':
      return { kind: 'lost', at, ...event.data }
    default:
      return null
  }
}

/** What was told does not change any more. */
function copyOf(draft: Draft): SshChannel {
  return { ...draft, env: [...draft.env] }
}

function emptyDraft(ch: number): Draft {
  return {
    ch,
    kind: null,
    openedAt: null,
    closedAt: null,
    to: null,
    from: null,
    terminal: null,
    ran: null,
    env: [],
    exit: null,
    outputBytes: 0,
    inputBytes: 0,
    bytesUp: null,
    bytesDown: null,
    sha256Up: null,
    files: 0,
    lost: null,
  }
}
