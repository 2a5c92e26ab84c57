import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { plainAddress } from '../../src/identity/address.ts'
import { newCode, readCode } from '../../src/identity/code.ts'
import { FailureLimit } from '../../src/identity/failure-limit.ts'
import { profileOf } from '../../src/identity/profile.ts'
import { bounded, isLoopback } from '../../src/identity/provider-fetch.ts'
import { safeReturnTo } from '../../src/identity/return-to.ts'
import { createSeal } from '../../src/identity/seal.ts'
import { SeenOnce } from '../../src/identity/seen-once.ts'
import { systemRandom } from '../../src/system.ts'
import { HandClock } from '../clock.ts'

const gateway = new URL('https://gw.example.test')

describe('where to go on to', () => {
  test.for(['/', '/requests/7', '/s/KF7X-R2MD?x=1#y', '/a//b'])('%s stays', (path) => {
    expect(safeReturnTo(path, gateway)).toBe(path)
  })

  test.for([
    ...[
      '',
      'https://evil.example/',
      '//evil.example',
      '/\\evil.example',
      '\\\\evil.example',
      '/\t/evil.example',
      '/\n/evil',
    ],
    ...[
      '/.//evil.example',
      '/x/..//evil.example',
      '/%2e//evil.example',
      'javascript:alert(1)',
      ' //evil.example',
      '/a\u0000',
    ],
    `/${'x'.repeat(3000)}`,
  ])('%j becomes /', (path) => {
    expect(safeReturnTo(path, gateway)).toBe('/')
  })

  test('whatever comes in, what goes out stays on the gateway, however often it is resolved', () => {
    const piece = fc.constantFrom(
      '/',
      '\\',
      '.',
      '..',
      '//',
      'evil.example',
      '@',
      ':',
      '?',
      '#',
      '%2f',
      '%5c',
      '\t',
      '\n',
      ' ',
      'a',
    )
    const odd = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(''))
    fc.assert(
      fc.property(fc.oneof(odd, fc.webUrl(), fc.string({ unit: 'binary' })), (text) => {
        const once = safeReturnTo(text, gateway)
        expect(once).toMatch(/^\/(?![/\\])/)
        expect(new URL(once, gateway).origin).toBe(gateway.origin)
        expect(safeReturnTo(once, gateway)).toBe(once)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('codes', () => {
  test('have no letters that look alike, and are read however they are typed', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 8, maxLength: 8 }), (bytes) => {
        const code = newCode({ ...systemRandom, bytes: () => bytes })
        expect(code).toMatch(/^[2-9A-HJ-NP-Z]{4}-[2-9A-HJ-NP-Z]{4}$/)
        for (const typed of [code, code.toLowerCase(), code.replace('-', ''), ` ${code} `])
          expect(readCode(typed)).toBe(code)
      }),
    )
  })

  test('every one of the 32 letters comes equally often', () => {
    const letters = new Set(
      Array.from({ length: 256 }, (_, byte) => newCode({ ...systemRandom, bytes: () => new Uint8Array(8).fill(byte) })),
    )
    expect(letters.size).toBe(32)
  })

  test.for(['', 'KF7X', 'KF7X-R2M0', 'KF7X-R2MDX', "KF7X'R2MD", 'KF7X--R2MD'])('%j is none', (typed) => {
    expect(readCode(typed)).toBeUndefined()
  })
})

describe('what is sealed', () => {
  const key = systemRandom.bytes(32)
  const seal = createSeal(key, 'test', systemRandom)

  test('opens for its key, its purpose and its context only, and with not one bit changed', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.nat(), (text, at) => {
        const sealed = seal.close(text, 'here')
        expect(seal.open(sealed, 'here')).toBe(text)
        expect(seal.open(sealed, 'there')).toBeUndefined()
        expect(createSeal(key, 'other', systemRandom).open(sealed, 'here')).toBeUndefined()
        const bytes = Buffer.from(sealed, 'base64url')
        bytes[at % bytes.length]! ^= 1 << (at % 8)
        expect(seal.open(bytes.toString('base64url'), 'here')).toBeUndefined()
      }),
    )
  })

  test('rubbish does not open', () => {
    fc.assert(fc.property(fc.string(), (text) => seal.open(text, 'here') === undefined))
  })
})

