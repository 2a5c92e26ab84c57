import type { BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Policy } from '../../src/policy/rules.ts'
import { stepOf } from '../../src/policy/approval.ts'
import { later, type Instant } from '../../src/kernel/time.ts'
import { storePerson, storeRequest } from '../contracts/samples.ts'
import { openBrowser, signInAtProvider, type TestBrowser } from '../clients/browser.ts'
import { startPages, type Pages, type SignedIn } from './harness.ts'
import { watchPage } from './watched-page.ts'

// Goal: somebody with a telephone and ten seconds decides rightly, and is told the truth whatever others do meanwhile.
// Method: a real Chromium with a telephone's viewport on the real pages; what is decided is read from the rooms.
const phone = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true } as const
const hourMs = 3_600_000

/** Before the usual ones: `admin` takes two steps. */
const inSteps: Policy = {
  name: 'admin takes two steps',
  who: { groups: ['engineering'] },
  what: { resources: ['prod-db'], labels: {}, roles: ['admin'] },
  length: { defaultMs: hourMs, mostMs: 8 * hourMs },
  reason: 'required',
  ticket: { pattern: /^(?:INC-[0-9]+)$/, link: 'https://tickets.example.com/{ticket}', required: false },
  approval: {
    kind: 'people',
    steps: [
      {
        ...stepOf(1, ['approvers']),
        escalate: { afterMs: hourMs / 2, to: { from: ['operations'], allOf: [], named: [], manager: false } },
      },
      stepOf(1, ['security']),
    ],
  },
}

const bundle = {
  name: 'on call',
  description: 'What the on-call needs',
  items: [
    { resource: 'prod-db', role: 'readonly', lengthMs: null },
    { resource: 'prod-db', role: 'admin', lengthMs: null },
  ],
}

let pages: Pages
let chromium: TestBrowser
let erin: SignedIn
let ada: SignedIn
let sam: SignedIn
let olga: SignedIn

beforeAll(async () => {
  pages = await startPages({ before: [inSteps], bundles: [bundle] })
  chromium = await openBrowser([pages.certificate])
  erin = await pages.signIn('erin')
  ada = await pages.signIn('ada')
  sam = await pages.signIn('sam')
  olga = await pages.signIn('olga')
}, 60_000)
afterAll(async () => {
  await chromium?.[Symbol.asyncDispose]()
  await pages?.[Symbol.asyncDispose]()
})

async function askFor(reason: string, more: Record<string, string> = {}): Promise<string> {
  const form = { resource: 'prod-db', role: 'readonly', for: '2h', reason, ...more }
  const asked = await erin.post('/ask', form)
  expect(asked.status, asked.text).toBe(303)
  return asked.location!.split('/').at(-1)!
}

const viewOf = (id: string) => pages.access.view(erin.person, id as never)
const at = (path: string) => `${pages.url.origin}${path}`

const problemsOf = new Map<Page, readonly string[]>()

async function open(who: SignedIn, path: string, options: BrowserContextOptions = phone): Promise<Page> {
  const { page, problems } = await watchPage({ chromium, pages, who }, path, options)
  problemsOf.set(page, problems)
  return page
}

async function close(page: Page): Promise<void> {
  const isOurs = (problem: string) => !problem.includes('status of 422') // a form that came back with a word
  expect(problemsOf.get(page)?.filter(isOurs)).toEqual([])
  await page.context().close()
}

/** Whatever comes over the wire for one page, with heads, and the same unpacked. */
async function weigh(page: Page, go: () => Promise<unknown>): Promise<{ wireBytes: number; bodyBytes: number }> {
  const wire = await page.context().newCDPSession(page)
  let [wireBytes, bodyBytes] = [0, 0]
  wire.on('Network.dataReceived', ({ dataLength }) => (bodyBytes += dataLength))
  wire.on('Network.loadingFinished', ({ encodedDataLength }) => (wireBytes += encodedDataLength))
  await wire.send('Network.enable')
  await go()
  await page.waitForLoadState('networkidle').catch(() => {}) // the stream of changes stays open
  return { wireBytes, bodyBytes }
}

