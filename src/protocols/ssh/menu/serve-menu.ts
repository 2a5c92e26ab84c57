import type { Duplex } from 'node:stream'
import { endsStanding } from '../../../identity/standing.ts'
import type { ChangeFeed } from '../../../kernel/change.ts'
import { asFault, Fault } from '../../../kernel/fault.ts'
import type { Log } from '../../../kernel/log.ts'
import type { Timer } from '../../../kernel/time.ts'
import type { Admission } from '../../../sessions/admission.ts'
import type { Identified } from '../../../sessions/session.ts'
import type { AdoptedChannel, Conversation } from '../conversation.ts'
import { faultDisconnect } from '../fault-disconnect.ts'
import type { ChannelOpen, ChannelRequest } from '../relay/messages.ts'
import { asciiLine } from '../texts.ts'
import type { Transport } from '../transport.ts'
import type { Channel } from './channel.ts'
import { choose, manyChannels, type ChooseDeps } from './choose.ts'
import { runCommand } from './command.ts'
import { Endpoint } from './endpoint.ts'
import { JumpStream, jumpTarget, jumpWindowBytes } from './jump.ts'
import { reachOf } from './reach.ts'
import { SessionChannel, sessionWindowBytes, type Wish } from './session-channel.ts'
import { Closed, Terminal } from './terminal.ts'
import { faultText, greeting, howText, misnamedText, reachText } from './words.ts'

/** Who a connection within a jump belongs to, and the resource that was jumped to. */
export interface Within {
  readonly identified: Identified
  readonly resource: string
}

export interface MenuDeps extends ChooseDeps {
  readonly changes: ChangeFeed
  readonly log: Log
  /** Aborts with a Fault when the listener stops. */
  readonly stopping: AbortSignal
  /** Goes on with a channel of the menu, and so with the whole connection, as a session. Takes messages at once. */
  startSession(admission: Admission, adopted: AdoptedChannel): Promise<void>
  /** A connection within this one. Resolves when it is over. */
  serveNested(stream: Duplex, within: Within): Promise<void>
}

/**
 * Serves a connection that named no resource: a menu for terminals, a few words for commands, and jumps.
 * Resolves when the connection is over; if a session began on it, when that has ended.
 * @throws what `startSession` throws
 */
export async function serveMenu(transport: Transport, conversation: Conversation, deps: MenuDeps): Promise<void> {
  const menu = new Menu(transport, conversation, deps)
  const { identified } = conversation
  using _changes = deps.changes.subscribe((change) => {
    if (endsStanding(change, identified)) void menu.end(new Fault('SIGNED_OUT', 'You signed out, or were signed out.'))
  })
  const stopped = () => void menu.end(asFault(deps.stopping.reason) ?? new Fault('SHUTTING_DOWN', 'The gateway stops.'))
  deps.stopping.addEventListener('abort', stopped, { once: true })
  try {
    if (deps.stopping.aborted) stopped()
    await menu.serve()
  } finally {
    deps.stopping.removeEventListener('abort', stopped)
  }
}

/** Nobody chooses, and nothing is on its way: longer than anybody waits for an approval. */
const idleMs = 15 * 60_000
const timerMsMax = 2 ** 31 - 1
/** What is said last is read before the connection closes: this long, while connections within it end. */
const nestedEndMs = 5_000
const nestedGoodbyeMs = 1_000

class Menu {
  readonly #transport: Transport
  readonly #conversation: Conversation
  readonly #deps: MenuDeps
  readonly #endpoint: Endpoint
  readonly #sessions = new WeakMap<Channel, SessionChannel>()
  readonly #nested = new Set<Promise<void>>()
  readonly #over = Promise.withResolvers<void>()
  #lastUsedMs: number
  #idleTimer: Timer | undefined
  #ended: Fault | undefined
  #began = false

  constructor(transport: Transport, conversation: Conversation, deps: MenuDeps) {
    this.#transport = transport
    this.#conversation = conversation
    this.#deps = deps
    this.#endpoint = new Endpoint(transport, {
      channelWanted: (open) => this.#channelWanted(open),
      request: (channel, request, whole) => this.#request(channel, request, whole),
      used: () => void (this.#lastUsedMs = this.#deps.clock.monotonicMs()),
    })
    this.#lastUsedMs = deps.clock.monotonicMs()
    const gone = () => {
      if (!this.#began) this.#over.resolve()
    }
    if (transport.gone.aborted) gone()
    transport.gone.addEventListener('abort', gone, { once: true })
  }

