import { isIPv4 } from 'node:net'

/** A PROXY header of version 2, as a load balancer writes it. @param more what it adds behind the addresses. */
export function proxyHeader(address: string, port: number, more: Buffer = Buffer.alloc(0)): Buffer {
  const bytes = isIPv4(address) ? Buffer.from(address.split('.').map(Number)) : ipv6Bytes(address)
  const ports = Buffer.alloc(4)
  ports.writeUInt16BE(port, 0)
  ports.writeUInt16BE(5432, 2)
  const rest = Buffer.concat([bytes, Buffer.alloc(bytes.length), ports, more])
  const head = Buffer.from('0d0a0d0a000d0a515549540a21000000', 'hex')
  head[13] = isIPv4(address) ? 0x11 : 0x21
  head.writeUInt16BE(rest.length, 14)
  return Buffer.concat([head, rest])
}

function ipv6Bytes(address: string): Buffer {
  const [left = '', right] = address.split('::')
  const groups = (text: string) => (text === '' ? [] : text.split(':'))
  const [before, after] = [groups(left), groups(right ?? '')]
  const zeros = Array<string>(8 - before.length - after.length).fill('0')
  const all = right === undefined ? before : [...before, ...zeros, ...after]
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex')
}
