import { SshReader } from '../../../identity/ssh/wire.ts'
import type { MessageHandlers, Protocol } from './types.ts'

type Handler = (protocol: Protocol, payload: Buffer) => unknown

const extensionsMax = 64

/**
 * What is done with each message number: the transport's own are handled here and in the library; all others are handed
 * out whole.
 * @see RFC 4250 section 4.1.2
 */
export function messageTable(keyExchange: Readonly<Record<number, Handler>>): readonly Handler[] {
  const told = (tell: (handlers: MessageHandlers, payload: Buffer) => number | undefined): Handler => {
    return (protocol, payload) => tell(protocol._handlers, payload)
  }
  const whole = told((handlers, payload) => handlers.message(payload))
  const strange = told((handlers, payload) => handlers.unimplemented(payload[0]!))
  const table = Array.from({ length: 256 }, (_, type) => (type >= 50 ? whole : strange))
  table[1] = told((handlers, payload) => handlers.disconnected(readDisconnect(payload)))
  for (const ignored of [2, 3, 4]) table[ignored] = () => undefined
  table[5] = table[6] = whole
  table[7] = told((handlers, payload) => handlers.extensions(readExtensions(payload)))
  table[20] = keyExchange[20]!
  return table
}

function readDisconnect(payload: Buffer): string {
  const reader = new SshReader(payload, 1)
  reader.uint32()
  return reader.text()
}

/** @see RFC 8308 section 2.3 */
function readExtensions(payload: Buffer): ReadonlyMap<string, Buffer> {
  const reader = new SshReader(payload, 1)
  const count = Math.min(reader.uint32(), extensionsMax)
  return new Map(Array.from({ length: count }, () => [reader.text(), reader.string()]))
}