test('all of it together weighs less than 50 KiB, packed or not', { timeout: 30_000 }, async () => {
  for (let one = 0; one < 5; one++) {
    await ada.post(`/approvals/${await askFor(`an earlier time ${one}`)}`, { verdict: 'approve' })
    const admission = await pages.openSession(erin.person, 'prod-db', 'readonly')
    admission.recorder.event('q', { n: 1, sql: 'select 1' })
    await admission.end({ by: 'client', bytesFromClient: 10, bytesFromTarget: 20 })
  }
  const id = await askFor('x'.repeat(900), { role: 'admin', ticket: 'INC-4821' })
  const { page } = await watchPage({ chromium, pages, who: ada }, '/sign-ins', phone)
  const fresh = await chromium.page(phone)
  await fresh.context().addCookies(await page.context().cookies())
  const { wireBytes, bodyBytes } = await weigh(fresh, async () => {
    await fresh.goto(at(`/approvals/${id}`), { waitUntil: 'load' })
    await fresh.getByText('Last times on prod-db').waitFor()
  })
  expect(bodyBytes).toBeGreaterThan(15_000) // the measure measures
  expect(Math.max(wireBytes, bodyBytes)).toBeLessThan(50 * 1024)
  await page.context().close()
  await fresh.context().close()
})

test('from the link in a message to the decision: sign in, one tap, ten seconds on a slow telephone', async () => {
  const id = await askFor('The customer waits for invoice 4711', { ticket: 'INC-4821' })
  const page = await chromium.page(phone)
  const wire = await page.context().newCDPSession(page)
  await wire.send('Network.emulateNetworkConditions', {
    ...{ offline: false, latency: 150, downloadThroughput: 200_000, uploadThroughput: 90_000 },
  })
  await wire.send('Emulation.setCPUThrottlingRate', { rate: 4 })
  await page.goto(at(`/requests/${id}`))
  await signInAtProvider(page, pages.url.origin, 'ada')
  const began = performance.now()
  await page.getByText('The customer waits for invoice 4711').waitFor()
  for (const told of ['Erin Engineer', 'in engineering', 'INC-4821', '2 h, from the approval on', 'Who must agree']) {
    expect(await page.locator('main').textContent()).toContain(told)
  }
  expect(await page.getByRole('link', { name: 'INC-4821' }).getAttribute('href')).toBe(
    'https://tickets.example.com/INC-4821',
  )
  await page.getByRole('button', { name: 'Approve' }).tap()
  await page.getByText(/Approved by you.*erin@example\.test can connect until/).waitFor()
  expect(performance.now() - began).toBeLessThan(10_000)
  expect((await viewOf(id)).request.state).toBe('approved')
  await page.context().close()
}, 60_000)

test('both buttons are in reach of a thumb wherever the page is scrolled to', async () => {
  const id = await askFor('scrolling', { role: 'admin' })
  const page = await open(ada, `/approvals/${id}`)
  expect(await page.evaluate('document.documentElement.scrollHeight')).toBeGreaterThan(phone.viewport.height)
  for (const part of [0, 0.5, 1]) {
    await page.evaluate(`scrollTo(0, document.documentElement.scrollHeight * ${part})`)
    for (const name of ['Refuse', 'Approve']) {
      const box = (await page.getByRole('button', { name }).boundingBox())!
      expect(box.height).toBeGreaterThanOrEqual(44)
      expect(box.width).toBeGreaterThanOrEqual(120)
      expect(box.y).toBeGreaterThan(phone.viewport.height / 2)
      expect(box.y + box.height).toBeLessThanOrEqual(phone.viewport.height)
    }
  }
  await page.getByText('Change before you approve').tap()
  expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(phone.viewport.width)
  // What has the focus is not below the bar.
  await page.getByLabel('Only from').focus()
  const [field, bar] = [
    await page.getByLabel('Only from').boundingBox(),
    await page.locator('.decide-bar').boundingBox(),
  ]
  expect(field!.y + field!.height).toBeLessThanOrEqual(bar!.y)
  await close(page)
})

