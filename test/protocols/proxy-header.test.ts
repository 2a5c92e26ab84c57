import fc from 'fast-check'
import { expect, test } from 'vitest'
import { proxyHeadBytes, readProxyHead, readProxySource } from '../../src/protocols/proxy-header.ts'
import { proxyHeader } from './proxy-bytes.ts'

const read = (bytes: Buffer) => {
  const head = readProxyHead(bytes.subarray(0, proxyHeadBytes))
  return readProxySource(head, bytes.subarray(proxyHeadBytes, proxyHeadBytes + head.restBytes))
}

test('every address and port that is written is read', () => {
  fc.assert(
    fc.property(fc.ipV4(), fc.nat(65_535), (address, port) => {
      expect(read(proxyHeader(address, port))).toEqual({ address, port })
    }),
  )
  expect(read(proxyHeader('2001:db8::7', 5))).toEqual({ address: '2001:db8::7', port: 5 })
})

test('an IPv4 address that a balancer writes as IPv6 is that IPv4 address', () => {
  expect(read(proxyHeader('::ffff:cb00:7109', 5))).toEqual({ address: '203.0.113.9', port: 5 })
})

test('what the balancer adds behind the addresses is passed over', () => {
  expect(read(proxyHeader('203.0.113.9', 1, Buffer.alloc(300, 7)))).toEqual({ address: '203.0.113.9', port: 1 })
})

test('a balancer that looks whether we are there, or says nothing that we know, names nobody', () => {
  const local = proxyHeader('203.0.113.9', 1)
  local[12] = 0x20
  expect(read(local)).toBeUndefined()
  const unix = proxyHeader('203.0.113.9', 1)
  unix[13] = 0x31
  expect(read(unix)).toBeUndefined()
})

const faulty = expect.objectContaining({ code: 'PROTOCOL_VIOLATION' })
test.each([
  ['no signature', (bytes: Buffer) => bytes.fill(0, 3, 4)],
  ['version 1', (bytes: Buffer) => Buffer.from(`PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n${bytes.toString('latin1')}`)],
  ['version 3', (bytes: Buffer) => bytes.fill(0x31, 12, 13)],
  ['another command', (bytes: Buffer) => bytes.fill(0x22, 12, 13)],
  ['a length that is none', (bytes: Buffer) => bytes.fill(0xff, 14, 16)],
  ['addresses that are cut off', (bytes: Buffer) => bytes.fill(0, 14, 15).fill(5, 15, 16)],
])('%s is refused', (_, change) => {
  expect(() => read(change(proxyHeader('203.0.113.9', 1)))).toThrow(faulty)
})

test('no bytes do more than be refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.uint8Array({ maxLength: 64 }), (head, rest) => {
      try {
        readProxySource(readProxyHead(Buffer.from(head)), Buffer.from(rest))
      } catch (error) {
        expect(error).toMatchObject({ name: 'Fault' })
      }
    }),
  )
})
