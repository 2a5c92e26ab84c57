import fc from 'fast-check'
import { expect, test } from 'vitest'
import { sshBoolean, sshByte, SshReader, sshString, sshUint32, SshWireError } from '../../../src/identity/ssh/wire.ts'
import {
  authMessage,
  infoRequest,
  readAuthRequest,
  readInfoResponse,
  readServiceRequest,
  signedBytes,
  type PublicKeyRequest,
} from '../../../src/protocols/ssh/auth/messages.ts'

const strings = (...texts: readonly (string | Buffer)[]) => texts.map((text) => sshString(text))
const request = (method: string, ...rest: readonly Buffer[]) =>
  Buffer.concat([sshByte(authMessage.request), ...strings('ops@web', 'ssh-connection', method), ...rest])

const samples: readonly (readonly [string, Buffer, (bytes: Buffer) => unknown])[] = [
  ['none', request('none'), readAuthRequest],
  ['a key', request('publickey', sshBoolean(false), ...strings('ssh-ed25519', 'blob')), readAuthRequest],
  ['a signature', request('publickey', sshBoolean(true), ...strings('ssh-ed25519', 'blob', 'sig')), readAuthRequest],
  ['keyboard-interactive', request('keyboard-interactive', ...strings('', '')), readAuthRequest],
  ['a service', Buffer.concat([sshByte(5), sshString('ssh-userauth')]), readServiceRequest],
  ['answers', Buffer.concat([sshByte(61), sshUint32(2), ...strings('because', '1h')]), readInfoResponse],
]

test.each(samples)('%s is read whole, and refused when it is cut anywhere or goes on', (_name, bytes, read) => {
  expect(read(bytes)).toMatchObject({})
  for (let length = 0; length < bytes.length; length++) {
    expect(() => read(bytes.subarray(0, length)), `cut at ${length}`).toThrow(SshWireError)
  }
  expect(() => read(Buffer.concat([bytes, Buffer.of(0)]))).toThrow(SshWireError)
})

test('any bytes give a message or SshWireError', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.constantFrom(5, 50, 61), (tail, type) => {
      const bytes = Buffer.concat([Buffer.of(type), tail])
      for (const read of [readServiceRequest, readAuthRequest, readInfoResponse]) {
        try {
          read(bytes)
        } catch (error) {
          expect(error).toBeInstanceOf(SshWireError)
        }
      }
    }),
  )
})

test('methods that are never done here are read as such, whatever follows', () => {
  const password = request('password', sshBoolean(false), ...strings('secret'))
  expect(readAuthRequest(password)).toEqual({ user: 'ops@web', service: 'ssh-connection', method: 'other' })
})

test('what was signed is what was sent, byte by byte', () => {
  const sent = request('publickey', sshBoolean(true), ...strings('ssh-ed25519', 'blob'))
  const read = readAuthRequest(Buffer.concat([sent, sshString('sig')])) as PublicKeyRequest
  expect(signedBytes(Buffer.from('id'), read)).toEqual(Buffer.concat([sshString('id'), sent]))
  const odd = Buffer.concat([
    sshByte(authMessage.request),
    ...strings(Buffer.of(0xff, 0xc3), 'ssh-connection', 'publickey'),
    sshBoolean(true),
    ...strings('ssh-ed25519', 'blob'),
  ])
  const again = readAuthRequest(Buffer.concat([odd, sshString('sig')])) as PublicKeyRequest
  expect(signedBytes(Buffer.from('id'), again)).toEqual(Buffer.concat([sshString('id'), odd]))
})

test('sizes are bounded', () => {
  expect(() => readAuthRequest(request('x'.repeat(65)))).toThrow(SshWireError)
  expect(() => readInfoResponse(Buffer.concat([sshByte(61), sshUint32(17)]))).toThrow(SshWireError)
  expect(() => readInfoResponse(Buffer.concat([sshByte(61), sshUint32(1), sshString('x'.repeat(8193))]))).toThrow()
})

test('a question has its fields in the order of RFC 4256', () => {
  const reader = new SshReader(infoRequest('title', 'words', [{ text: 'Reason: ', echo: true }]), 1)
  expect([reader.text(), reader.text(), reader.text(), reader.uint32()]).toEqual(['title', 'words', '', 1])
  expect([reader.text(), reader.boolean(), reader.left]).toEqual(['Reason: ', true, 0])
})
