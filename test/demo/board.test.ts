import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { expect, test } from 'vitest'
import type { DemoFacts } from '../../scripts/demo/story.ts'
import { openBrowser, signInAtProvider } from '../clients/browser.ts'
import { Program } from '../clients/program.ts'
import { Visitor } from '../clients/visitor.ts'

const main = new URL('../../scripts/demo/main.ts', import.meta.url).pathname

// Goal: the story of the web application as the demo prints it, from the first visit to the end of the access.
// Method: the real command; Chromium is alice, plain visitors are bob and olga.
test('the board: looked at, refused, approved, cut', { timeout: 90_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'curfew-demo-board-'))
  try {
    await using demo = new Program(process.execPath, [main, '--json', '--data', folder], { waitMsMax: 40_000 })
    const [line] = await demo.until(/^\{.*\}$/m)
    const facts = JSON.parse(line) as DemoFacts
    await using browser = await openBrowser([await readFile(join(folder, 'server.pem'), 'utf8')])
    const page = await browser.page()
    await look(page, facts)
    await operate(page, facts)
    await cut(page, facts)
    demo.kill()
    expect(await demo.exited()).toMatchObject({ status: 0, stderr: '' })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

/** Without anybody's approval. */
async function look(page: Page, { board, web }: DemoFacts): Promise<void> {
  await page.goto(board.url)
  await signInAtProvider(page, web.url, 'alice')
  await take(page, 'view')
  await page.getByRole('button', { name: 'Ask' }).click()
  await page.getByText('Live.').waitFor()
  expect(page.url()).toBe(board.url)
  expect(await page.locator('header').innerText()).toContain('Alice Chen as view')

  await page.getByRole('link', { name: 'Who am I' }).click()
  expect(await page.locator('table').innerText()).toMatch(/email\s+alice@shop\.example[^]*aud\s+board/)
  await page.getByRole('link', { name: 'Headers' }).click()
  const headers = await page.locator('table').innerText()
  expect(headers).toMatch(/curfew-assertion\s+ey/i)
  expect(headers).not.toMatch(/^cookie/im)
  const straight = await fetch(`http://${board.target.host}:${board.target.port}/`)
  expect([straight.status, await straight.text()]).toEqual([403, expect.stringContaining('Come through the gateway')])
}

/** Refused at first; who asks as another role is led back by itself. */
async function operate(page: Page, facts: DemoFacts): Promise<void> {
  await page.goto(facts.board.url)
  await page.getByRole('button', { name: 'I look after it' }).first().click()
  await page.getByText('Your role does not cover POST /acknowledge').waitFor()
  await page.goto(new URL(facts.board.as.operate).href)
  await page.locator('[name=reason]').fill('payments are slow')
  await page.getByRole('button', { name: 'Ask' }).click()
  await page.waitForURL(/\/requests\/request-/)
  const request = /request-\w+/.exec(page.url())![0]
  await using bob = await visitor(facts, 'bob')
  await bob.post(new URL(`/approvals/${request}`, facts.web.url), { verdict: 'approve', comment: '' })
  await page.getByText('Alice Chen as operate').waitFor()
  await page.getByRole('button', { name: 'I look after it' }).first().click()
  await page.getByRole('cell', { name: 'Alice Chen' }).waitFor()
}

/** Both of what is open end with the session; the next page says why. */
async function cut(page: Page, facts: DemoFacts): Promise<void> {
  const echo = await page.context().newPage()
  await echo.goto(new URL('/echo', facts.board.url).href)
  await echo.getByText('connected').waitFor()
  await echo.locator('#message').fill('still there?')
  await echo.locator('#message').press('Enter')
  await echo.getByText('« still there?').waitFor()

  await using olga = await visitor(facts, 'olga')
  const sessions = await (await olga.get(new URL('/sessions', facts.web.url))).text()
  const ends = [...sessions.matchAll(/action="(\/sessions\/[^"]+\/end)"/g)].map(([, path]) => path!)
  expect(ends.length).toBeGreaterThan(0)
  for (const path of ends) await olga.post(new URL(path, facts.web.url), { comment: 'enough for today' })
  await echo.getByText(/closed: 1008 .*enough for today/).waitFor()
  await page.getByText('The live updates have ended').waitFor()
}

/** On the page that lets one choose between the roles of an application. */
async function take(page: Page, role: string): Promise<void> {
  await page.locator(`main a[href*="role=${role}"]`).first().click()
}

async function visitor({ caFile, web }: DemoFacts, login: string): Promise<Visitor> {
  const made = new Visitor(await readFile(caFile, 'utf8'))
  await made.open(new URL('/sign-in', web.url), login)
  return made
}