test.each(['light', 'dark'] as const)(
  'everything can be read at a desk in %s, and every control has a name',
  async (colorScheme) => {
    await ada.post(`/approvals/${await askFor(`before ${colorScheme}`)}`, { verdict: 'approve' })
    const id = await askFor(`in ${colorScheme}`, { role: 'admin', ticket: 'INC-1' })
    const page = await open(ada, `/approvals/${id}`, { viewport: { width: 1120, height: 800 }, colorScheme })
    await page.getByText('Change before you approve').click()
    expect(await page.evaluate(faint)).toEqual([])
    expect(await page.evaluate(nameless)).toEqual([])
    await page.getByRole('button', { name: 'Approve' }).click()
    await page.getByText('You approved').waitFor()
    expect(await page.evaluate(faint)).toEqual([])
    await close(page)
  },
)

// What runs in the page is text: the types of a browser are not those of the gateway.
/** Texts with less contrast than 4.5 to what is behind them (WCAG 2.2, 1.4.3). */
const faint = `(() => {
  const channels = (color) => color.match(/[\\d.]+/g).map(Number)
  const light = ([red, green, blue]) => [red, green, blue]
    .map((one) => one / 255)
    .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))
    .reduce((sum, one, index) => sum + one * [0.2126, 0.7152, 0.0722][index], 0)
  const behind = (element) => {
    const color = channels(getComputedStyle(element).backgroundColor)
    return color.length === 3 || color[3] === 1 ? color : behind(element.parentElement)
  }
  const texts = [...document.querySelectorAll('body *')].filter((element) =>
    element.checkVisibility() && !element.matches('.skip, option') && [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== ''))
  if (texts.length < 30) return ['too few texts were found']
  return texts.flatMap((element) => {
    const [one, other] = [light(channels(getComputedStyle(element).color)), light(behind(element))]
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05)
    return contrast < 4.5 ? [element.outerHTML.slice(0, 80) + ' ' + contrast.toFixed(2)] : []
  })
})()`
/** Controls that a screen reader could not name. */
const nameless = `[
  ...[...document.querySelectorAll('input:not([type=hidden]), select, textarea')].filter((field) => !field.labels?.length && !field.ariaLabel),
  ...[...document.querySelectorAll('button, a[href]')].filter((button) => !button.textContent?.trim() && !button.ariaLabel),
].map((element) => element.outerHTML)`

test('looking decides nothing, a second tap nothing more, and back tells the truth', async () => {
  const id = await askFor('two taps')
  const page = await open(ada, '/approvals')
  await page.locator(`a[href="/approvals/${id}"]`).tap()
  const approve = page.getByRole('button', { name: 'Approve' })
  await approve.waitFor()
  expect((await viewOf(id)).decisions).toEqual([])
  const { x, y, width, height } = (await approve.boundingBox())!
  await page.touchscreen.tap(x + width / 2, y + height / 2)
  await page.touchscreen.tap(x + width / 2, y + height / 2)
  await expect.poll(async () => (await viewOf(id)).decisions.length, { timeout: 20_000 }).toBe(1)
  // On a slow machine the second tap may fall on what the next page has at that place.
  if (!page.url().endsWith(`/approvals/${id}`)) await page.goBack()
  await page.getByText('Approved by you').waitFor()
  expect((await viewOf(id)).decisions).toHaveLength(1)
  await page.goBack()
  await page.waitForLoadState('load')
  expect(await page.locator(`form[action="/approvals/${id}"]`).count()).toBe(0)
  // The same form again, as a script that is off would let it through.
  const again = await ada.post(`/approvals/${id}`, { verdict: 'deny' })
  expect(again.status).toBe(303)
  expect((await viewOf(id)).request.state).toBe('approved')
  await close(page)
})

test('of two at the same instant one decides, and both read the same truth', async () => {
  const id = await askFor('a race')
  const both = await Promise.all([ada, sam].map((who) => open(who, `/approvals/${id}`)))
  const verdicts = ['approve', 'deny'] as const
  await Promise.all(
    both.map((page, index) => page.evaluate(`document.querySelector('[value=${verdicts[index]}]').click()`)),
  )
  await Promise.all(both.map((page) => page.locator('p.notice').waitFor()))
  const { request, decisions } = await viewOf(id)
  expect(decisions).toHaveLength(1)
  const words = await Promise.all(both.map(async (page) => (await page.locator('p.notice').textContent())!))
  const [won, lost] = request.state === 'approved' ? words : words.toReversed()
  expect(won).toMatch(/^\s*(Approved|Refused) by you,/)
  expect(lost).toMatch(/^\s*Your (approval|refusal) came too late\.\s+(Approved|Refused) by (ada|sam)@example\.test,/)
  await Promise.all(both.map(close))
})

