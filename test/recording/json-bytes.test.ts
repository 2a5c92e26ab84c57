import fc from 'fast-check'
import { expect, test } from 'vitest'
import { JsonBytes, writeDecimal } from '../../src/recording/json-bytes.ts'

test('decimals are written as JSON has them', () => {
  const values = fc.oneof(
    fc.nat(2_000_000),
    fc.maxSafeInteger().map(Math.abs),
    fc.constantFrom(0, 1, 10, 999_999, 1e6, 1_000_001),
  )
  fc.assert(
    fc.property(values, fc.constantFrom(0, 3, 6), (value, decimals) => {
      const target = Buffer.alloc(40)
      const end = writeDecimal(target, 3, value, decimals)
      const text = target.toString('latin1', 3, end)
      const scale = 10 ** decimals
      const digits = String(value).padStart(decimals + 1, '0')
      // Above 2^53 / 10^6 whole seconds a double has fewer digits than we write; nobody records that long.
      if (value < 1e15) expect(text).toBe(JSON.stringify(value / scale))
      expect(
        BigInt(text.replace('.', '').padEnd(1, '0')) * 10n ** BigInt(decimals - (text.split('.')[1]?.length ?? 0)),
      ).toBe(BigInt(digits))
    }),
    { numRuns: 200 },
  )
})

test('a text is written as JSON has it, or refused', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary-ascii', maxLength: 60 }),
    fc.string({ unit: fc.constantFrom('a', 'ä', '\u2028', '😀', '\0', '"'), maxLength: 12 }),
  )
  fc.assert(
    fc.property(text, fc.nat(5), (value, from) => {
      const bytes = Buffer.from(`${'#'.repeat(from)}${value}#`)
      const json = new JsonBytes(1024)
      json.raw(Buffer.from('['))
      const written = json.ascii(bytes, from, bytes.length - 1)
      const plain = Array.from(value).every((one) => one < '\x80' && JSON.stringify(one).length <= 4)
      expect(written).toBe(plain)
      if (written) expect(json.buffer.toString('utf8', 0, json.length)).toBe(`[${JSON.stringify(value)}`)
    }),
    { numRuns: 200 },
  )
})
