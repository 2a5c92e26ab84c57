// Goal: who takes long over signing in still gets where they wanted to go.
// Method: real pages and a real provider; only the clock of the identity room is turned by hand.
import { expect, test } from 'vitest'
import { HandClock } from '../clock.ts'
import { startPages } from './harness.ts'

test('an answer that comes too late begins the sign-in anew, to the same place', async () => {
  const identityClock = new HandClock()
  await using pages = await startPages({ identityClock })
  const begun = await pages.stranger().get('/sign-in?to=/ask%3Fresource%3Dstaging')
  const cookie = begun.headers
    .getSetCookie()
    .map((line) => line.split(';')[0]!)
    .join('; ')
  const state = new URL(begun.headers.get('location')!).searchParams.get('state')!
  identityClock.pass(11 * 60_000)
  const callback = `/sign-in/callback?state=${state}&code=x`
  const back = await pages.stranger().get(callback, { cookie })
  expect(back).toMatchObject({ status: 303, location: '/sign-in?to=%2Fask%3Fresource%3Dstaging' })
  expect(back.headers.getSetCookie()).toEqual([
    expect.stringMatching(/^__Host-curfew-flow-[\w-]{8}=; Path=\/; Max-Age=0;/),
  ])
  const again = await pages.stranger().get(back.location!)
  expect(again.status).toBe(303)
  const withoutCookie = await pages.stranger().get(callback)
  expect(withoutCookie.text).toContain('This sign-in was not begun in this browser')
})
