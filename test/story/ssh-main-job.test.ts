// Goal: the main job over SSH, as people live it: ssh with a key nobody knows, sign-in in a browser, reason and length asked
// in the terminal, approval on a phone, the shell going on by itself, further connections without a word, the end while
// they run, replay by security, logs that prove themselves, and the key forgotten again.
// Method: the real ssh in a real terminal, Chromium, sshd, OIDC provider, gateway and command line.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { SessionRow } from '../../src/sessions/session.ts'
import { openBrowser, signInAtProvider, type TestBrowser } from '../clients/browser.ts'
import { Program } from '../clients/program.ts'
import { Terminal } from '../clients/terminal.ts'
import { startSshTestGateway, type SshTestGateway } from '../servers/ssh-gateway.ts'
import { fingerprintOf, makeKey } from '../servers/sshd.ts'
import { expectInOrder } from './in-order.ts'

const isRoot = process.getuid?.() === 0
const stack = new AsyncDisposableStack()
let gateway: SshTestGateway
let browser: TestBrowser
let home: string

beforeAll(async () => {
  if (!isRoot) return
  gateway = stack.use(
    await startSshTestGateway({
      sshd: { login: 'curfew-test' },
      configure: (config) => {
        // Long enough for a slow machine to get to work, short enough to wait for.
        for (const policy of config.policies) policy.for = { default: '20s', most: '1m' }
        config.access = { warnBefore: ['10s'] }
      },
    }),
  )
  browser = stack.use(await openBrowser([gateway.certificate]))
  home = await mkdtemp(join(tmpdir(), 'curfew-story-'))
  stack.defer(() => rm(home, { recursive: true }))
}, 60_000)
afterAll(() => stack.disposeAsync())

