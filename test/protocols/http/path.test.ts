// Goal: a path has one reading, and the target gets exactly the one that was judged.
// Method: a table of tricks, and properties over paths made of the pieces that tricks are made of.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isAmbiguous, normalisePath } from '../../../src/protocols/http/path.ts'
import { codeOf } from '../../fault-code.ts'

const pieces = [
  ...['/', '/', '//', '.', '..', '...', 'a', 'B', '~', '%2e', '%2E%2E', '.%2e', '%61', '%7E', '%7e', '%252e', '%252f'],
  ...[
    '%C3%A9',
    '%c3%a9',
    '%E2%82%AC',
    '%3b',
    '%3F',
    '%23',
    ';x',
    ';',
    '*',
    ':',
    '@',
    '%40',
    '%',
    '%2',
    '%2f',
    '%5c',
    '%00',
  ],
  ...['%c0%af', '%ff', '\\', 'é', ' ', '?', '#', 'x=1'],
]
const anyPath = fc.array(fc.constantFrom(...pieces), { maxLength: 12 }).map((parts) => `/${parts.join('')}`)
const readablePath = anyPath.filter((path) => !isAmbiguous(path))

describe('tables', () => {
  test.each([
    ['/', '/'],
    ['/a/b', '/a/b'],
    ['/a/', '/a/'],
    ['/%61%2D%5f', '/a-_'],
    ['/%c3%a9', '/%C3%A9'],
    ['/a/./b/../c', '/a/c'],
    ['/a/%2e%2E/b', '/b'],
    ['/a/b/..', '/a/'],
    ['/a/.', '/a/'],
    ['/../../a', '/a'],
    ['//a///b//', '/a/b/'],
    ['/a//../b', '/b'],
    ['/%252e%252e/a', '/%252e%252e/a'],
    ['/a%3Bb%40%21', '/a%3Bb%40%21'],
    ['/a;v=1/b', '/a;v=1/b'],
    ['/...', '/...'],
  ])('%s is %s', (given, expected) => {
    expect(normalisePath(given)).toEqual({ path: expected, query: '' })
  })

  test('a query stays as it came', () => {
    expect(normalisePath('/a/../b?x=%2f../%zz#?')).toEqual({ path: '/b', query: '?x=%2f../%zz#?' })
  })

  test.each([
    ...['/a%2fb', '/a%2Fb', '/a%5cb', '/a\\b', '/%00', '/%0d%0a', '/%7f', '/a%', '/a%2', '/a%zz', '/%c0%ae', '/%c0%af'],
    ...['/%e0%80%af', '/%ff', '/%ed%a0%80', '/%c3', '/%c3/%a9', '/..;/a', '/..;x=1', '/.;/a', '/;/a', '/%2e%2e;/a'],
    ...['/..%3b/a', '/%2e%3Bx', '/%3b/a', '/é', '/a b', '/a\tb', '/a#b', '*', '', 'a', 'http://a/'],
  ])('%s is refused', (given) => {
    expect(codeOf(() => normalisePath(given))).toBe('REQUEST_NOT_COVERED')
    expect(isAmbiguous(given)).toBe(true)
  })
})

describe('properties', () => {
  test('normalising twice changes nothing', () => {
    fc.assert(
      fc.property(readablePath, (path) => {
        const once = normalisePath(path)
        expect(normalisePath(once.path + once.query)).toEqual(once)
      }),
      { numRuns: 2000 },
    )
  })

  test('no dot segment and no empty segment is left, however a target decodes once', () => {
    fc.assert(
      fc.property(readablePath, (path) => {
        const segments = decodeURIComponent(normalisePath(path).path).split('/').slice(1)
        for (const [index, segment] of segments.entries()) {
          const bare = segment.split(';', 1)[0]!
          expect(['.', '..']).not.toContain(bare)
          if (index < segments.length - 1) expect(bare).not.toBe('')
        }
      }),
      { numRuns: 2000 },
    )
  })

  test('what the URL standard makes of it is what we make of it, slashes apart', () => {
    const plainSlashes = readablePath.filter((path) => !path.includes('//') && !/\/(?:\.|%2e)+\//i.test(path))
    fc.assert(
      fc.property(plainSlashes, (path) => {
        const ours = normalisePath(path).path
        expect(decodeURIComponent(ours)).toBe(decodeURIComponent(new URL(path.split('?', 1)[0]!, 'https://a').pathname))
      }),
    )
  })

  test('reserved characters are neither decoded nor encoded', () => {
    const reserved = (path: string) =>
      path.match(/[!$&'()*+,;=:@]|%(?:2[1346-9A-C]|3[ABDF]|40|5[BD]|23|25)/gi)?.map((text) => text.toUpperCase()) ?? []
    const noDots = readablePath.filter((path) => !/(?:\.|%2e)/i.test(path))
    fc.assert(
      fc.property(noDots, (path) => {
        expect(reserved(normalisePath(path).path)).toEqual(reserved(path.split('?', 1)[0]!))
      }),
    )
  })
})
