// Goal: what a role covers is decided by the path that the target sees, and a doubt counts against the request.
// Method: tables of rules and requests; globs against a naive matcher that tries everything; a path made to be slow.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Fault } from '../../../src/kernel/fault.ts'
import { compileRules } from '../../../src/protocols/http/rules.ts'
import type { HttpRule } from '../../../src/resources/catalogue.ts'
import { codeOf } from '../../fault-code.ts'

const rule = (paths: readonly string[], methods: readonly string[] = []): HttpRule => ({ paths, methods })
const allowing = (...allow: HttpRule[]) => compileRules({ allow, deny: [] })
const denying = (...deny: HttpRule[]) => compileRules({ allow: [], deny })

function judged(rules: ReturnType<typeof compileRules>, method: string, path: string): string {
  const verdict = rules.judge(method, path)
  return verdict instanceof Fault ? verdict.code : verdict.path
}
const refused = 'REQUEST_NOT_COVERED'

test('without rules a path goes through as it came', () => {
  const rules = compileRules({ allow: [], deny: [] })
  expect(rules.all).toBe(true)
  for (const path of ['*', '/a/../%2f//b?x', '/%zz']) expect(judged(rules, 'OPTIONS', path)).toBe(path)
})

test('the target gets the path that was judged', () => {
  const rules = allowing(rule(['/api/**']))
  expect(rules.all).toBe(false)
  expect(judged(rules, 'GET', '/x/%2e%2e//api/%61?q=%2f..')).toBe('/api/a?q=%2f..')
  expect(judged(rules, 'GET', '/api/../admin')).toBe(refused)
  expect(judged(rules, 'OPTIONS', '*')).toBe(refused)
})

describe('methods', () => {
  test('HEAD goes where GET goes, and not the other way round', () => {
    const rules = allowing(rule(['/r'], ['GET']), rule(['/h'], ['HEAD']))
    expect(judged(rules, 'HEAD', '/r')).toBe('/r')
    expect(judged(rules, 'POST', '/r')).toBe(refused)
    expect(judged(rules, 'GET', '/h')).toBe(refused)
    expect(judged(denying(rule([], ['GET'])), 'HEAD', '/r')).toBe(refused)
  })

  test('without methods every one fits; deny wins over allow', () => {
    const rules = compileRules({ allow: [rule(['/**'])], deny: [rule(['/**'], ['DELETE'])] })
    expect(judged(rules, 'PROPFIND', '/a')).toBe('/a')
    expect(judged(rules, 'DELETE', '/a')).toBe(refused)
  })
})

describe('globs', () => {
  test.each([
    ['/a/*', '/a/b', true],
    ['/a/*', '/a/b/c', false],
    ['/a/*', '/a', false],
    ['/a/**', '/a', true],
    ['/a/**', '/a/', true],
    ['/a/**', '/a/b/c', true],
    ['/a/**', '/ab', false],
    ['/**/x', '/x', true],
    ['/**/x', '/a/b/x', true],
    ['/**/x/**/y', '/x/x/y/z/y', true],
    ['/a*c', '/abbc', true],
    ['/a*c', '/ac', true],
    ['/a*c', '/a/c', false],
    ['/a*b*b', '/ab', false],
    ['/*.json', '/x.json', true],
    ['/A', '/a', false],
    ['/a', '/a/', false],
    ['/a b/ö', '/a%20b/%C3%B6', true],
    ['/%61/../b', '/b', true],
    ['/a:b', '/a%3Ab', true],
    ['/a%2Ab', '/axb', false],
    ['/a%2Ab', '/a*b', true],
    ['/', '/', true],
    ['/', '/a', false],
  ])('%s and %s: %s', (glob, path, fits) => {
    expect(judged(allowing(rule([glob])), 'GET', path)).toBe(fits ? path : refused)
  })

  test.each(['/a?b=1', 'a', '/a%2fb', '', '/..;/a'])('%s is no rule', (glob) => {
    expect(codeOf(() => allowing(rule([glob])))).toBe('CONFIG_INVALID')
  })
})

