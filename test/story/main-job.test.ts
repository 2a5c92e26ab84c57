// Goal: the main job, end to end, as people live it: psql without a grant, sign-in and asking in a browser, approval on
// a phone, psql going on by itself, a running query cut at expiry, replay by security, a recording that proves itself.
// Method: the real psql, Chromium, PostgreSQL, OIDC provider, gateway and command line; nothing stands in for anything.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openBrowser, signInAtProvider, type TestBrowser } from '../clients/browser.ts'
import { Program } from '../clients/program.ts'
import { startTestGateway, type TestGateway } from '../servers/gateway.ts'
import { expectInOrder } from './in-order.ts'

const stack = new AsyncDisposableStack()
let gateway: TestGateway
let browser: TestBrowser

beforeAll(async () => {
  gateway = stack.use(
    await startTestGateway({
      configure: (config) => {
        // Long enough for a slow machine to start the query, short enough to wait for.
        for (const policy of config.policies) policy.for = { default: '10s', most: '1m' }
        config.access = { warnBefore: ['5s'] }
      },
    }),
  )
  browser = stack.use(await openBrowser([gateway.certificate]))
})
afterAll(() => stack.disposeAsync())

test('the main job', { timeout: 120_000 }, async () => {
  await using psql = gateway.psql({
    user: 'readonly',
    commands: [String.raw`\conninfo`, 'select count(*) from customers', 'select pg_sleep(600)'],
    args: ['-v', 'VERBOSITY=verbose', '-v', 'ON_ERROR_STOP=1'],
  })

  // psql prints the link and waits. The engineer opens it, signs in, sees who asks, and lets it in.
  const [link] = await psql.until(/https:\/\/localhost:\d+\/s\/\S+/)
  const engineer = await browser.page()
  await engineer.goto(link)
  await signInAtProvider(engineer, gateway.url.origin, 'alice')
  await engineer.getByText(link.split('/').at(-1)!).first().waitFor()
  await engineer.getByRole('button', { name: 'let it in' }).click()

  // There is no grant yet: psql prints the prefilled request and still waits.
  const [askLink] = await psql.until(/https:\/\/localhost:\d+\/ask\?\S+/)
  await engineer.goto(askLink)
  await engineer.getByLabel('Why').fill('Find the stuck invoices')
  await engineer.getByRole('button', { name: 'Ask' }).click()
  await engineer.waitForURL(/\/requests\//)

  // The approver decides on a telephone.
  const approver = await browser.phonePage()
  await approver.goto(engineer.url())
  await signInAtProvider(approver, gateway.url.origin, 'bob')
  await approver.getByText('Find the stuck invoices').waitFor()
  expect(await approver.evaluate('document.documentElement.scrollWidth <= window.innerWidth'), 'fits the phone').toBe(
    true,
  )
  await approver.getByRole('textbox').fill('go ahead')
  await approver.getByRole('button', { name: 'Approve' }).click()

  // psql goes on by itself, works, is warned, and is cut in the middle of its query.
  await psql.until(/^\d+$/m)
  await gateway.postgres.untilRunning('pg_sleep(600)', 1)
  const { status, stderr } = await psql.exited()
  expect(status).not.toBe(0)
  expect(stderr).toMatch(/FATAL: {2}57P01: Your access to prod-db as readonly ended at /)
  expect(stderr).toMatch(/HINT: {2}\w/)
  expect(stderr).toMatch(/NOTICE.*5 s/s)
  await gateway.postgres.untilSessions({ usename: 'shop_readonly' }, 0)

  // A second look at the approval tells the truth.
  await approver.reload()
  await approver
    .getByText(/approved/i)
    .first()
    .waitFor()

  // Security replays it in the browser.
  const [session] = await gateway.gateway.state.sessions.sessions({ limit: 1 })
  expect(session).toMatchObject({ end: { by: 'gate', code: 'GRANT_EXPIRED' }, session: { role: 'readonly' } })
  const reviewer = await browser.page()
  await reviewer.goto(new URL(`/recordings/${session!.session.id}`, gateway.url).href)
  await signInAtProvider(reviewer, gateway.url.origin, 'sam')
  await seesTimeline(reviewer)

  // The recording proves itself without the gateway, until one byte changes.
  const file = join(gateway.config.gateway.dataFolder, 'recordings', session!.recording!)
  expect(await curfew('verify', file)).toMatchObject({ status: 0 })
  const replay = await curfew('replay', file)
  expect(replay.stdout).toContain('select count(*) from customers')
  expect(replay.stdout).toContain('pg_sleep(600)')
  const bytes = await readFile(file)
  bytes[Math.floor(bytes.length / 2)]! ^= 1
  const changed = join(gateway.folder, 'changed.curfew')
  await writeFile(changed, bytes)
  const keys = join(gateway.config.gateway.dataFolder, 'keys', 'public.jwks')
  expect(await curfew('verify', '--key', keys, changed)).toMatchObject({ status: 1 })

  await expectAudited(session!.session.id)
})

async function seesTimeline(page: Page): Promise<void> {
  await page.getByText('select count(*) from customers').waitFor()
  await page.getByText('pg_sleep(600)').first().waitFor()
  await page.getByText('Sealed and unchanged').waitFor()
}

async function curfew(...args: readonly string[]) {
  await using program = new Program(process.execPath, [join(import.meta.dirname, '../../src/main.ts'), ...args])
  return await program.exited()
}

/** Every step has left its event, in the order it happened. */
async function expectAudited(session: string): Promise<void> {
  const events = (await gateway.gateway.state.audit.events(0, 1000)).map(
    ({ json }) => JSON.parse(json) as { type: string },
  )
  const types = events.map(({ type }) => type)
  const story = [
    'person.signed-in',
    'sign-in.confirmed',
    'session.refused',
    'request.opened',
    'request.approved',
    'grant.started',
    'session.started',
    'session.ended',
    'recording.replayed',
  ]
  expectInOrder(types, story)
  expect(types).toContain('grant.expired')
  expect(JSON.stringify(events)).toContain(session)
}