  async serve(): Promise<void> {
    this.#endpoint.listen()
    this.#watchIdle(this.#idleMsMax)
    try {
      await this.#over.promise
    } finally {
      this.#idleTimer?.cancel()
    }
    await Promise.all(this.#nested)
  }

  get #idleMsMax(): number {
    return Math.min(this.#deps.waitMs + idleMs, timerMsMax)
  }

  #watchIdle(delayMs: number): void {
    const { clock } = this.#deps
    this.#idleTimer = clock.after(delayMs, () => {
      const leftMs = this.#lastUsedMs + this.#idleMsMax - clock.monotonicMs()
      if (leftMs > 0 || this.#nested.size > 0) return this.#watchIdle(Math.max(leftMs, idleMs))
      void this.end(new Fault('DEADLINE_PASSED', 'Nothing was chosen.', { hint: 'Connect again.' }))
    })
  }

  /** Tells everybody at a terminal why, lets connections within end by themselves, and says goodbye. */
  async end(fault: Fault): Promise<void> {
    if (this.#ended !== undefined || this.#began) return
    this.#ended = fault
    for (const channel of this.#endpoint.channels.filter((one) => this.#sessions.has(one))) {
      channel.write(Buffer.from(faultText(fault).replaceAll('\n', '\r\n')), undefined, true)
      channel.exit(255)
    }
    // While the gateway stops, sessions are let go on for a while: the gate ends them. A sign-out ends them now.
    const waitMs = fault.code === 'SIGNED_OUT' ? nestedEndMs : undefined
    await this.#nestedOver(waitMs)
    this.#transport.disconnect(faultDisconnect[fault.code], asciiLine(`${fault.message} ${fault.hint}`))
  }

  async #nestedOver(waitMs: number | undefined): Promise<void> {
    const over = Promise.withResolvers<void>()
    const timer = waitMs === undefined ? undefined : this.#deps.clock.after(waitMs, over.resolve)
    await Promise.race([Promise.all(this.#nested), over.promise])
    timer?.cancel()
  }

  #channelWanted(open: ChannelOpen): void {
    if (open.type !== 'session' && open.type !== 'direct-tcpip') {
      return this.#endpoint.refuse(open, 'unknownType', 'The gateway itself knows sessions and jumps only.')
    }
    try {
      if (this.#ended !== undefined) throw this.#ended
      const place = this.#endpoint.reserve()
      if (open.type === 'session') this.#openSession(open, place)
      else void this.#openJump(open, place)
    } catch (error) {
      this.#refuse(open, error)
    }
  }

  #refuse(open: ChannelOpen, error: unknown): void {
    const fault = asFault(error)
    if (fault === undefined) this.#deps.log.error({ error }, 'a channel of the menu failed')
    const words = fault === undefined ? 'internal error' : asciiLine(`${fault.message} ${fault.hint}`)
    this.#endpoint.refuse(open, fault?.code === 'TOO_MANY_CONNECTIONS' ? 'resourceShortage' : 'prohibited', words)
  }

  // ---- sessions

  #openSession(open: ChannelOpen, place: Disposable): void {
    const channel = this.#endpoint.open(open, sessionWindowBytes)
    place[Symbol.dispose]()
    const session: SessionChannel = new SessionChannel(channel, (wish, reply) => this.#run(session, wish, reply))
    this.#sessions.set(channel, session)
  }

  #request(channel: Channel, request: ChannelRequest, whole: Buffer): void {
    const session = this.#sessions.get(channel)
    if (session !== undefined) session.request(request, whole)
    else if (request.wantReply) channel.reply(false)
  }

  #run(session: SessionChannel, wish: Wish, reply: (good: boolean) => void): void {
    const { channel } = session
    reply(true)
    if (wish.kind === 'subsystem') {
      // Refusing it would be plainer; but then clients end before they show why.
      const words = `curfew: ${this.#misnamed ?? 'name what you want to reach. '}${howText(this.#deps, undefined)}`
      channel.write(Buffer.from(words), undefined, true)
      return channel.exit(1)
    }
    const work = wish.kind === 'shell' && wish.hasTerminal ? this.#interact(session) : this.#tell(session, wish)
    work.catch((error: unknown) => this.#failed(channel, error))
  }

  #failed(channel: Channel, error: unknown): void {
    if (error instanceof Closed) return
    const fault = asFault(error)
    if (fault === undefined) this.#deps.log.error({ error }, 'the menu failed')
    if (fault?.code === 'SIGNED_OUT') return void this.end(fault)
    const words = fault === undefined ? 'internal error\r\n' : faultText(fault).replaceAll('\n', '\r\n')
    channel.write(Buffer.from(words), undefined, true)
    channel.exit(255)
  }

  async #interact(session: SessionChannel): Promise<void> {
    const terminal = new Terminal(session.channel)
    const columns = () => session.columns
    const choice = await choose(terminal, this.#conversation, columns, () => this.#mayBegin(), this.#deps)
    if (choice.kind === 'quit') return terminal.exit(0)
    await this.#begin(session, terminal, choice.admission, choice.hasWaited)
  }

  /** A session takes the whole connection: nothing else may be going on in it. @throws Fault */
  #mayBegin(): void {
    if (this.#ended !== undefined) throw this.#ended
    if (this.#endpoint.count !== 1) throw manyChannels()
  }

  async #begin(session: SessionChannel, terminal: Terminal, admission: Admission, hasWaited: boolean): Promise<void> {
    try {
      this.#mayBegin()
      if (session.channel.isOver) throw new Closed('the terminal is closed')
    } catch (error) {
      await admission.end({ by: 'client', bytesFromClient: 0, bytesFromTarget: 0 })
      throw error
    }
    this.#began = true
    this.#idleTimer?.cancel()
    const typed = terminal.takeTyped()
    const adopted = session.adopted(hasWaited ? Buffer.alloc(0) : typed)
    this.#endpoint.release()
    this.#deps.startSession(admission, adopted).then(this.#over.resolve, this.#over.reject)
  }

  /** Without a terminal nobody chooses: the table, or what a command asks for. */
  async #tell({ channel }: SessionChannel, wish: Exclude<Wish, { kind: 'subsystem' }>): Promise<void> {
    const { identified } = this.#conversation
    const isShell = wish.kind === 'shell'
    if (this.#misnamed !== undefined) return this.#notThere(channel, this.#misnamed, wish)
    const reach = await reachOf(identified, this.#deps)
    const first = reach.find(({ kind }) => kind === 'ssh')
    const result = isShell
      ? {
          out: `${greeting(identified.personName)}${reachText(reach)}\n${howText(this.#deps, first)}`,
          errors: '',
          status: 0,
        }
      : runCommand(wish.command, { identified, reach, place: this.#deps })
    const bytes = (text: string) => Buffer.from(wish.hasTerminal ? text.replaceAll('\n', '\r\n') : text)
    if (result.out !== '') channel.write(bytes(result.out))
    if (result.errors !== '') channel.write(bytes(result.errors), undefined, true)
    channel.exit(result.status)
  }

  /** What was meant for a resource must not run here: `whoami` would have another answer. */
  #notThere(channel: Channel, misnamed: string, { hasTerminal }: { readonly hasTerminal: boolean }): void {
    const text = `curfew: ${misnamed}${howText(this.#deps, undefined)}`
    channel.write(Buffer.from(hasTerminal ? text.replaceAll('\n', '\r\n') : text), undefined, true)
    channel.exit(1)
  }

  get #misnamed(): string | undefined {
    const { wanted } = this.#conversation
    return wanted.kind === 'menu' && wanted.misnamed !== undefined ? misnamedText(wanted.misnamed) : undefined
  }

  // ---- jumps

  async #openJump(open: ChannelOpen, place: Disposable): Promise<void> {
    const { identified } = this.#conversation
    try {
      const resource = await jumpTarget(open.rest, identified, this.#deps)
      if (this.#ended !== undefined) throw this.#ended
      if (this.#transport.gone.aborted || this.#began) return
      const stream = new JumpStream(this.#endpoint.open(open, jumpWindowBytes))
      const nested = this.#nest(stream, { identified, resource })
      this.#nested.add(nested)
      void nested.finally(() => this.#nested.delete(nested))
    } catch (error) {
      if (!this.#began) this.#refuse(open, error)
    } finally {
      place[Symbol.dispose]()
    }
  }

  async #nest(stream: JumpStream, within: Within): Promise<void> {
    stream.on('error', () => undefined) // whoever reads it sees it end
    try {
      await this.#deps.serveNested(stream, within)
    } catch (error) {
      this.#deps.log.error({ error }, 'a connection within a connection failed')
    } finally {
      this.#farewell(stream)
    }
  }

  /** What was written last goes out, if it is read in time. */
  #farewell(stream: JumpStream): void {
    if (stream.destroyed) return
    const timer = this.#deps.clock.after(nestedGoodbyeMs, () => stream.destroy())
    stream.once('close', () => timer.cancel())
    stream.resume().end(() => stream.destroy())
  }
}