test('in steps: done, now and to come; it is not everybody’s turn', async () => {
  const id = await askFor('two must agree', { role: 'admin' })
  const early = await open(sam, `/approvals/${id}`)
  await early
    .getByText('It is not your turn yet. One more person must agree, in step 1 of 2: one of approvers.')
    .waitFor()
  expect(await early.getByRole('button', { name: 'Approve' }).count()).toBe(0)
  const first = await open(ada, `/approvals/${id}`)
  await first.getByText(/If nobody decides by .*, operations may as well\./).waitFor()
  await first.getByLabel('Comment').fill('as far as I am concerned')
  await first.getByRole('button', { name: 'Approve' }).tap()
  await first.getByText(/You approved .*One more person must agree, in step 2 of 2: one of security\./).waitFor()
  // The page that was open too early renews itself.
  await early.getByText('“as far as I am concerned”').waitFor()
  await early.getByRole('button', { name: 'Approve' }).tap()
  await early.getByText('Approved by ada@example.test and you').waitFor()
  // Who is called only after silence may look, and is told so.
  const other = await askFor('nobody is called yet', { role: 'admin' })
  expect((await olga.get(`/approvals/${other}`)).text).toContain('It is not your turn')
  await Promise.all([early, first].map(close))
})

test('shortened and narrowed before it is approved; what was typed wrongly is kept', async () => {
  const id = await askFor('four databases are too many')
  const page = await open(ada, `/approvals/${id}`)
  await page.getByText('Change before you approve').tap()
  await page.getByLabel('or to').fill('soon')
  await page.getByLabel('Comment').fill('half an hour, and only the shop')
  await page.getByRole('checkbox', { name: 'reporting' }).uncheck()
  await page.getByLabel('Only from').fill('127.0.0.1 10.0.0.0/8')
  await page.getByRole('button', { name: 'Approve' }).tap()
  await page.getByRole('alert').getByText('“soon” is no length of time. Such as 45m or 2h.').waitFor()
  expect(await page.getByLabel('Comment').inputValue()).toBe('half an hour, and only the shop')
  expect(await page.getByRole('checkbox', { name: 'reporting' }).isChecked()).toBe(false)
  await page.getByLabel('or to').fill('')
  await page.getByLabel('Shorten to').selectOption({ label: '30 min' })
  await page.getByRole('button', { name: 'Approve' }).tap()
  await page
    .getByText(/erin@example\.test can connect until .*, only shop, only from 10\.0\.0\.0\/8, 127\.0\.0\.1\./)
    .waitFor()
  const left = 'for 30 min, only shop, only from 10.0.0.0/8, 127.0.0.1'
  expect(await page.locator('main').innerText()).toContain(left)
  const { grant } = await viewOf(id)
  expect(grant).toMatchObject({ lengthMs: hourMs / 2, databases: ['shop'], networks: ['10.0.0.0/8', '127.0.0.1'] })
  await close(page)
})

test('more than was asked for is refused with a word, and nothing is decided', async () => {
  const id = await askFor('not too much')
  const asked = await ada.post(`/approvals/${id}`, { verdict: 'approve', forOther: '9h' })
  expect(asked.status).toBe(422)
  expect(asked.text).toContain('They asked for 2 h; nobody gets more.')
  expect(asked.text).toContain('value="9h"')
  const later = await ada.post(`/approvals/${id}`, { verdict: 'approve', startsAt: 'never', zone: 'UTC' })
  expect(later.status).toBe(422)
  expect(later.text).toContain('That start is not a date and time.')
  const none = await ada.post(`/approvals/${id}`, { verdict: 'approve', choosesDatabases: 'yes' })
  expect(none.status).toBe(422)
  expect((await viewOf(id)).decisions).toEqual([])
})

