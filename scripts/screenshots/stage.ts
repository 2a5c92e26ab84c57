import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import type { Page } from 'playwright-core'
import { signInAtProvider, type TestBrowser } from '../../test/clients/browser.ts'
import { Terminal } from '../../test/clients/terminal.ts'
import type { Demo } from '../demo/start.ts'

const run = promisify(execFile)
export const checkout = resolve(import.meta.dirname, '../..')
export const images = join(checkout, 'docs', 'images')

/** Where a story is played: the demo, a browser, and what it is seen with. */
export interface Stage {
  readonly demo: Demo
  readonly browser: TestBrowser
  /** Where she confirms and asks. */
  readonly alice: Page
}

export const phone = { viewport: { width: 375, height: 812 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true }

/** A page of the gateway, signed in as somebody. */
export async function pageOf(stage: Omit<Stage, 'alice'>, person: string, where: string, height = 820): Promise<Page> {
  const page = await stage.browser.page({ viewport: { width: 1120, height } })
  await openAs(stage, page, new URL(where, stage.demo.webUrl).href, person)
  return page
}

/** Opens a page of the gateway; signs in at the provider when it asks. */
export async function openAs({ demo }: Pick<Stage, 'demo'>, page: Page, url: string, person: string): Promise<void> {
  await page.goto(url)
  if (new URL(page.url()).origin !== demo.webUrl.origin) await signInAtProvider(page, demo.webUrl.origin, person)
  await page.waitForLoadState('load')
}

export async function shoot(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: join(images, `${name}.png`), animations: 'disabled' })
  process.stdout.write(`docs/images/${name}.png\n`)
}

/** On the page of recordings: opens the newest of `RESOURCE as ROLE`. */
export async function openRecording(page: Page, what: string): Promise<void> {
  await page.locator('main tr', { hasText: what }).first().locator('a.name').click()
  await page.waitForURL(/\/recordings\/.+/)
  await page.waitForLoadState('load')
}

/** Writes what a terminal shows. @returns it. */
export async function keepText(terminal: Terminal, name: string): Promise<string> {
  // An empty prompt at the end says nothing.
  const shown = (await terminal.text()).replace(/\n\$$/, '')
  await writeFile(join(images, `${name}.txt`), `${shown}\n`)
  process.stdout.write(`docs/images/${name}.txt\n`)
  return shown
}

/** The approver decides on a telephone. @param name of the picture, if there is to be one. */
export async function approveOnPhone(stage: Stage, resource: string, name?: string): Promise<void> {
  const bob = await stage.browser.page(phone)
  await openAs(stage, bob, new URL('/approvals', stage.demo.webUrl).href, 'bob')
  await bob
    .getByRole('link', { name: new RegExp(resource) })
    .first()
    .click()
  await bob.getByRole('button', { name: 'Approve' }).waitFor()
  // The whole page in one picture, with the buttons where a thumb finds them.
  const height = await bob.locator('body').evaluate((body) => body.scrollHeight)
  await bob.setViewportSize({ width: 375, height })
  if (name !== undefined) await shoot(bob, name)
  await bob.getByRole('button', { name: 'Approve' }).click()
}

/** An agent with a fresh key, as people have one; those of whoever runs this stay out of it. */
export async function startAgent(folder: string): Promise<AsyncDisposable & { readonly socket: string }> {
  const [socket, key] = [join(folder, 'agent'), join(folder, 'agent-key')]
  const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(agent.stdout, 'data')
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'alice@laptop', '-f', key])
  await run('ssh-add', ['-q', key], { env: { ...process.env, SSH_AUTH_SOCK: socket } })
  return {
    socket,
    async [Symbol.asyncDispose]() {
      const ended = once(agent, 'exit')
      agent.kill()
      await ended
    },
  }
}
