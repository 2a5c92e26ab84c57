import { createDecipheriv } from 'node:crypto'
import { expect, test } from 'vitest'
import { cipherFactories } from '../../../src/protocols/ssh/library/aes-gcm.ts'
import type { OutboundCipher, OutboundConfig } from '../../../src/protocols/ssh/library/types.ts'

const key = Buffer.alloc(32, 7)
const none = () => {
  throw new Error('not asked for')
}
const { createCipher } = cipherFactories({ createCipher: none, createDecipher: none })

function cipher(onWrite: (bytes: Uint8Array) => void): OutboundCipher {
  const cipherInfo = { sslName: 'aes-256-gcm' }
  const outbound = { seqno: 0, cipherInfo, cipherKey: key, cipherIV: Buffer.alloc(12), onWrite }
  return createCipher({ outbound } as unknown as OutboundConfig)
}

/** The padding's length, the payload, the padding. @throws when the tag is wrong */
function opened(sealed: Buffer): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, Buffer.alloc(12), { authTagLength: 16 })
  decipher.setAAD(sealed.subarray(0, 4)).setAuthTag(sealed.subarray(-16))
  return Buffer.concat([decipher.update(sealed.subarray(4, -16)), decipher.final()])
}

// Goal: a connection inside another one (a jump) loses nothing when a piece of its stream is full in the middle of a field:
// the piece goes into packets of the outer connection at once.
test('a packet stays whole when another connection encrypts before all of it was taken', () => {
  const outer = cipher(() => undefined)
  const taken: Buffer[] = []
  const inner = cipher((bytes) => {
    taken.push(Buffer.from(bytes.subarray(0, 2)))
    outer.encryptMessage!(Buffer.alloc(30_000, 1))
    taken.push(Buffer.from(bytes.subarray(2)))
  })
  inner.encryptMessage!(Buffer.from('what was said'))
  const sealed = Buffer.concat(taken)
  expect(sealed.readUInt32BE(0)).toBe(sealed.length - 4 - 16)
  expect(opened(sealed).toString('latin1')).toContain('what was said')
})

test('no nonce is used twice, whatever a write sets off', () => {
  const taken: Buffer[] = []
  const one = cipher((bytes) => {
    taken.push(Buffer.from(bytes))
    if (taken.length === 1) one.encryptMessage!(Buffer.from('the same words'))
  })
  one.encryptMessage!(Buffer.from('the same words'))
  const [first, second] = taken.filter(({ length }) => length === 32).map((sealed) => sealed.subarray(0, 15))
  expect(first!.equals(second!)).toBe(false)
})