test('more time, and parts of a bundle, say what they are', async () => {
  await ada.post(`/approvals/${await askFor('a long job')}`, { verdict: 'approve' })
  const [grant] = await pages.access.livingGrants(erin.person.id)
  const wish = { lengthMs: hourMs, reason: 'it takes longer', ticket: null, origin: 'a test' }
  const more = await pages.access.extend(erin.person, grant!.id, wish)
  const page = await open(ada, `/approvals/${more.id}`)
  await page.getByRole('heading', { name: 'erin@example.test wants 1 h more as readonly on prod-db' }).waitFor()
  expect(await page.locator('main').innerText()).toMatch(/1 h more, after \d/)
  await page.getByText('Change before you approve').tap()
  expect(await page.getByLabel('Only from').count()).toBe(0)
  await page.getByLabel('or to').fill('15 min')
  await page.getByRole('button', { name: 'Approve' }).tap()
  await page.getByText('Approved by you').waitFor()
  expect((await pages.access.livingGrants(erin.person.id))[0]!.expiresAt - grant!.expiresAt).toBe(hourMs / 4)
  const parts = await pages.access.askBundle(erin.person, {
    ...wish,
    bundle: 'on call',
    lengthMs: null,
    startsAt: null,
  })
  await page.goto(at(`/approvals/${parts[0]!.id}`))
  expect(await page.locator('main').innerText()).toContain('“on call”, each part decided by itself')
  await page.getByRole('link', { name: 'prod-db as admin' }).tap()
  await page.waitForURL(`**/approvals/${parts[1]!.id}`)
  await close(page)
})

test('undo ends the access, and says so', async () => {
  const id = await askFor('a mistake')
  const page = await open(ada, `/approvals/${id}`)
  await page.getByRole('button', { name: 'Approve' }).tap()
  await page.getByText('Undo: end this access').tap()
  await page.getByLabel('Why').last().fill('the wrong one')
  await page.getByRole('button', { name: 'Revoke, and cut live sessions' }).tap()
  await page.getByText(/The access was revoked .*: “the wrong one”/).waitFor()
  expect((await viewOf(id)).grant?.state).toBe('revoked')
  await close(page)
})

test('who writes a comment while somebody else decides is told before they send it', async () => {
  const id = await askFor('meanwhile')
  const page = await open(ada, `/approvals/${id}`)
  const note = page.getByText('Something changed here while you wrote.')
  await page.getByLabel('Comment').fill('let me th')
  expect(await note.isVisible()).toBe(false)
  await askFor('something else happens, which is none of its business')
  await sam.post(`/approvals/${id}`, { verdict: 'deny', comment: 'no' })
  await note.waitFor()
  expect(await page.getByLabel('Comment').inputValue()).toBe('let me th')
  await page.getByRole('button', { name: 'Approve' }).tap()
  await page.getByText(/Your approval came too late\. Refused by sam@example\.test/).waitFor()
  await close(page)
})

test('everybody reads what there is for them: own request, a lock, only looking', async () => {
  const own = await ada.post('/ask', { resource: 'prod-db', role: 'readonly', for: '1h', reason: 'for myself' })
  const mine = own.location!.split('/').at(-1)!
  const { text } = await ada.get(`/approvals/${mine}`)
  expect(text).toContain('This is your own request: somebody else must decide.')
  expect(text).not.toContain('>Approve<')
  const tried = await ada.post(`/approvals/${mine}`, { verdict: 'approve' })
  expect(tried.location).toBe(`/approvals/${mine}?late=approve`)
  const id = await askFor('looked at')
  expect((await olga.get(`/approvals/${id}`)).text).toContain('You may look, and others decide.')
  const lock = await pages.access.placeLock(
    olga.person,
    { person: null, resource: 'prod-db', role: null, group: null, address: null },
    'an incident.',
  )
  const locked = await ada.get(`/approvals/${id}`)
  expect(locked.text).toContain('Locked: an incident.')
  expect(locked.text).not.toContain('>Approve<')
  expect((await ada.post(`/approvals/${id}`, { verdict: 'approve' })).status).toBe(403)
  await pages.access.liftLock(olga.person, lock.id)
  expect((await ada.get(`/approvals/${id}`)).text).toContain('>Approve<')
})

