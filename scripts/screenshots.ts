/**
 * `npm run screenshots`: plays the demo's story with real psql and Chromium, and writes docs/images/*.png,
 * docs/images/terminal.txt and the terminal block of README.md. Takes about two and a half minutes: the grant is real.
 */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { Page } from 'playwright-core'
import { openBrowser, signInAtProvider, type TestBrowser } from '../test/clients/browser.ts'
import { startDemo, type Demo } from './demo/start.ts'

const run = promisify(execFile)
const checkout = resolve(import.meta.dirname, '..')
const images = join(checkout, 'docs', 'images')
const stepMsMax = 30_000
const grantMsMax = 150_000

/** A terminal that nobody looks at: psql behaves as it does for people. */
class Terminal implements AsyncDisposable {
  readonly #socket: string

  private constructor(socket: string) {
    this.#socket = socket
  }

  static async open(folder: string): Promise<Terminal> {
    const terminal = new Terminal(join(folder, 'tmux'))
    const env = ['env', '-i', `PATH=${process.env['PATH'] ?? ''}`, 'TERM=xterm', 'LC_ALL=C.UTF-8', 'PS1=$ ', 'PAGER=']
    const shell = [...env, `HOME=${folder}`, '/bin/sh', '-i']
    await terminal.#tmux('-f', '/dev/null', 'new-session', '-d', '-x', '112', '-y', '60', '-c', folder, ...shell)
    return terminal
  }

  async type(line: string): Promise<void> {
    // tmux takes a semicolon at the end for its own.
    await this.#tmux('send-keys', '-l', line.replace(/;$/, String.raw`\;`))
    await this.#tmux('send-keys', 'Enter')
  }

  async text(): Promise<string> {
    const { stdout } = await this.#tmux('capture-pane', '-p', '-J', '-S', '-')
    return stdout.replaceAll(/[ \t]+$/gm, '').trimEnd()
  }

  async until(pattern: RegExp, msMax: number = stepMsMax): Promise<string> {
    const deadline = performance.now() + msMax
    for (;;) {
      const text = await this.text()
      const found = pattern.exec(text)
      if (found !== null) return found[1] ?? found[0]
      if (performance.now() > deadline) throw new Error(`the terminal did not show ${pattern}:\n${text}`)
      await sleep(50)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tmux('kill-server')
  }

  #tmux(...args: string[]): Promise<{ stdout: string }> {
    return run('tmux', ['-S', this.#socket, ...args])
  }
}

await main()

async function main(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'curfew-screenshots-'))
  try {
    await mkdir(images, { recursive: true })
    await using demo = await startDemo({ dataFolder: folder, reset: false, step: (_title, work) => work() })
    await using terminal = await Terminal.open(folder)
    await using browser = await openBrowser([demo.folder.certificate])
    await play(demo, terminal, browser)
    const shown = await terminal.text()
    await writeFile(join(images, 'terminal.txt'), `${shown}\n`)
    await showInReadme(shown)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function play(demo: Demo, terminal: Terminal, browser: TestBrowser): Promise<void> {
  const words = `host=localhost port=${demo.ports.postgres} user=readonly dbname=prod-db sslmode=verify-full sslrootcert=ca.pem`
  // Quiet: the greeting would name this machine's versions.
  await terminal.type(`psql -q "${words}"`)
  const alice = await browser.page({ viewport: { width: 1120, height: 720 } })
  await openAs(alice, await terminal.until(/(https:\S+\/s\/\S+)/), 'alice', demo)
  await shoot(alice, 'sign-in')
  await alice.getByRole('button', { name: /let it in/i }).click()

  await openAs(alice, await terminal.until(/(https:\S+\/ask\S+)/), 'alice', demo)
  await alice.locator('[name=reason]').fill('Customer 231 disputes an invoice; looking for what was sent')
  await shoot(alice, 'ask')
  await alice.getByRole('button', { name: 'Ask', exact: true }).click()
  await approveOnPhone(demo, browser)

  await terminal.until(/prod-db=>/)
  const overdue = `select number, issued_on, due_on from invoices where status = 'overdue' and customer_id = 231;`
  await terminal.type(overdue)
  await terminal.until(/\(\d+ rows?\)/)
  await terminal.type('select pg_sleep(600);')
  await alice.goto(demo.webUrl.href)
  await shoot(alice, 'my-access')
  await lookAtSessions(demo, browser)
  await terminal.until(/FATAL:/, grantMsMax)
  // psql connects again by itself, and waits for the next approval.
  await terminal.until(/FATAL:[^]*goes on by itself once it is approved/)
  await review(demo, browser)
}

async function approveOnPhone(demo: Demo, browser: TestBrowser): Promise<void> {
  const bob = await browser.page({
    viewport: { width: 375, height: 812 },
    deviceScaleFactor: 2,
    isMobile: true,
    hasTouch: true,
  })
  await openAs(bob, new URL('/approvals', demo.webUrl).href, 'bob', demo)
  await bob
    .getByRole('link', { name: /prod-db/ })
    .first()
    .click()
  await bob.getByRole('button', { name: 'Approve' }).waitFor()
  // The whole page in one picture, with the buttons where a thumb finds them.
  const height = await bob.locator('body').evaluate((body) => body.scrollHeight)
  await bob.setViewportSize({ width: 375, height })
  await shoot(bob, 'approve')
  await bob.getByRole('button', { name: 'Approve' }).click()
}

async function lookAtSessions(demo: Demo, browser: TestBrowser): Promise<void> {
  const olga = await browser.page({ viewport: { width: 1120, height: 520 } })
  await openAs(olga, new URL('/sessions', demo.webUrl).href, 'olga', demo)
  await shoot(olga, 'sessions')
}

async function review(demo: Demo, browser: TestBrowser): Promise<void> {
  const sam = await browser.page({ viewport: { width: 1120, height: 820 } })
  await openAs(sam, new URL('/recordings', demo.webUrl).href, 'sam', demo)
  await sam.locator('main a[href*="/recordings/"]').first().click()
  await sam.waitForURL(/\/recordings\/.+/)
  await shoot(sam, 'recording')
  await sam.goto(new URL('/audit', demo.webUrl).href)
  await shoot(sam, 'audit')
}

/** Opens a page of the gateway; signs in at the provider when it asks. */
async function openAs(page: Page, url: string, person: string, demo: Demo): Promise<void> {
  await page.goto(url)
  if (new URL(page.url()).origin !== demo.webUrl.origin) await signInAtProvider(page, demo.webUrl.origin, person)
  await page.waitForLoadState('load')
}

async function shoot(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: join(images, `${name}.png`), animations: 'disabled' })
  process.stdout.write(`docs/images/${name}.png\n`)
}

async function showInReadme(shown: string): Promise<void> {
  const file = join(checkout, 'README.md')
  const readme = await readFile(file, 'utf8')
  const block = /(<!-- terminal -->\s+```\n)[^]*?(```\s+<!-- \/terminal -->)/
  if (!block.test(readme)) throw new Error('README.md has no terminal block')
  await writeFile(
    file,
    readme.replace(block, (_all, before: string, after: string) => `${before}${shown}\n${after}`),
  )
}
