import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compileCondition, ConditionError } from '../../src/policy/condition.ts'
import { globPattern } from '../../src/policy/glob.ts'
import { situation } from './rules.ts'

const result = (text: string, part = {}) => compileCondition(text).evaluate(situation(part))

describe('a condition', () => {
  test.each([
    ['person.email == "Alice@example.com" && person.name == "Alice"'],
    ['"engineers" in person.groups && person.groups.exists(group, group.glob("eng*"))'],
    ['"data" in person.claims.department && person.claims["employer"] == []'],
    ['resource.name.glob("prod-*") && resource.kind == "postgres" && resource.labels.env == "prod"'],
    ['role == "readonly" && request.minutes <= 60 && request.reason != "" && request.ticket == ""'],
    ['client.address.inNetwork("10.0.0.0/8") && !client.address.inNetwork("2001:db8::/32")'],
    ['client.protocol == "postgres"'],
    ['time.hour("Europe/Berlin") == 10 && time.weekday("Europe/Berlin") == "mon"'],
    ['time.hour("America/New_York") == 4'],
    ['"pci" in resource.labels ? false : true'],
  ])('%s', (text) => expect(result(text)).toBe(true))

  test('is open while a fact that matters is not known', () => {
    expect(result('request.minutes < 60', { request: undefined })).toBe('unknown')
    expect(result('client.address == "" || role == "admin"', { client: undefined })).toBe('unknown')
    expect(result('request.minutes < 60 && role == "admin"', { request: undefined })).toBe(false)
    expect(result('role == "readonly" || time.hour("UTC") < 5', { at: undefined })).toBe(true)
  })

  test('that cannot be worked out says why', () => {
    expect(result('resource.labels.team == "x"')).toEqual({ failed: 'No such key: team' })
    expect(result('request.minutes / 0 == 1')).toEqual({ failed: 'division by zero' })
    expect(result('int(request.reason) > 1')).toMatchObject({ failed: expect.any(String) })
  })

  test('knows which claims and whether the time matter', () => {
    const { claims, looksAtTime } = compileCondition('"a" in person.claims.x || person.claims["y"] == ["b"]')
    expect([claims, looksAtTime]).toEqual([['x', 'y'], false])
    expect(compileCondition('person.groups.exists(g, time.hour("UTC") > 3)').looksAtTime).toBe(true)
    expect(compileCondition('has(person.claims.z)').claims).toEqual(['z'])
  })
})

describe('refused when the file is read', () => {
  test.each([
    ['person.email ==', 15, 'Unexpected token: EOF'],
    ['person.mail == "x"', 7, 'No such key: mail'],
    ['user.name == "x"', 0, 'Unknown variable: user'],
    ['role', 0, 'it is a string, and must be true or false'],
    ['role == 5', 0, 'no such overload: string == int'],
    ['true && role.matches("(a+)+$")', 8, 'matches() is not offered, as regular expressions can hang; use glob()'],
    ['person.groups.exists(g, g.matches("x"))', 24, 'matches() is not offered'],
    ['person.groups.all(g, person.groups.exists(h, g == h))', 21, 'exists() stands inside another such call'],
    ['person.groups.map(g, g + g).exists(g, g == "x")', 0, 'map() stands inside another such call'],
    ['time.hour("Berlin") > 3', 10, 'hour() takes a time zone, such as "Europe/Berlin"'],
    ['time.weekday(role) == "mon"', 13, 'weekday() takes a time zone'],
    ['client.address.inNetwork("10.0.0.0/33")', 25, 'inNetwork() takes a network'],
    ['person.claims[role] == []', 14, 'a claim is named by a text'],
    [`role == "${'x'.repeat(2000)}"`, 2000, 'a condition has at most 2000 characters'],
    [Array(150).fill('true').join('&&'), undefined, /nodes/i],
  ])('%.60s', (text, offset, message) => {
    let failure: unknown
    try {
      compileCondition(text)
    } catch (error) {
      failure = error
    }
    expect(failure).toBeInstanceOf(ConditionError)
    const { message: said, offset: place } = failure as ConditionError
    if (typeof message === 'string') expect(said).toContain(message)
    else expect(said).toMatch(message)
    if (offset !== undefined) expect(place).toBe(offset)
  })
})

test('a glob is what a regular expression with .* is, and no star makes it slow', () => {
  const texts = fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 8 })
  const globs = fc.string({ unit: fc.constantFrom('a', 'b', '.', '*'), maxLength: 6 })
  fc.assert(
    fc.property(texts, globs, (text, glob) => {
      const pattern = new RegExp(`^${glob.replaceAll('.', '\\.').replaceAll('*', '.*')}$`)
      expect(globPattern(glob).test(text)).toBe(pattern.test(text))
    }),
    { numRuns: 2000 },
  )
  expect(globPattern(`${'*a'.repeat(500)}*b`).test('a'.repeat(100_000))).toBe(false)
})
