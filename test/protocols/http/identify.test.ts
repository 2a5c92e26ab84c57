// Goal: what ends a token is never outlived by what was remembered of it. Method: a look-up that ends when the test says so.
import { expect, test } from 'vitest'
import type { Change } from '../../../src/kernel/change.ts'
import { Identifier, type IdentifyDeps } from '../../../src/protocols/http/identify.ts'
import { HandClock } from '../../clock.ts'

const place = { resource: 'wiki', host: 'wiki.example.com' }
const token = { id: 'token-1', expiresAt: Infinity }
const person = { id: 'person-1', subject: 'erin', email: null, name: null }
const request = { headers: { 'curfew-token': 'curfew_abc', 'curfew-role': 'reader' } }

function identifier() {
  const lookUps: PromiseWithResolvers<unknown>[] = []
  const listeners: ((change: Change) => void)[] = []
  const verify = () => {
    const lookUp = Promise.withResolvers<unknown>()
    lookUps.push(lookUp)
    return lookUp.promise
  }
  const one = new Identifier({
    identity: { apps: {}, tokens: { verify } },
    access: {},
    changes: {
      subscribe: (listener: (change: Change) => void) => (listeners.push(listener), { [Symbol.dispose]() {} }),
    },
    clock: new HandClock(),
  } as unknown as IdentifyDeps)
  return {
    lookUps,
    tell: (change: object) => listeners.forEach((listener) => listener(change as Change)),
    identify: () => one.identify(request as never, place, '203.0.113.7'),
  }
}

test('a token that holds is looked up once', async () => {
  const { lookUps, identify } = identifier()
  const first = identify()
  lookUps[0]!.resolve({ person, token })
  const known = await first
  expect(identify()).toBe(known)
  expect(lookUps.length).toBe(1)
})

test.each([
  { kind: 'credential-revoked', person: person.id, credential: token.id },
  { kind: 'signed-out', person: person.id, browserSession: null },
  { kind: 'person-changed', person: person.id },
  { kind: 'grant-ended', person: person.id },
])('what is ended by $kind while it is looked up is not remembered', async (change) => {
  const { lookUps, tell, identify } = identifier()
  const first = identify()
  tell(change)
  lookUps[0]!.resolve({ person, token })
  await first
  expect(identify()).toBeInstanceOf(Promise)
  expect(lookUps.length).toBe(2)
})
