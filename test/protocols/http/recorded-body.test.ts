import fc from 'fast-check'
import { expect, test } from 'vitest'
import { recordBody } from '../../../src/protocols/http/recorded-body.ts'
import { HandRecorder } from './websocket/relayed.ts'

function start(types: readonly string[], bytesMax: number, type: string | null, encoding: string | null = null) {
  const recorder = new HandRecorder()
  const body = recordBody({ recorder, n: 3, direction: 'down', type, encoding, settings: { types, bytesMax } })!
  return { recorder, body }
}

test('a body is written as it passes, with type and encoding on its first part', () => {
  const { recorder, body } = start(['application/json'], 100, 'application/json; charset=utf-8', 'gzip')
  body.take(Buffer.alloc(0))
  body.take(Buffer.from('{"a":'))
  body.take(Buffer.from('1}'))
  body.end()
  body.take(Buffer.from('late'))
  expect(recorder.events).toEqual([
    {
      code: '=b',
      data: { n: 3, direction: 'down', type: 'application/json; charset=utf-8', encoding: 'gzip', bytes: 5 },
      bytes: Buffer.from('{"a":'),
    },
    { code: '=b', data: { n: 3, direction: 'down', bytes: 2 }, bytes: Buffer.from('1}') },
  ])
})

test('of any body exactly as much is written as the role says, and what is left out is told once', () => {
  const chunks = fc.array(fc.uint8Array({ maxLength: 30 }), { maxLength: 8 })
  fc.assert(
    fc.property(chunks, fc.nat(100), fc.boolean(), (list, bytesMax, whole) => {
      const { recorder, body } = start(['*/*'], bytesMax, 'text/plain')
      for (const chunk of list) body.take(Buffer.from(chunk))
      body.end(whole)
      const all = Buffer.concat(list)
      const written = Buffer.concat(recorder.events.flatMap(({ bytes }) => bytes ?? []))
      expect(written).toEqual(all.subarray(0, bytesMax))
      const why = all.length > bytesMax ? ['longer'] : whole ? [] : ['ended']
      const told = recorder.events.filter(({ code }) => code === 'bx').map(({ data }) => data)
      expect(told).toEqual(why.map((word) => ({ n: 3, direction: 'down', why: word })))
    }),
  )
})

test('a large chunk is written in parts that a recorder takes', () => {
  const { recorder, body } = start(['*'], 3 * 1024 * 1024, null)
  body.take(Buffer.alloc(2.5 * 1024 * 1024))
  expect(recorder.events.map(({ bytes }) => bytes?.length)).toEqual([1024 * 1024, 1024 * 1024, 512 * 1024])
})

test('a body of another type is told, if there is one', () => {
  const { recorder, body } = start(['application/json'], 100, 'image/png')
  body.take(Buffer.alloc(0))
  expect(recorder.events).toEqual([])
  body.take(Buffer.from('png'))
  body.take(Buffer.from('png'))
  body.end(false)
  expect(recorder.events).toEqual([{ code: 'bx', data: { n: 3, direction: 'down', why: 'type' } }])
})

test('without settings or a recording there is nothing to do', () => {
  const recorder = new HandRecorder()
  const facts = { recorder, n: 1, direction: 'up', type: 'text/plain', encoding: null } as const
  expect(recordBody({ ...facts, settings: null })).toBeNull()
  recorder.active = false
  expect(recordBody({ ...facts, settings: { types: ['*/*'], bytesMax: 10 } })).toBeNull()
})

test.each([
  ['application/json', 'Application/JSON ;charset=utf-8', true],
  ['application/json', 'application/jsonp', false],
  ['application/json', 'xapplication/json', false],
  ['text/*', 'text/html', true],
  ['text/*', 'context/html', false],
  ['*/*', 'image/png', true],
  ['*/*', null, false],
  ['*', null, true],
  ['application/*+json', 'application/problem+json', true],
  ['application/*+json', 'application/+json', true],
  ['application/*+json', 'application/json', false],
  ['a/*b*b', 'a/b', false],
  ['a/*b*b', 'a/xbxb', true],
  ['a/*b*c', 'a/bbc', true],
  ['text/x.y', 'text/xzy', false],
])('%s covers %s: %s', (glob, type, covers) => {
  const { recorder, body } = start([glob], 10, type)
  body.take(Buffer.from('a'))
  expect(recorder.events[0]?.code).toBe(covers ? '=b' : 'bx')
})
