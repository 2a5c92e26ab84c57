import { Fault } from '../kernel/fault.ts'

/** What a load balancer says before a connection's own bytes, in version 2. Pure. */

/** Signature, version and command, family and protocol, length of what follows. */
export const proxyHeadBytes = 16
/** The largest address block is 216 bytes (unix sockets); what balancers add behind it is seldom more than some hundred. */
const restBytesMax = 2048
const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')

export interface ProxyHead {
  /** `local`: the balancer itself, looking whether we are there. */
  readonly command: 'local' | 'proxy'
  readonly family: 'ipv4' | 'ipv6' | 'other'
  /** Bytes that follow. */
  readonly restBytes: number
}

/**
 * @param head its first 16 bytes.
 * @throws Fault PROTOCOL_VIOLATION
 * @see "The PROXY protocol", section 2.2 (binary header format, version 2)
 */
export function readProxyHead(head: Buffer): ProxyHead {
  if (!head.subarray(0, 12).equals(signature)) {
    throw new Fault('PROTOCOL_VIOLATION', 'The load balancer sent no PROXY header of version 2.')
  }
  const [version, command] = [head[12]! >> 4, head[12]! & 0x0f]
  const restBytes = head.readUInt16BE(14)
  if (version !== 2 || command > 1 || restBytes > restBytesMax) {
    throw new Fault('PROTOCOL_VIOLATION', 'The load balancer sent a PROXY header that cannot be one.')
  }
  const family = ({ 1: 'ipv4', 2: 'ipv6' } as const)[head[13]! >> 4] ?? 'other'
  return { command: command === 0 ? 'local' : 'proxy', family, restBytes }
}

/**
 * Where the client is.
 * @param rest the bytes behind the head.
 * @returns undefined where the balancer does not say: it is where the connection comes from then.
 * @throws Fault PROTOCOL_VIOLATION
 */
export function readProxySource(
  { command, family }: ProxyHead,
  rest: Buffer,
): { readonly address: string; readonly port: number } | undefined {
  if (command === 'local' || family === 'other') return undefined
  const addressBytes = family === 'ipv4' ? 4 : 16
  if (rest.length < 2 * addressBytes + 4) {
    throw new Fault('PROTOCOL_VIOLATION', 'The PROXY header ends inside its addresses.')
  }
  const address = rest.subarray(0, addressBytes)
  return {
    address: family === 'ipv4' ? ipv4(address) : ipv6(address),
    port: rest.readUInt16BE(2 * addressBytes),
  }
}

function ipv4(address: Buffer): string {
  return [...address].join('.')
}

/** Balancers that listen on both families write IPv4 as IPv6. @see RFC 4291, section 2.5.5.2 */
const mapped = Buffer.from('00000000000000000000ffff', 'hex')

function ipv6(address: Buffer): string {
  if (address.subarray(0, 12).equals(mapped)) return ipv4(address.subarray(12))
  const groups = Array.from({ length: 8 }, (_, index) => address.readUInt16BE(2 * index).toString(16))
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1)
}
