import fc from 'fast-check'
import { expect, test } from 'vitest'
import { sharing } from '../../src/sessions/share.ts'

test('says what it said before, whatever else is known', () => {
  const value = fc.dictionary(fc.constantFrom('a', 'b', 'c', '__proto__'), fc.jsonValue(), { noNullPrototype: true })
  fc.assert(
    fc.property(value, value, (fresh, known) => {
      expect(sharing(fresh, known)).toEqual(fresh)
    }),
  )
})

test('keeps once what is the same, and only that', () => {
  class Own {}
  const own = new Own()
  const known = { person: { name: 'Ada', groups: ['x', 'y'] }, list: [1], own, port: 1 }
  const fresh = { person: { name: 'Ada', groups: ['x', 'y'] }, list: { 0: 1 }, own: new Own(), port: 2 }
  const shared = sharing<object>(fresh, known) as typeof fresh
  expect(shared.person).toBe(known.person)
  expect(shared.list).toBe(fresh.list)
  expect(shared.own).toBe(fresh.own)
  expect(shared.port).toBe(2)
  expect(sharing({ ...known, person: structuredClone(known.person) }, known)).toBe(known)
  expect(sharing(fresh, undefined)).toBe(fresh)
})