// What stands on the left is refused by the rule on the right.
describe('a deny cannot be walked around', () => {
  test.each([
    ['/admin/users', '/admin/**'],
    ['//admin/users', '/admin/**'],
    ['/%61dmin/users', '/admin/**'],
    ['/x/../admin/users', '/admin/**'],
    ['/admin;v=1/users', '/admin/**'],
    ['/admin%3Bv=1/users', '/admin/**'],
    ['/x;/..;/admin', '/admin/**'],
    ['/admin/', '/admin'],
    ['/admin', '/admin/'],
    ['/admin/.', '/admin'],
    ['/a%3Ab', '/a:b'],
    ['/a%2Cb', '/a,b'],
    ['/admin%2fusers', '/admin/**'],
    ['/.git/config', '/**/.git/**'],
    ['/', '/'],
  ])('%s by %s', (path, glob) => {
    expect(judged(denying(rule([glob])), 'GET', path)).toBe(refused)
  })

  test('what is beside it passes', () => {
    const rules = denying(rule(['/admin/**', '/reports/*']))
    for (const path of ['/', '/administrator', '/x/admin', '/reports', '/reports/a/b']) {
      expect(judged(rules, 'GET', path)).toBe(path)
    }
  })
})

test('parameters behind a semicolon must be allowed with and without', () => {
  expect(judged(allowing(rule(['/a;x/b'])), 'GET', '/a;x/b')).toBe(refused)
  expect(judged(allowing(rule(['/a*/b'])), 'GET', '/a;x/b')).toBe('/a;x/b')
})

/** Tries everything, in exponential time. */
function naive(glob: readonly string[], path: readonly string[]): boolean {
  const [head, ...rest] = glob
  if (head === undefined) return path.length === 0
  if (head === '**') return naive(rest, path) || (path.length > 0 && naive(glob, path.slice(1)))
  return path.length > 0 && naiveSegment(head, path[0]!) && naive(rest, path.slice(1))
}
function naiveSegment(glob: string, text: string): boolean {
  if (glob === '') return text === ''
  if (glob[0] === '*') return naiveSegment(glob.slice(1), text) || (text !== '' && naiveSegment(glob, text.slice(1)))
  return glob[0] === text[0] && naiveSegment(glob.slice(1), text.slice(1))
}

test('globs are what trying everything says they are', () => {
  const globSegment = fc.oneof(
    fc.constant('**'),
    fc.array(fc.constantFrom('a', 'b', '*'), { minLength: 1, maxLength: 5 }).map((text) => text.join('')),
  )
  const globs = fc.array(globSegment, { minLength: 1, maxLength: 5 })
  const paths = fc.array(
    fc.array(fc.constantFrom('a', 'b'), { minLength: 1, maxLength: 4 }).map((text) => text.join('')),
    { minLength: 1, maxLength: 6 },
  )
  fc.assert(
    fc.property(globs, paths, (glob, path) => {
      // Within a segment two stars are one.
      const single = glob.map((segment) => (segment === '**' ? segment : segment.replaceAll(/\*+/g, '*')))
      fc.pre(single.every((segment, index) => segment !== '*' || glob[index] === '*'))
      const text = `/${path.join('/')}`
      expect(judged(allowing(rule([`/${glob.join('/')}`])), 'GET', text) === text).toBe(naive(single, path))
    }),
    { numRuns: 5000 },
  )
})

test('a path made to be slow is not', () => {
  const stars = `/${'*a'.repeat(50)}b`
  const runs = `/${'**/a/'.repeat(50)}b`
  const rules = allowing(rule([stars, runs]))
  const started = performance.now()
  expect(judged(rules, 'GET', `/${'a'.repeat(16_000)}`)).toBe(refused)
  expect(judged(rules, 'GET', `/${'a/'.repeat(8000)}c`)).toBe(refused)
  expect(performance.now() - started).toBeLessThan(5000)
})
