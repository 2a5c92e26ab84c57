import fc from 'fast-check'
import { expect, test } from 'vitest'
import { takeOwnSettings } from '../../../src/protocols/postgres/own-settings.ts'
import { codeOf } from '../../fault-code.ts'

const inOptions = (options: string) => takeOwnSettings([['options', options]])

test.each([
  ['-c curfew.reason=INC-7', 'INC-7'],
  ['-ccurfew.reason=INC-7', 'INC-7'],
  ['--curfew.reason=INC-7', 'INC-7'],
  ['-c CURFEW.Reason=INC-7', 'INC-7'],
  ['-c curfew.reason=fix\\ the\\ report', 'fix the report'],
  ["-c curfew.reason='fix the report'", 'fix the report'],
  ['-c curfew.reason="it\'s broken"', "it's broken"],
  ['-c curfew.reason=first -c curfew.reason=last', 'last'],
  ['-c curfew.reason=a\\\\b', 'a\\b'],
  ['-c curfew.reason=', ''],
  ["-c curfew.reason='open", "'open"],
])('%s', (options, reason) => {
  expect(inOptions(options).wish).toMatchObject({ reason })
})

test('the target gets the rest as it was written', () => {
  const { wish, parameters } = inOptions(
    "-c work_mem=8MB -c curfew.reason='fix -c x=1 now'  --search_path=a\\ b -c curfew.for=30m -c curfew.ticket=INC-7",
  )
  expect(wish).toEqual({ reason: 'fix -c x=1 now', lengthMs: 1_800_000, ticket: 'INC-7' })
  expect(parameters.map(([, value]) => value.trim().split(/\s{2,}|(?<=MB) /))).toEqual([
    ['-c work_mem=8MB', '--search_path=a\\ b'],
  ])
})

test('nothing of options is left when all of it was for the gateway, and all of it when nothing was', () => {
  expect(inOptions('-c curfew.for=1h').parameters).toEqual([])
  expect(inOptions('')).toEqual({ wish: null, parameters: [['options', '']] })
  expect(inOptions(' -c a=b\\ ')).toEqual({ wish: null, parameters: [['options', ' -c a=b\\ ']] })
})

test('drivers may send them as parameters', () => {
  const taken = takeOwnSettings([
    ['application_name', 'report'],
    ['curfew.reason', 'monthly report'],
    ['curfew.for', '2h'],
  ])
  expect(taken).toEqual({
    wish: { reason: 'monthly report', lengthMs: 7_200_000, ticket: null },
    parameters: [['application_name', 'report']],
  })
})

test.each([
  ['-c curfew.reasn=x', 'INPUT_INVALID'],
  ['-c curfew.for=soon', 'LENGTH_REFUSED'],
])('%s is refused', (options, code) => {
  expect(codeOf(() => inOptions(options))).toBe(code)
})

test('whatever else stands in options, it reaches the target unchanged', () => {
  const word = fc.string({ unit: fc.constantFrom('a', '=', '-', 'c', '\\', "'", '"', ' ', '.', 'x') })
  fc.assert(
    fc.property(word, (options) => {
      expect(inOptions(options)).toEqual({ wish: null, parameters: [['options', options]] })
    }),
  )
})

test('no text makes it hang or throw anything but a fault', () => {
  const piece = fc.constantFrom('-c ', '--', 'curfew.', 'reason', 'for', '=', "'", '"', '\\', ' ', '30m', 'x')
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      try {
        const { parameters } = inOptions(pieces.join(''))
        expect(parameters.length).toBeLessThanOrEqual(1)
      } catch (error) {
        expect(error).toMatchObject({ name: 'Fault' })
      }
    }),
  )
})
