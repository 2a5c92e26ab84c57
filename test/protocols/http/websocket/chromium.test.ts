import { expect, test } from 'vitest'
import { Fault } from '../../../../src/kernel/fault.ts'
import { openBrowser } from '../../../clients/browser.ts'
import { accepted, message, startRelayed } from './relayed.ts'

test('a browser reads why its WebSocket was cut, as much of it as fits', async () => {
  await using relayed = await startRelayed({ tls: true })
  await using chromium = await openBrowser([relayed.certificate])
  const page = await chromium.page()
  const far = accepted(relayed.server)
  const seen = page.evaluate(
    async (url) =>
      await new Promise((resolve) => {
        const socket = new WebSocket(url)
        socket.onopen = () => socket.send('open')
        socket.onclose = ({ code, reason, wasClean }) => resolve({ code, reason, wasClean })
      }),
    relayed.url,
  )
  const { relay } = await relayed.next()
  await message(await far)
  relay.cut(new Fault('GRANT_REVOKED', 'Your access to “größer” was revoked. '.repeat(5)))
  const why = 'Your access to “größer” was revoked. '.repeat(5)
  const { reason, ...end } = (await seen) as { reason: string }
  expect(end).toEqual({ code: 1008, wasClean: true })
  expect(Buffer.byteLength(reason)).toBeGreaterThan(118)
  expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(123)
  expect(reason.endsWith('…')).toBe(true)
  expect(why.startsWith(reason.slice(0, -1))).toBe(true)
  expect((await relay.over).by).toBe('gate')
})