test.runIf(isRoot)('the main job over ssh (needs root, as sshd does)', { timeout: 120_000 }, async () => {
  const key = await makeAliceKey()
  const fingerprint = await fingerprintOf(`${key}.pub`)
  await using terminal = await Terminal.open(home)

  // ssh shows the link and waits. The engineer opens it, signs in, sees who asks and with which key, and lets it in.
  await terminal.type('ssh -F config asked@web-1@gw')
  const link = await terminal.until(/(https:\/\/localhost:\d+\/s\/\S+)/)
  await terminal.until(/goes on by itself/)
  expect(await terminal.text()).toContain(fingerprint)
  const engineer = await browser.page()
  await confirmSignIn(engineer, link, fingerprint)

  // Reason and length are asked right there, and it waits for somebody.
  await terminal.until(/signed in as alice@shop\.example/)
  await terminal.until(/Reason:$/m)
  await terminal.type('The shop answers 502')
  await terminal.until(/How long\? \[20s\]/)
  await terminal.type('')
  await approveOnPhone(await terminal.until(/(https:\/\/localhost:\d+\/requests\/\S+)/))

  // It goes on by itself, and works.
  await terminal.until(/[#$] ?$/)
  await terminal.type(`PS1='target> ' exec bash --norc --noprofile`)
  await terminal.until(/^target> ?$/m)
  await terminal.type('echo "answer: $((6 * 7))"')
  await terminal.until(/^answer: 42$/m)

  // A second connection needs nothing, and nobody to answer.
  expect(await batch('echo second')).toMatchObject({ status: 0, stdout: 'second\n', stderr: '' })

  // The end is said before, and comes while things run: in the terminal and beside it.
  await using other = ssh('-o', 'BatchMode=yes', 'asked@web-1@gw', 'echo begun; sleep 600')
  await other.until(/begun/)
  await terminal.type('sleep 600')
  await terminal.until(/our access to web-1 as asked ends in \d+ s/)
  await terminal.until(/Your access to web-1 as asked ended at /)
  await terminal.type('echo "status $?"')
  await terminal.until(/^status 255$/m)
  expect((await other.exited()).stderr).toContain('Your access to web-1 as asked ended at ')
  await expect.poll(() => gateway.sshd.running(), { timeout: 15_000 }).toEqual([])

  await replaysInBrowser(await firstSession())
  await proveThemselves()
  await forgetKey(engineer, fingerprint, terminal)
})

/** With settings that know the gateway's host key, and no more. */
async function makeAliceKey(): Promise<string> {
  const key = join(home, 'key')
  await makeKey(key, 'ed25519')
  await writeFile(
    join(home, 'config'),
    `
Host gw
  HostName localhost
  Port ${gateway.sshPort}
  IdentityFile ${key}
  IdentitiesOnly yes
  StrictHostKeyChecking yes
  UserKnownHostsFile ${gateway.knownHostsFile}
`,
  )
  return key
}

function ssh(...words: readonly string[]): Program {
  return new Program('ssh', ['-F', join(home, 'config'), ...words], { waitMsMax: 40_000 })
}

async function batch(command: string) {
  await using program = ssh('-o', 'BatchMode=yes', 'asked@web-1@gw', command)
  return await program.exited()
}

async function confirmSignIn(page: Page, link: string, fingerprint: string): Promise<void> {
  await page.goto(link)
  await signInAtProvider(page, gateway.url.origin, 'alice')
  const main = page.locator('main')
  await main.getByText(link.split('/').at(-1)!).first().waitFor()
  for (const text of [fingerprint, '127.0.0.1', 'web-1']) expect(await main.innerText()).toContain(text)
  await page.getByLabel(/Remember this key/).check()
  await page.getByRole('button', { name: 'let it in' }).click()
  await page.getByText('the connection goes on by itself').waitFor()
  await page.getByText('Its key is remembered until').waitFor()
}

async function approveOnPhone(link: string): Promise<void> {
  const approver = await browser.phonePage()
  await approver.goto(link)
  await signInAtProvider(approver, gateway.url.origin, 'bob')
  await approver.getByText('The shop answers 502').waitFor()
  const fits = await approver.evaluate('document.documentElement.scrollWidth <= window.innerWidth')
  expect(fits, 'fits the phone').toBe(true)
  await approver.getByRole('textbox').fill('go ahead')
  await approver.getByRole('button', { name: 'Approve' }).click()
}

/** That of the terminal: all three came to the same end by the gate, except the one that was over before. */
async function firstSession(): Promise<SessionRow> {
  const sessions = () => gateway.gateway.state.sessions.sessions({ limit: 10 })
  await expect
    .poll(async () => (await sessions()).map(({ end }) => end))
    .toMatchObject([{ by: 'gate', code: 'GRANT_EXPIRED' }, { by: 'client' }, { by: 'gate', code: 'GRANT_EXPIRED' }])
  return (await sessions()).at(-1)!
}

async function replaysInBrowser({ session }: SessionRow): Promise<void> {
  const reviewer = await browser.page()
  await reviewer.goto(new URL(`/recordings/${session.id}`, gateway.url).href)
  await signInAtProvider(reviewer, gateway.url.origin, 'sam')
  await reviewer.getByText('Sealed and unchanged').waitFor()
  await reviewer.getByLabel('Speed').selectOption('2')
  await play(reviewer)
  const shown = async () => (await reviewer.locator('pre.ap-term-text').innerText()).replaceAll(/\s+/g, ' ')
  await expect.poll(shown, { timeout: 20_000 }).toContain('answer: 42')
  await expect.poll(shown, { timeout: 20_000 }).toContain('target> sleep 600')
}

/** As a person does: while the player still loads, it takes no notice of its button. */
async function play(reviewer: Page): Promise<void> {
  await reviewer.locator('[data-replay][aria-busy="false"]').waitFor()
  const pause = reviewer.locator('.ap-playback-button[aria-label="Pause"]')
  const plays = async () => {
    if (!(await pause.isVisible())) await reviewer.locator('.ap-playback-button').click()
    return pause.waitFor({ timeout: 2000 }).then(
      () => true,
      () => false,
    )
  }
  await expect.poll(plays, { timeout: 20_000 }).toBe(true)
}

/** Recordings without the gateway, the audit log by its signed checkpoints, both with the command line. */
async function proveThemselves(): Promise<void> {
  const sessions = await gateway.gateway.state.sessions.sessions({ limit: 10 })
  const folder = join(gateway.config.gateway.dataFolder, 'recordings')
  const files = sessions.map(({ recording }) => join(folder, recording!))
  expect(await curfew('verify', ...files)).toMatchObject({ status: 0 })
  expect((await curfew('replay', '--list', files.at(-1)!)).stdout).toMatch(/shell \(terminal \S+, 112x60\)/)
  await using login = startCurfew('login', '--gateway', gateway.url.href, '--ca', gateway.caFile)
  const [link] = await login.until(/https:\S+\/s\/\S+/)
  await (await gateway.visitor('sam')).post(new URL(link), { answer: 'confirm' })
  expect(await login.exited()).toMatchObject({ status: 0 })
  expect(await curfew('audit', 'verify')).toMatchObject({ status: 0 })
  await expectAudited()
}

function startCurfew(...args: readonly string[]): Program {
  const env = { HOME: home, XDG_CONFIG_HOME: join(home, 'settings') }
  return new Program(process.execPath, [join(import.meta.dirname, '../../src/main.ts'), ...args], { env })
}

async function curfew(...args: readonly string[]) {
  await using program = startCurfew(...args)
  const exit = await program.exited()
  if (exit.status !== 0) throw new Error(`curfew ${args.join(' ')}: ${exit.stdout}${exit.stderr}`)
  return exit
}

/** Every step has left its event, in the order it happened. */
async function expectAudited(): Promise<void> {
  const events = await gateway.gateway.state.audit.events(0, 1000)
  const types = events.map(({ json }) => (JSON.parse(json) as { type: string }).type)
  const story = [
    'person.signed-in',
    'sign-in.confirmed',
    'request.opened',
    'request.approved',
    'grant.started',
    'session.started',
    'session.started',
    'session.ended',
    'session.started',
    'session.ended',
    'session.ended',
    'recording.replayed',
  ]
  expectInOrder(types, story)
}

/** On the page; then it is a key like any other, which nobody knows. */
async function forgetKey(page: Page, fingerprint: string, terminal: Terminal): Promise<void> {
  await page.goto(new URL('/sign-ins', gateway.url).href)
  await page.getByRole('row').filter({ hasText: fingerprint }).getByRole('button', { name: 'Forget' }).click()
  await expect.poll(() => page.locator('main').innerText()).not.toContain(fingerprint)
  const refused = await batch('true')
  expect(refused.status).toBe(255)
  expect(refused.stderr).toContain(`no sign-in for key ${fingerprint}`)
  await terminal.type('ssh -F config asked@web-1@gw')
  await expect.poll(async () => (await terminal.text()).match(/\/s\/\S+/g)?.length, { timeout: 10_000 }).toBe(2)
}
