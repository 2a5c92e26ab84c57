import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isMisnamed, readHost, readUser, readUserWithin } from '../../../src/protocols/ssh/naming.ts'

const menu = { kind: 'menu' }
const session = (role: string, resource: string) => ({ kind: 'session', resource, role })

test.each([
  ['ops@web-1', session('ops', 'web-1')],
  ['ops+web-1', session('ops', 'web-1')],
  ['a_b-9@x_y-0', session('a_b-9', 'x_y-0')],
  ['ops', menu],
  ['', menu],
  ['@web', menu],
  ['ops@', menu],
  ['+', menu],
  ['Ops@web', menu],
  ['a@b@c', menu],
  ['a+b@c', menu],
  ['a+b+c', menu],
  ['ops@we b', menu],
  ['ops@web\n', menu],
  [`${'r'.repeat(63)}@${'s'.repeat(63)}`, session('r'.repeat(63), 's'.repeat(63))],
  [`${'r'.repeat(64)}@s`, menu],
  [`ops@${'s'.repeat(100_000)}`, menu],
])('the user name %j', (user, wanted) => {
  expect(readUser(user)).toEqual(wanted)
})

test.each([
  ['alice', false],
  ['', false],
  ['ops@web-1', false],
  ['Ops@web-1', true],
  ['ops+', true],
  ['alice@example.com', true],
])('whether %j was meant to name something', (user, meant) => {
  expect(isMisnamed(user)).toBe(meant)
})

test('every pair of names comes through, with either sign', () => {
  const name = fc.stringMatching(/^[a-z0-9_-]{1,63}$/)
  fc.assert(
    fc.property(name, name, fc.constantFrom('@', '+'), (role, resource, sign) => {
      expect(readUser(`${role}${sign}${resource}`)).toEqual(session(role, resource))
    }),
  )
})

test('within a jump the resource is known', () => {
  expect(readUserWithin('ops', 'web')).toEqual(session('ops', 'web'))
  expect(readUserWithin('ops@web', 'web')).toEqual(session('ops', 'web'))
  expect(readUserWithin('ops@db', 'web')).toBeUndefined()
  expect(readUserWithin('Who?', 'web')).toBeUndefined()
})

test('a host of a jump is a resource, alone or with a domain', () => {
  expect(readHost('web-1')).toBe('web-1')
  expect(readHost('WEB-1.internal.example')).toBe('web-1')
  for (const host of ['', '.web', '[::1]', 'we b', 'w'.repeat(64), `w.${'x'.repeat(300)}`]) {
    expect(readHost(host)).toBeUndefined()
  }
})
