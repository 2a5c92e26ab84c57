import { connect, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2'
import type { Clock, Timer } from '../../../kernel/time.ts'
import type { Connector } from './connection.ts'

/** Frames of this many unread bytes may wait per stream, so that one slow reader costs no more. */
const windowBytes = 256 * 1024
/** On the way per connection; what has arrived for a slow reader does not count, so that it holds up nobody else. */
const connectionWindowBytes = 16 * 1024 * 1024
/** Streams on one connection at most, whatever the target allows. */
const streamsMax = 1000
const headerPairsMax = 1024
const sessionMemoryMiB = 512

/**
 * Between pings that look whether a target is still there. gRPC servers take more than one in five minutes for an attack
 * ("too_many_pings") and hang up; TCP's own keep-alive notices a dead machine sooner.
 */
const pingMs = 330_000
const pongMs = 20_000
const idleMs = 60_000

/** What clients say twice passes, as over HTTP/1.1; Node would throw. Its types know the option for servers only. */
const asTheyCame = { strictSingleValueFields: false }

/** One HTTP/2 connection to a target, from its first SETTINGS on. */
export class Http2Session {
  readonly #session: ClientHttp2Session
  readonly #clock: Clock
  readonly #gone: () => void
  #timer: Timer | null = null
  #streams = 0
  #leaving = false
  /** Answers that came in on it, in whole or part. */
  served = 0

  private constructor(session: ClientHttp2Session, clock: Clock, gone: () => void) {
    this.#session = session
    this.#clock = clock
    this.#gone = gone
    session.setLocalWindowSize(connectionWindowBytes)
    session.on('goaway', () => this.#leave())
    session.on('close', () => this.#leave())
    this.#rest()
  }

  /**
   * Opens a connection and waits until the target has shown that it speaks HTTP/2.
   * @throws Fault UPSTREAM_UNREACHABLE, UPSTREAM_TLS
   */
  static async open(
    connector: Connector,
    clock: Clock,
    signal: AbortSignal,
    gone: (it: Http2Session) => void,
  ): Promise<Http2Session> {
    const session = await connector.open('h2', signal, (socket, until) => {
      const begun = connect(`http://${connector.way.name}.invalid`, {
        createConnection: () => socket,
        settings: { enablePush: false, initialWindowSize: windowBytes },
        maxHeaderListPairs: headerPairsMax,
        maxSessionMemory: sessionMemoryMiB,
        maxReservedRemoteStreams: 0,
        ...asTheyCame,
      })
      return settled(begun, until)
    })
    const opened: Http2Session = new Http2Session(session, clock, () => gone(opened))
    return opened
  }

  /** Whether another request may go here. */
  get hasRoom(): boolean {
    const { closed, destroyed, remoteSettings } = this.#session
    const allowed = Math.min(remoteSettings.maxConcurrentStreams ?? streamsMax, streamsMax)
    return !this.#leaving && !closed && !destroyed && this.#streams < allowed
  }

  get live(): boolean {
    return !this.#session.closed && !this.#session.destroyed
  }

  /** Takes one of the places; whoever takes it gives it back. */
  take(): void {
    this.#streams += 1
    this.#timer?.cancel()
    this.#timer = this.#clock.after(pingMs, () => this.#ping())
  }

  giveBack(): void {
    this.#streams -= 1
    if (this.#streams > 0) return
    if (this.#leaving) this.#session.close()
    else this.#rest()
  }

  /** @throws when the session has ended meanwhile, or for headers that HTTP/2 does not have. */
  request(headers: readonly string[], endStream: boolean, waitForTrailers: boolean): ClientHttp2Stream {
    return this.#session.request(headers, { endStream, waitForTrailers })
  }

  destroy(): void {
    this.#session.destroy()
  }

  #rest(): void {
    this.#timer?.cancel()
    this.#timer = this.#clock.after(idleMs, () => this.#session.close())
  }

  #leave(): void {
    this.#leaving = true
    this.#timer?.cancel()
    this.#gone()
  }

  #ping(): void {
    const late = this.#clock.after(pongMs, () => this.#session.destroy(new Error('the target does not answer a ping')))
    this.#timer = late
    if (this.#session.destroyed) return
    this.#session.ping(() => {
      late.cancel()
      if (this.#timer === late && this.live) this.#timer = this.#clock.after(pingMs, () => this.#ping())
    })
  }
}

/** Resolves with the target's first SETTINGS, without which nobody knows how many streams it takes. */
function settled(session: ClientHttp2Session, signal: AbortSignal): Promise<ClientHttp2Session> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      session.destroy()
      reject(error)
    }
    const stop = (): void => fail(signal.reason as Error)
    signal.addEventListener('abort', stop, { once: true })
    // Stays for good: what breaks a session is told by each of its streams.
    session.on('error', fail)
    session.once('close', () => fail(new Error('the connection was closed before HTTP/2 began')))
    session.once('remoteSettings', () => {
      signal.removeEventListener('abort', stop)
      resolve(session)
    })
  })
}
