import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openBrowser, type TestBrowser } from '../clients/browser.ts'
import { startPages, type Pages, type SignedIn } from './harness.ts'
import { openShell, recordUsualWork, startSshRecording, type SshRecorder } from './ssh-recording.ts'
import { watchPage } from './watched-page.ts'

// Goal: a reviewer sees what the person saw, and nothing in a recording does anything else. Method: a real Chromium plays it.
let pages: Pages
let chromium: TestBrowser
let erin: SignedIn
let sam: SignedIn

beforeAll(async () => {
  pages = await startPages()
  chromium = await openBrowser([pages.certificate])
  erin = await pages.signIn('erin')
  sam = await pages.signIn('sam')
}, 60_000)
afterAll(async () => {
  await chromium?.[Symbol.asyncDispose]()
  await pages?.[Symbol.asyncDispose]()
})

const phone = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true } as const

const watch = (path: string, options?: BrowserContextOptions) => watchPage({ chromium, pages, who: sam }, path, options)

async function recorded(work: (recording: SshRecorder) => Promise<void>): Promise<string> {
  const recording = await startSshRecording(pages, erin)
  await work(recording)
  await recording.seal()
  return `/recordings/${recording.id}`
}

const screenOf = (page: Page) => page.locator('pre.ap-term-text')
/** The player leaves out what is blank, and puts words of other colours on lines of their own. */
const shown = async (page: Page) => (await screenOf(page).innerText()).replaceAll(/\s+/g, ' ')

/** Another player stands there then; a click on the one before would be lost with it. */
const untilLoaded = (page: Page) => page.locator('[data-replay][aria-busy="false"]').waitFor()

const untilShown = (page: Page, text: string) => expect.poll(() => shown(page), { timeout: 15_000 }).toContain(text)

test(
  'a terminal plays to its end, under the strict policy, and its last screen is the right one',
  { timeout: 40_000 },
  async () => {
    const path = await recorded(recordUsualWork)
    const { page, problems } = await watch(path)
    await page.getByLabel('Speed').selectOption('8')
    await page.locator('.ap-playback-button').click()
    await untilShown(page, 'logout')
    const text = await shown(page)
    expect(text).toContain('systemctl status nginx')
    expect(text).toContain('Größe: 12 MiB')
    await expect.poll(() => page.locator('[data-replay-clock]').textContent()).toMatch(/^\d\d:\d\d:\d\d$/)
    expect(problems).toEqual([])
  },
)

test(
  'a place that was found is jumped to, in a long session, without playing what lies before',
  { timeout: 40_000 },
  async () => {
    const path = await recorded(async (recording) => {
      openShell(recording, 1)
      for (let n = 0; n < 60; n++) {
        await recording.output(1, `${`filler ${n} `.repeat(12_000)}\r\n`)
        if (n === 50) await recording.output(1, '\u001B[2J\u001B[Hthe needle is here\r\n')
        await recording.pause(2)
      }
    })
    const { page, problems } = await watch(path)
    await page.getByLabel('Find what was shown').fill('NEEDLE')
    await page.getByRole('button', { name: 'Find' }).first().click()
    const place = page.locator('#places a[data-seek]')
    await place.waitFor()
    expect(await page.locator('#places mark').textContent()).toBe('needle')
    expect(await page.locator('#places a').count()).toBe(1)
    await place.click()
    await untilShown(page, 'the needle is here')
    expect(page.url()).toContain('find=NEEDLE')
    // and it goes on from there
    await page.locator('.ap-playback-button').click()
    await untilShown(page, 'filler 59')
    expect(problems).toEqual([])
  },
)

test('nothing in a recording reaches the page around it or the world', { timeout: 40_000 }, async () => {
  const evil = '<img src=x onerror=alert(1)><script>alert(2)</script>'
  const path = await recorded(async (recording) => {
    openShell(recording, 1, { cols: 4_000_000_000, rows: 4_000_000_000 })
    recording.event('r', { ch: 1, cols: 80, rows: 24 })
    await recording.output(1, `\u001B]0;${evil}\u0007\u001B]8;;javascript:alert(3)\u0007link\u001B]8;;\u0007\r\n`)
    await recording.output(
      1,
      `\u001B]52;c;${Buffer.from('stolen').toString('base64')}\u0007\u001B[c\u001B[6n\u001B[21t`,
    )
    await recording.output(1, '\u001B[8;99999;99999t\u001B[3;99999r\u001B[99999;99999H\u001B[99999L\u001B[99999@')
    await recording.output(1, Buffer.from([0xff, 0xfe, 0x00, 0x9b, 0xc2, 0x1b, 0x50, 0x71]))
    await recording.output(1, `\u001B\\\u001Bc${evil}\r\n`)
    recording.event('m', { kind: 'notice', text: evil })
    recording.event('sig', { ch: 1, name: evil })
    await recording.output(1, 'still standing\r\n')
    recording.event('end', { ch: 1, bytesUp: 0, bytesDown: 0 })
  })
  const { page, problems } = await watch(`${path}?find=img`)
  await page.locator('.ap-playback-button').click()
  await untilShown(page, 'still standing')
  expect(await shown(page)).toContain('<img src=x')
  for (const marker of await page.locator('.ap-marker-container').all()) await marker.hover({ force: true })
  expect(await page.locator('main img, main a[href^="javascript"], main script').count()).toBe(0)
  expect(await page.title()).not.toContain('img')
  expect(problems).toEqual([])
})