test('who may not even see it decides nothing, and leaves a trace', async () => {
  const asked = await ada.post('/ask', { resource: 'prod-db', role: 'readonly', for: '1h', reason: 'hers alone' })
  const id = asked.location!.split('/').at(-1)!
  expect((await erin.get(`/approvals/${id}`)).status).toBe(404)
  const tried = await erin.post(`/approvals/${id}`, { verdict: 'approve' })
  expect((await erin.get(tried.location!)).status).toBe(404)
  expect((await pages.access.view(ada.person, id as never)).decisions).toEqual([])
  const events = (await pages.state.audit.search({ limit: 50 })).map(({ json }) => JSON.parse(json))
  expect(events).toContainEqual(
    expect.objectContaining({
      type: 'decision.refused',
      person: erin.person.id,
      data: expect.objectContaining({ request: id, code: 'NOT_ALLOWED' }),
    }),
  )
})

test('what the person did there before: how long, how much, and the recording for those who may replay', async () => {
  for (const { id } of await pages.access.livingGrants(erin.person.id)) await pages.access.handBack(erin.person, id)
  await ada.post(`/approvals/${await askFor('to have a past')}`, { verdict: 'approve' })
  const admission = await pages.openSession(erin.person, 'prod-db', 'readonly')
  for (let n = 1; n <= 3; n++) admission.recorder.event('q', { n, sql: 'select secret' })
  await admission.end({ by: 'client', bytesFromClient: 10, bytesFromTarget: 20 })
  const id = await askFor('again')
  const approver = (await ada.get(`/approvals/${id}`)).text
  expect(approver).toMatch(/1 session, \d+ s, \d+ statements/)
  expect(approver).not.toContain('/recordings/')
  expect(approver).not.toContain('select secret')
  expect((await sam.get(`/approvals/${id}`)).text).toContain(`/recordings/${admission.session.id}`)
  // Counting is not looking: nothing was replayed.
  const replayed = await pages.state.audit.search({ limit: 500 })
  expect(replayed.filter(({ json }) => json.includes('"recording.replayed"'))).toEqual([])
})

test('the list with nothing, and with more than a page', { timeout: 60_000 }, async () => {
  const waiting = async () => (await pages.access.waitingFor(sam.person)).length
  for (const { id } of await pages.access.waitingFor(sam.person))
    await sam.post(`/approvals/${id}`, { verdict: 'deny' })
  for (const { id } of await pages.access.waitingFor(ada.person))
    await ada.post(`/approvals/${id}`, { verdict: 'deny' })
  expect(await waiting()).toBe(0)
  expect((await sam.get('/approvals')).text).toContain('Nothing waits for you.')
  for (const who of [erin, ada]) {
    for (let one = 0; one < 20; one++) {
      await who.post('/ask', { resource: 'prod-db', role: 'readonly', for: '1h', reason: `number ${one}` })
    }
  }
  expect(await waiting()).toBe(40)
  const first = await open(sam, '/approvals')
  expect(await first.getByRole('link', { name: /^Decide on/ }).count()).toBe(25)
  await first.getByText('40, the oldest first').waitFor()
  await first.getByRole('link', { name: 'Newer' }).tap()
  await first.getByText('page 2 of 2').waitFor()
  expect(await first.getByRole('link', { name: /^Decide on/ }).count()).toBe(15)
  expect(await first.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(phone.viewport.width)
  expect((await sam.get('/approvals?page=999')).text).toContain('page 2 of 2')
  expect((await sam.get('/approvals?page=-1')).text).toContain('page 1 of 2')
  await close(first)
  const approval = { kind: 'people', steps: [stepOf(1, ['security'])] } as const
  for (let one = 0; one < 160; one++) {
    const asker = await storePerson(pages.state)
    const now = Date.now() as Instant
    await storeRequest(pages.state, asker.id, { approval, askedAt: now, lapsesAt: later(now, hourMs) })
  }
  const began = performance.now()
  const { text } = await sam.get('/approvals')
  expect(performance.now() - began).toBeLessThan(3000)
  expect(text).toContain('200, the oldest first')
  expect(text).toContain('page 1 of 8')
  expect(text.length).toBeLessThan(100_000)
})