describe('limits', () => {
  test('failures count per address and are forgotten after their window', () => {
    const clock = new HandClock()
    const limit = new FailureLimit(clock, 2, 1000)
    expect([limit.count('a'), limit.count('a'), limit.count('a'), limit.count('b')]).toEqual([true, true, false, true])
    expect([limit.reached('a'), limit.reached('b')]).toEqual([true, false])
    clock.pass(1000)
    expect([limit.reached('a'), limit.count('a')]).toEqual([false, true])
  })

  test('something used once is known as used until it is over', () => {
    const clock = new HandClock()
    const seen = new SeenOnce(clock, 1000)
    expect([seen.first('x'), seen.first('x'), seen.first('y')]).toEqual([true, false, true])
    clock.pass(1000)
    expect(seen.first('x')).toBe(true)
  })
})

describe('the provider over plain http', () => {
  test.for(['http://localhost', 'http://127.0.0.1:9', 'http://[::1]:9', 'http://id.localhost'])('%s may', (url) => {
    expect(isLoopback(new URL(url))).toBe(true)
  })
  test.for(['http://127.evil.example', 'http://localhost.evil.example', 'http://10.0.0.1', 'http://evillocalhost'])(
    '%s may not',
    (url) => {
      expect(isLoopback(new URL(url))).toBe(false)
    },
  )
  test('is not asked anything, even when the metadata names it', async () => {
    const asked: string[] = []
    const fetch = bounded(async (url) => (asked.push(url), new Response('{}')))
    await expect(fetch('http://10.0.0.1/token')).rejects.toMatchObject({ code: 'SIGN_IN_FAILED' })
    expect(asked).toEqual([])
  })
})

test.each([
  '\u202ekim@a.example',
  '\ufeffkim@a.example',
  'kim@a.example\0',
  '\u00a0kim@a.example',
  'k\u200bim@a.example',
])('an address with what nobody sees is not that of somebody else: %j', (email) =>
  expect(profileOf({ email, email_verified: true }, 'groups').email).toBeNull(),
)

test('groups are a set of names; one name alone is one group', () => {
  expect(profileOf({ groups: ['b', 'a', 'b'] }, 'groups').groups).toEqual(['a', 'b'])
  expect(profileOf({ roles: 'a' }, 'roles').groups).toEqual(['a'])
  expect(profileOf({}, 'groups').groups).toEqual([])
  expect(profileOf({ name: ' Kim\u202e\u2066gnoL\n' }, 'groups').name).toBe('Kim  gnoL')
  const emailOf = (claims: object) => profileOf({ email: 'kim@example.com', ...claims }, 'groups').email
  for (const said of [true, 'true', undefined]) expect(emailOf({ email_verified: said })).toBe('kim@example.com')
  for (const said of [false, 'false', 'False', 'no', 0, null]) expect(emailOf({ email_verified: said })).toBeNull()
  for (const groups of [[1], [''], { a: 1 }, 7, Array.from({ length: 1001 }, String)]) {
    expect(() => profileOf({ groups }, 'groups')).toThrow('not a list')
  }
})

test('claims that policies ask about are kept as lists, and nothing that they could miss passes', () => {
  const claims = { department: 'engineering', level: 3, oncall: true, sites: ['berlin', 'oslo'], other: 'x' }
  expect(profileOf(claims, 'groups', ['department', 'level', 'oncall', 'sites', 'absent']).claims).toEqual({
    ...{ department: ['engineering'], level: ['3'], oncall: ['true'], sites: ['berlin', 'oslo'], absent: [] },
  })
  expect(profileOf(claims, 'groups')).not.toHaveProperty('claims')
  for (const odd of [{ a: 1 }, [{}], '', 'x'.repeat(257)]) {
    expect(() => profileOf({ odd }, 'groups', ['odd'])).toThrow('not a list')
  }
})

test('an address has one spelling', () => {
  expect(plainAddress('::ffff:203.0.113.9')).toBe('203.0.113.9')
  expect(plainAddress('2001:DB8::1')).toBe('2001:db8::1')
})
