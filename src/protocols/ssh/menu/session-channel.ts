import { SshWireError } from '../../../identity/ssh/wire.ts'
import type { AdoptedChannel } from '../conversation.ts'
import type { ChannelRequest } from '../relay/messages.ts'
import type { Channel } from './channel.ts'

/** What a client may send on a session channel before it is read. */
export const sessionWindowBytes = 64 * 1024
const requestsMax = 64
const requestBytesMax = 64 * 1024

export type Wish =
  | { readonly kind: 'shell'; readonly hasTerminal: boolean }
  | { readonly kind: 'exec'; readonly command: string; readonly hasTerminal: boolean }
  | { readonly kind: 'subsystem' }

/** A session channel before anything runs on it: what it asks for is kept, for the target that may take it over. */
export class SessionChannel {
  readonly channel: Channel
  readonly #onWish: (wish: Wish, reply: (good: boolean) => void) => void
  readonly #requests: { readonly type: string; readonly whole: Buffer }[] = []
  #keptBytes = 0
  #columns: number | null = null
  #hasWished = false

  /** @param onWish what it is to be; called once. */
  constructor(channel: Channel, onWish: (wish: Wish, reply: (good: boolean) => void) => void) {
    this.channel = channel
    this.#onWish = onWish
  }

  /** The width of its terminal; null without one. */
  get columns(): number | null {
    return this.#columns
  }

  request({ type, wantReply, fields }: ChannelRequest, whole: Buffer): void {
    const reply = (good: boolean) => {
      if (wantReply) this.channel.reply(good)
    }
    switch (type) {
      case 'pty-req':
        fields.string()
        this.#setColumns(fields.uint32())
        return reply(this.#keep(type, whole))
      case 'window-change':
        this.#setColumns(fields.uint32())
        return reply(this.#keep(type, whole))
      case 'env':
      case 'auth-agent-req@openssh.com':
        return reply(this.#keep(type, whole))
      case 'shell':
        return this.#wish({ kind: 'shell', hasTerminal: this.#hasTerminal }, type, whole, reply)
      case 'exec':
        return this.#wish({ kind: 'exec', command: fields.text(), hasTerminal: this.#hasTerminal }, type, whole, reply)
      case 'subsystem':
        return this.#wish({ kind: 'subsystem' }, type, whole, reply)
      default:
        return reply(false)
    }
  }

  /** How a session to the target goes on with it. */
  adopted(typed: Buffer): AdoptedChannel {
    const { sendBytes, grantedBytes } = this.channel.windows
    return {
      clientChannel: this.channel.client,
      ownChannel: this.channel.own,
      clientWindowBytes: sendBytes,
      clientPacketBytesMax: this.channel.packetBytesMax,
      grantedWindowBytes: grantedBytes,
      requests: this.#requests.map(({ whole }) => whole),
      typed,
    }
  }

  get #hasTerminal(): boolean {
    return this.#columns !== null
  }

  #setColumns(columns: number): void {
    // 0 means unknown.
    this.#columns = columns === 0 ? 80 : columns
  }

  #wish(wish: Wish, type: string, whole: Buffer, reply: (good: boolean) => void): void {
    if (this.#hasWished || !this.#keep(type, whole)) return reply(false)
    this.#hasWished = true
    this.#onWish(wish, reply)
  }

  /** Of window changes the last one counts. The messages are views of what is theirs alone. */
  #keep(type: string, whole: Buffer): boolean {
    const before = this.#requests.findIndex((one) => one.type === 'window-change')
    if (type === 'window-change' && before >= 0) {
      this.#keptBytes -= this.#requests.splice(before, 1)[0]!.whole.length
    }
    if (this.#requests.length >= requestsMax || this.#keptBytes + whole.length > requestBytesMax) return false
    if (whole.length < 5) throw new SshWireError('a request that is cut')
    this.#requests.push({ type, whole })
    this.#keptBytes += whole.length
    return true
  }
}
