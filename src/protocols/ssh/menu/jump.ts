import { Duplex } from 'node:stream'
import type { Offer } from '../../../access/access.ts'
import { SshReader } from '../../../identity/ssh/wire.ts'
import { unknownName } from '../../../resources/catalogue.ts'
import type { Identified } from '../../../sessions/session.ts'
import { readHost } from '../naming.ts'
import type { Channel, ChannelEvents } from './channel.ts'
import { knownPerson, type ReachDeps } from './reach.ts'

/** What a client may send before it is read. Enough for a long and fast way. */
export const jumpWindowBytes = 2 * 1024 * 1024

/** A channel as a stream of bytes, with both windows kept: what is not read is not asked for. */
export class JumpStream extends Duplex implements ChannelEvents {
  readonly #channel: Channel
  #unreadBytes = 0

  constructor(channel: Channel) {
    super({ allowHalfOpen: true })
    this.#channel = channel
    channel.events = this
  }

  onData(bytes: Buffer): void {
    this.#unreadBytes += bytes.length
    if (this.push(bytes)) this._read()
  }

  onEof(): void {
    this.push(null)
  }

  onClose(): void {
    this.destroy()
  }

  /** The reader has taken what there was. */
  override _read(): void {
    const bytes = this.#unreadBytes
    this.#unreadBytes = 0
    if (bytes > 0) this.#channel.consumed(bytes)
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#channel.write(bytes, done)
  }

  override _final(done: () => void): void {
    this.#channel.eof()
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#channel.close(true)
    done(error)
  }
}

/**
 * What a `direct-tcpip` channel wants to reach: a resource by its name, whatever the port.
 * @returns the resource's name, if this person may see an SSH resource of that name.
 * @throws Fault RESOURCE_UNKNOWN, SIGNED_OUT, NOT_ALLOWED, PROTOCOL_VIOLATION
 * @see RFC 4254 section 7.2
 */
export async function jumpTarget(fields: Buffer, identified: Identified, deps: ReachDeps): Promise<string> {
  const host = new SshReader(fields).text()
  const name = readHost(host)
  const person = await knownPerson(identified, deps)
  const isSsh = ({ resource }: Offer) => resource.kind === 'ssh'
  if (name !== undefined && deps.access.offers(person, undefined, name).some(isSsh)) return name
  const visible = deps.access.offers(person).filter(isSsh)
  throw unknownName('resource', host, [...new Set(visible.map(({ resource }) => resource.name))])
}
