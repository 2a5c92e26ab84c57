import fc from 'fast-check'
import { expect, test } from 'vitest'
import { globFailure } from '../../src/config/http-glob.ts'
import { isSecretHeader } from '../../src/resources/header-names.ts'
import { recordedHeaders } from '../../src/protocols/http/recorded-parts.ts'
import { compileRules } from '../../src/protocols/http/rules.ts'

// Goal: what the check of the configuration lets pass means something to the gateway. Method: both get the same texts.

const piece = fc.constantFrom(
  ...['/', '/', '*', '**', '.', '..', 'a', 'admin', ' ', 'é', '%20', '%2e', '%2F', '%5c', '%', '%zz', '%c3%a9', '%ff'],
  ...['\\', ';', '?', '#', '\t', '\u007f', '\ud800', '+', '=', '%25', '%3B', '%00'],
)

test('a glob that passes the check is understood, and fits a path that is written like it', () => {
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      const glob = `/${pieces.join('')}`
      if (globFailure(glob) !== undefined) return
      const rules = compileRules({ allow: [{ methods: [], paths: [glob] }], deny: [] })
      // A parameter counts with and without, so a path that has one must be covered in both readings.
      if (/;|%3b/i.test(glob)) return
      const path = encodeURI(glob.replaceAll('*', 'x')).replaceAll('%25', '%')
      const isWritable = !glob.includes('%25')
      if (isWritable) expect(rules.judge('GET', path)).toHaveProperty('path')
    }),
    { numRuns: 5000 },
  )
})

test.each(['/a%2fb', '/a%5Cb', '/a%00', '/%zz', '/%ff', '/a/..;/b', '/a\ud800'])(
  'a glob that the gateway would not start with (%j) fails the check',
  (glob) => {
    expect(() => compileRules({ allow: [{ methods: [], paths: [glob] }], deny: [] })).toThrow('is not a path')
    expect(globFailure(glob)).toBeDefined()
  },
)

test('a header is either refused for recordings, or recorded', () => {
  const word = fc.constantFrom(
    'x',
    'request',
    'id',
    'cookie',
    'token',
    'api',
    'key',
    'session',
    'jwt',
    'csrf',
    'proxy',
    'auth',
  )
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 4 }), fc.constantFrom('-', '_'), (words, joint) => {
      const name = words.join(joint)
      const recorded = recordedHeaders([name, 'x'], new Set([name]))
      expect(recorded.length).toBe(isSecretHeader(name) ? 0 : 1)
    }),
  )
})