test('on a phone the page is as wide as the phone, also with a broad terminal', { timeout: 40_000 }, async () => {
  const path = await recorded(async (recording) => {
    openShell(recording, 1, { cols: 240, rows: 60 })
    await recording.output(1, `${'wide '.repeat(48)}\r\n`)
    recording.event('ch', { ch: 2, kind: 'session' })
    recording.event('run', { ch: 2, what: 'exec', command: `rsync --server ${'-x'.repeat(400)} .` })
    recording.event('f', { ch: 2, op: 'write', path: `/${'long'.repeat(80)}`, result: 'No such file', ms: 1 })
  })
  const { page, problems } = await watch(path, phone)
  await untilShown(page, 'wide wide')
  expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(390)
  expect(problems).toEqual([])
})

test('what is asked for speed, pauses and place is what is played', { timeout: 40_000 }, async () => {
  const path = await recorded(async (recording) => {
    openShell(recording, 1)
    await recording.output(1, 'before\r\n')
    await recording.pause(2500)
    await recording.output(1, 'after\r\n')
  })
  const seconds = async (skip: string) => JSON.parse((await sam.get(`${path}/replay/1${skip}`)).text).duration as number
  expect(await seconds('')).toBeGreaterThan(2.4)
  expect(await seconds('?skip=yes')).toBeLessThan(1.2)
  const { page } = await watch(`${path}?at=1`)
  await untilShown(page, 'before')
  expect(await shown(page)).not.toContain('after')
  await page.getByLabel('Skip pauses').uncheck()
  await untilLoaded(page)
  await page.getByLabel('Speed').selectOption('8')
  await page.locator('.ap-playback-button').click()
  await untilShown(page, 'after')
})

test.each(['', '?at=3'])('what stood on the screen stays when the speed is changed before it plays: %s', async (at) => {
  const path = await recorded(async (recording) => {
    openShell(recording, 1)
    await recording.output(1, 'before\r\n')
    for (const wait of ['some', 'more', 'much']) {
      await recording.pause(1100)
      await recording.output(1, `${wait}\r\n`)
    }
    await recording.pause(500)
    await recording.output(1, 'after\r\n')
  })
  const { page } = await watch(`${path}${at}`)
  await untilShown(page, 'before')
  await page.getByLabel('Skip pauses').uncheck()
  await untilLoaded(page)
  await untilShown(page, 'some')
  await page.getByLabel('Speed').selectOption('2')
  await untilLoaded(page)
  await untilShown(page, 'some')
  await page.locator('.ap-playback-button').click()
  await untilShown(page, 'after')
  expect(await shown(page)).toContain('before some more much after')
})

test('a session that is still open is watched on, as it goes on', { timeout: 40_000 }, async () => {
  const recording = await startSshRecording(pages, erin)
  openShell(recording, 1)
  await recording.output(1, 'so far\r\n')
  const path = `/recordings/${recording.id}`
  await expect.poll(async () => (await sam.get(`${path}/replay/1`)).status).toBe(200)
  const { page, problems } = await watch(path)
  await page.locator('.ap-playback-button').click()
  await untilShown(page, 'so far')
  await recording.output(1, 'and further\r\n')
  await untilShown(page, 'and further')
  await recording.seal()
  expect(problems).toEqual([])
})

const run = promisify(execFile)
const asciinema = await run('script', ['-qec', 'asciinema --version', '/dev/null']).then(
  ({ stdout }) => stdout.startsWith('asciinema 2'),
  () => false,
)

test.skipIf(!asciinema)('asciinema 2 plays the export (runs where it and `script` are)', async () => {
  const path = await recorded(recordUsualWork)
  const file = join(pages.folder, 'export.cast')
  await writeFile(file, (await sam.get(`${path}/export/cast-v2?ch=1`)).text)
  const env = { ...process.env, HOME: pages.folder, TERM: 'xterm' }
  const { stdout } = await run('script', ['-qec', `asciinema cat ${file}`, '/dev/null'], { env })
  expect(stdout).toContain('upstream timed out (110: Connection timed out)')
})
