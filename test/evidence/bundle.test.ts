// Goal: a request's whole story leaves the gateway in one archive that anybody can check without it, and no byte of which can
// change unseen. Method: real psql sessions through a real gateway, bundles by the real CLI, the API and a page; then every
// file of one is changed, left out, moved, added and forged.
import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { bundleType, type BundleManifest } from '../../src/evidence/manifest.ts'
import { verifyBundle } from '../../src/evidence/verify.ts'
import { openSigningKey, type SigningKey } from '../../src/recording/keys.ts'
import { createGatewayClient } from '../../src/cli/gateway-client.ts'
import type { Scope } from '../../src/identity/scopes.ts'
import { openCurfew, type Curfew } from '../clients/curfew.ts'
import { verifyRecording } from '../../src/recording/verify.ts'
import { recordInMemory, temporaryFolder } from '../recording/support.ts'
import { startTestGateway, type ConfigInput, type Login, type TestGateway } from '../servers/gateway.ts'
import { memorySource, repack, unpack, type Packed } from './archive.ts'

let gateway: TestGateway
let curfew: Curfew
let key: SigningKey
let publicKeys: string
/** Two sessions under a grant that somebody approved, and that was handed back. */
let story: { request: string; grant: string; sessions: string[] }
let bundle: Buffer
const whole = '?recordings=true'

/** Threads that write recordings, oldest first. */
const writers: Worker[] = []

beforeAll(async () => {
  process.on('worker', (worker: Worker) => void (worker.threadName === 'recordings' && writers.push(worker)))
  gateway = await startTestGateway({ configure })
  curfew = await openCurfew(gateway)
  const data = gateway.config.gateway.dataFolder
  key = await openSigningKey(data)
  publicKeys = join(data, 'keys/public.jwks')
  const grant = await gateway.grant('alice', 'readonly')
  const password = await gateway.token('alice')
  for (const number of [42, 43]) {
    await using psql = gateway.psql({ user: 'readonly.token', password, commands: [`select ${number}`] })
    expect(await psql.exited()).toMatchObject({ status: 0, stdout: `${number}\n` })
  }
  const rows = () => gateway.gateway.state.evidence.sessionsOf(grant.id, null, 10)
  await vi.waitFor(async () => expect((await rows()).filter(({ end }) => end !== null)).toHaveLength(2), 20_000)
  await gateway.gateway.access.handBack(await gateway.person('alice'), grant.id)
  story = { request: grant.request, grant: grant.id, sessions: (await rows()).map(({ session }) => session.id) }
  bundle = await take('sam', story.request, whole)
}, 120_000)
afterAll(async () => {
  await curfew?.[Symbol.asyncDispose]()
  await gateway?.[Symbol.asyncDispose]()
})

function configure({ policies, resources }: ConfigInput): void {
  const roles = resources['prod-db']!.roles as Record<'reporting', { recording?: 'bestEffort' }>
  roles.reporting.recording = 'bestEffort'
  policies.unshift({
    ...{ name: 'break glass', who: { groups: ['engineering'] }, what: { roles: ['admin'] } },
    breakGlass: { review: { from: ['approvers'] } },
  })
}

const fileOf = (name: string) => join(curfew.folder, name)

/** Through the API, as the CLI does; ids of grants and requests say which they are. */
async function take(who: Login, id: string, words = '', scopes: readonly Scope[] = ['all']): Promise<Buffer> {
  const wish = { label: 'a terminal', kind: 'cli', lengthMs: 3_600_000, scopes } as const
  const { text: token } = await gateway.gateway.identity.tokens.make(await gateway.person(who), wish)
  await using client = createGatewayClient({ gateway: gateway.url.origin, ca: gateway.ca, token })
  const pieces = await Array.fromAsync(await client.download(`/${id.split('-')[0]}s/${id}/evidence${words}`))
  return Buffer.concat(pieces)
}

const check = (bytes: Buffer, keys = key.publicKeys()) => verifyBundle(memorySource(bytes), keys)
const text = (files: readonly Packed[], name: string) =>
  files.find((file) => file.name === name)!.bytes.toString('utf8')

test('it holds the whole story, and each part of it holds', async () => {
  const files = await unpack(bundle)
  const recordings = story.sessions.flatMap((id) =>
    ['chain.jsonl', 'manifest.jws', 'recording.curfew'].map((name) => `recordings/${id}/${name}`),
  )
  expect(files.map(({ name }) => name)).toEqual([
    ...['README.md', 'keys.json', 'request.json', 'decisions.json', 'grant.json', 'people.json', 'sessions.json'],
    ...recordings,
    ...['audit.jsonl', 'manifest.json', 'manifest.jws'],
  ])
  const part = (name: string): unknown => JSON.parse(text(files, name))
  expect(part('request.json')).toMatchObject({
    ...{ id: story.request, state: 'approved', resource: 'prod-db', role: 'readonly' },
    askedAt: expect.stringMatching(/^20\d\d-.*Z$/),
  })
  expect(part('decisions.json')).toMatchObject([{ request: story.request, verdict: 'approve' }])
  expect(part('grant.json')).toMatchObject({ id: story.grant, state: 'ended', endedAt: expect.stringContaining('T') })
  expect(part('sessions.json')).toMatchObject(
    story.sessions.map((id) => ({ id, personName: 'alice@shop.example', end: { by: 'client' }, recorded: true })),
  )
  expect(part('people.json')).toEqual(
    expect.arrayContaining([expect.objectContaining({ email: 'bob@shop.example', kind: 'person' })]),
  )
  const found = await check(bundle)
  expect(found).toMatchObject({ holds: true, trusted: true, manifest: { living: false, recordings: 'whole' } })
  expect(found.findings.map(({ part: about, holds }) => [about, holds])).toEqual(
    ['archive', 'contents', 'recordings', 'audit log', 'agreement'].map((about) => [about, true]),
  )
  expect(found.recordings).toEqual(
    story.sessions.map((session) => ({ session, state: 'sealed', whole: true, why: null })),
  )
  expect(found.audit).toMatchObject({ broken: null, proven: found.audit?.events })
  const types = text(files, 'audit.jsonl')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { json?: string })
    .flatMap(({ json }) => (json === undefined ? [] : [(JSON.parse(json) as { type: string }).type]))
  expect(types.slice(0, 4)).toEqual(['request.opened', 'request.approved', 'grant.started', 'session.started'])
  // When an end is written, the next session may have begun.
  expect(types.slice(4).toSorted()).toEqual([
    ...['evidence.exported', 'grant.handed-back', 'recording.exported', 'recording.exported'],
    ...['session.ended', 'session.ended', 'session.started'],
  ])
})

test('the CLI checks it with the keys that are given, and says what holds', { timeout: 120_000 }, async () => {
  const file = fileOf('whole.tar')
  const taken = await curfew.run('sam', 'evidence', story.grant, '--recordings', '-o', file)
  expect([taken.status, taken.stdout]).toEqual([
    0,
    expect.stringMatching(/whole\.tar: \d.* KiB, 14 files, checked\.\n$/),
  ])
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  await writeFile(file, bundle)
  const good = await curfew.run('alice', 'verify', file, '--key', publicKeys)
  expect(good).toMatchObject({ status: 0, stderr: '' })
  expect(good.stdout).toMatch(/whole\.tar: evidence, whole and signed\n {2}about request-\w+, made by .* for sam@/)
  expect(good.stdout).toMatch(/ok {2}audit log {3}11 events in the log that is signed up to event \d+\n/)
  expect(good.stdout).toMatch(/ok {2}recordings {2}2 signed at the end of the session\n/)
  expect((await curfew.run('alice', 'verify', file)).status).toBe(4)
  await using folder = await temporaryFolder()
  await openSigningKey(folder.path)
  const strange = await curfew.run('alice', 'verify', file, '--keys', join(folder.path, 'keys/public.jwks'))
  expect([strange.status, strange.stdout]).toEqual([4, expect.stringContaining('it is not in ')])
  const [json] = await curfew.json('alice', 'verify', file, '--key', publicKeys)
  expect(json).toMatchObject({ verdict: 'sealed', evidence: { kind: 'evidence', states: { grant: 'ended' } } })

  const changed = Buffer.from(bundle)
  changed[bundle.indexOf('alice@shop.example')]! ^= 1
  await writeFile(file, changed)
  const bad = await curfew.run('alice', 'verify', file, '--key', publicKeys)
  expect([bad.status, bad.stdout]).toEqual([
    1,
    expect.stringMatching(/NOT AS IT WAS MADE\n {2}NOT archive {2}\S+: it is not the file that was signed/),
  ])
  await writeFile(file, gzipSync(Buffer.alloc(1 << 20)))
  expect((await curfew.run('alice', 'verify', file, '--key', publicKeys)).status).toBe(1)
})

test('a changed byte is found, in whichever file', async () => {
  const files = await unpack(bundle)
  for (const { name, bytes } of files) {
    const start = bundle.indexOf(bytes)
    const places = fc.sample(fc.nat(bytes.length - 1), 4)
    for (const at of new Set([0, bytes.length - 1, ...places])) {
      const changed = Buffer.from(bundle)
      changed[start + at]! ^= 1 << (at % 8)
      const found = await check(changed)
      expect([name, at, found.holds]).toEqual([name, at, false])
    }
  }
  await fc.assert(
    fc.asyncProperty(fc.nat(bundle.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
      const changed = Buffer.from(bundle)
      changed[at]! ^= change
      expect((await check(changed)).holds).toBe(false)
    }),
    { numRuns: 100 },
  )
})

test('files that are left out, moved, exchanged, renamed, added or of another time are found', async () => {
  const files = await unpack(bundle)
  const atSeconds = Math.floor(Date.parse((JSON.parse(text(files, 'manifest.json')) as BundleManifest).madeAt) / 1000)
  expect(repack(files, atSeconds).equals(bundle)).toBe(true)
  const changes: Packed[][] = files.map((_, index) => files.toSpliced(index, 1))
  changes.push(
    files.with(2, files[3]!).with(3, files[2]!),
    files.with(2, { ...files[2]!, bytes: files[3]!.bytes }),
    files.with(0, { ...files[0]!, name: 'READ.md' }),
    [{ name: 'more.json', bytes: Buffer.from('{}') }, ...files],
    [...files, { name: 'more.json', bytes: Buffer.from('{}') }],
    [],
  )
  for (const changed of changes) expect((await check(repack(changed, atSeconds))).holds).toBe(false)
  expect((await check(repack(files, atSeconds + 1))).findings).toMatchObject([
    { says: expect.stringContaining('time') },
  ])
})

/** As somebody would who holds the gateway's key, or one of their own. */
async function signedAnew(change: (files: Packed[]) => Packed[], by: Pick<SigningKey, 'sign'> = key): Promise<Buffer> {
  const files = change((await unpack(bundle)).slice(0, -2))
  const { madeAt, ...about } = JSON.parse(text(await unpack(bundle), 'manifest.json')) as BundleManifest
  const list = files.map(({ name, bytes }) => {
    return { name, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') }
  })
  const manifest = { ...about, madeAt, files: list }
  const signed = [
    { name: 'manifest.json', bytes: Buffer.from(JSON.stringify(manifest)) },
    { name: 'manifest.jws', bytes: Buffer.from(await by.sign(bundleType, manifest)) },
  ]
  return repack([...files, ...signed], Math.floor(Date.parse(madeAt) / 1000))
}
const changing = (name: RegExp, change: (text: string) => string) => (files: Packed[]) =>
  files.map((file) =>
    name.test(file.name) ? { ...file, bytes: Buffer.from(change(file.bytes.toString('utf8'))) } : file,
  )

test('a story that was changed before it was signed does not agree with the audit log', async () => {
  expect(await check(await signedAnew((files) => files))).toMatchObject({ holds: true, trusted: true })
  const cases: [(files: Packed[]) => Packed[], string, RegExp][] = [
    [changing(/^grant/, (all) => all.replace('"ended"', '"revoked"')), 'agreement', /is revoked/],
    [changing(/^dec/, (all) => all.replaceAll(/decision-\w+/g, 'decision-x')), 'agreement', /decision-x/],
    [changing(/^dec/, (all) => all.replaceAll(/person-\w+/g, 'person-x')), 'agreement', /decision-\w+ is of another/],
    [changing(/^dec/, (all) => all.replace('"approve"', '"deny"')), 'agreement', /decision-\w+ is of another/],
    [changing(/^req/, (all) => all.replace('"approved"', '"denied"')), 'agreement', /is denied/],
    [changing(/^req/, (all) => all.replaceAll(/person-\w+/g, 'person-x')), 'agreement', /another person/],
    [changing(/^req/, (all) => all.replace(/("reason": *)"/, '$1"no ')), 'agreement', /another reason/],
    [changing(/^req/, (all) => all.replace('prod-db', 'test-db')), 'agreement', /another resource/],
    [changing(/^grant/, (all) => all.replace('"readonly"', '"admin"')), 'agreement', /another role/],
    [changing(/^grant/, (all) => all.replaceAll(/person-\w+/g, 'person-x')), 'agreement', /another person/],
    [changing(/^sess/, (all) => all.replaceAll(/person-\w+/g, 'person-x')), 'agreement', /another person/],
    [changing(/^sess/, (all) => all.replace(story.sessions[0]!, 'session-x')), 'recordings', /session-x/],
    [changing(/^sess/, (all) => all.replace('"code": null', '"code": "SHUTTING_DOWN"')), 'agreement', /another end/],
    [changing(/^sess/, (all) => all.replace('"recorded": true', '"recorded": false')), 'agreement', /was recorded/],
    [
      changing(/^audit/, (all) => all.replace('select', 'x').replace('"reason\\"', '"raison\\"')),
      'audit log',
      /hashed/,
    ],
    [changing(/^audit/, (all) => all.split('\n').toSpliced(3, 1).join('\n')), 'agreement', /session-\w+ began/],
    [changing(/0?chain/, (all) => all.replace(/"events":\d+/, '"events":9')), 'recordings', /does not follow/],
    [changing(/manifest\.jws/, () => 'e.y.J'), 'recordings', /signature/],
  ]
  for (const [change, part, says] of cases) {
    const { holds, findings } = await check(await signedAnew(change))
    expect([holds, findings.find((one) => !one.holds)]).toEqual([
      false,
      { part, holds: false, says: expect.stringMatching(says) },
    ])
  }
})

test('a bundle that a stranger signed is whole, but not trusted; their recordings are not, either', async () => {
  await using folder = await temporaryFolder()
  const stranger = await openSigningKey(folder.path)
  const forged = await signedAnew((files) => files, stranger)
  expect(await check(forged)).toMatchObject({ holds: true, trusted: false, key: { trusted: false } })
  const found = await check(forged, stranger.publicKeys())
  expect(found).toMatchObject({ holds: false, trusted: false })
  expect(found.recordings.map(({ state }) => state)).toEqual(['untrusted', 'untrusted'])
})

test('it is for reviewers and operators; recordings are for reviewers alone; and that it was made is on record', async () => {
  const refusals: [Parameters<typeof take>, string, string][] = [
    [['alice', story.request], 'NOT_ALLOWED', 'for reviewers and operators'],
    [['olga', story.grant, whole], 'NOT_ALLOWED', 'are for reviewers'],
    [['sam', story.request, '', ['requests:read']], 'INSUFFICIENT_SCOPE', 'the scope evidence:read'],
    [['sam', story.request, whole, ['evidence:read']], 'INSUFFICIENT_SCOPE', 'the scope recordings:read'],
    [['sam', 'request-nothing'], 'REQUEST_UNKNOWN', 'no such request'],
    [['sam', 'grant-nothing'], 'GRANT_UNKNOWN', 'no such grant'],
  ]
  for (const [words, code, message] of refusals) {
    await expect(take(...words)).rejects.toMatchObject({ code, message: expect.stringContaining(message) })
  }
  const small = await take('olga', story.grant)
  const found = await check(small)
  expect(found).toMatchObject({ holds: true, manifest: { recordings: 'signatures', subject: { kind: 'grant' } } })
  expect(found.recordings.map(({ state, whole }) => [state, whole])).toEqual([
    ['sealed', false],
    ['sealed', false],
  ])
  const events = await gateway.gateway.state.audit.search({ types: ['evidence.exported'], limit: 2 })
  expect(events.map(({ json }) => JSON.parse(json) as object)).toMatchObject([
    { personName: 'olga@shop.example', data: { request: story.request, grant: story.grant, recordings: false } },
    { personName: 'sam@shop.example', data: { recordings: true, sessions: 2, address: '127.0.0.1' } },
  ])
})

test('the page offers it to those who may have it', async () => {
  const sam = await gateway.visitor('sam')
  const page = await sam.open(new URL(`/approvals/${story.request}`, gateway.url), '')
  expect(page.body).toContain(`href="/requests/${story.request}/evidence?recordings=true"`)
  const olga = await gateway.visitor('olga')
  const hers = (await olga.open(new URL(`/approvals/${story.request}`, gateway.url), '')).body
  expect(hers).toContain(`href="/requests/${story.request}/evidence"`)
  expect(hers).not.toContain('recordings=true')
  const alice = await gateway.visitor('alice')
  expect((await alice.open(new URL(`/requests/${story.request}`, gateway.url), '')).body).not.toContain('evidence')
  const forAlice = await alice.open(new URL(`/requests/${story.request}/evidence`, gateway.url), '')
  expect(forAlice.status).toBe(403)
})

test('while the grant lives, the bundle says so; an unfinished recording is in it as far as it goes', async () => {
  const grant = await gateway.grant('alice', 'reporting')
  await using psql = gateway.psql({
    ...{ user: 'reporting.token', password: await gateway.token('alice') },
    commands: ['select 42', 'select pg_sleep(600)'],
  })
  await psql.until(/42/)
  const living = await take('sam', grant.id, whole)
  const found = await check(living)
  expect(found).toMatchObject({ holds: true, trusted: true, manifest: { living: true, sessions: 1 } })
  expect(found.recordings).toMatchObject([{ state: 'unsealed', whole: true }])
  expect(text(await unpack(living), 'README.md')).toContain('still living when this was made')
  await gateway.gateway.access.handBack(await gateway.person('alice'), grant.id)
})

// Goal: cutting off the end of a recording, signature and all, does not make a crash out of it.
test('a recording whose end was cut off on the disk does not hold', async () => {
  const file = await recordingOf(story.sessions[0]!)
  const before = await readFile(file)
  await writeFile(file, before.subarray(0, before.length - 300))
  const found = await check(await take('olga', story.grant))
  await writeFile(file, before)
  expect(found.holds).toBe(false)
  expect(found.recordings.map(({ state }) => state)).toEqual(['cut-off', 'sealed'])
  expect(found.findings.find(({ holds }) => !holds)?.says).toContain('NOT SIGNED')
})

// Goal: a recording that its gateway lost is told apart from one that somebody cut off. Method: the thread that writes dies.
test('a recording that was given up holds as far as the audit log says that it was kept, and no less', async () => {
  const grant = await gateway.grant('alice', 'reporting')
  await using psql = gateway.psql({
    ...{ user: 'reporting.token', password: await gateway.token('alice') },
    commands: ['select 44', 'select pg_sleep(600)'],
  })
  await psql.until(/44/)
  const [live] = await gateway.gateway.state.sessions.sessions({ live: true, limit: 1 })
  const file = await recordingOf(live!.session.id)
  await vi.waitFor(async () => expect((await verifyRecording(file)).events).toBeGreaterThan(2), 10_000)
  const saved = async () => await (await fetch(new URL('/metrics', gateway.opsUrl))).text()
  await vi.waitFor(async () => expect(await saved()).toContain('curfew_recording_unsaved_bytes 0\n'), 10_000)
  const kept = await readFile(file)
  await writers.at(-1)!.terminate()
  await gateway.gateway.access.handBack(await gateway.person('alice'), grant.id)
  await psql.exited()
  const row = () => gateway.gateway.state.sessions.session(live!.session.id)
  await vi.waitFor(async () => expect((await row())?.end).not.toBeNull(), 10_000)

  const given = await check(await take('sam', grant.id, whole))
  expect(given).toMatchObject({ holds: true, trusted: true, recordings: [{ state: 'given-up' }] })
  expect(given.findings.find(({ part }) => part === 'recordings')?.says).toContain('given up')
  const [event] = await gateway.gateway.state.audit.search({ types: ['recording.given-up'], limit: 1 })
  expect(JSON.parse(event!.json)).toMatchObject({
    data: { session: live!.session.id, holder: live!.session.person, why: expect.stringContaining('thread') as string },
  })
  // Less than was kept, and another chain that holds in itself.
  const header = kept.subarray(0, 8 + 5 + kept.readUInt32BE(9))
  const other = await recordInMemory(key, [{ seconds: 1, code: 'q', data: { n: 1, sql: 'select 2' } }], {
    ...{ seal: false, header: JSON.parse(header.toString('utf8', 13)) as { session: string } },
  })
  for (const forged of [header, other]) {
    await writeFile(file, forged)
    const found = await check(await take('olga', grant.id))
    expect(found).toMatchObject({ holds: false, recordings: [{ state: 'damaged' }] })
    expect(found.findings.find(({ holds }) => !holds)?.says).toContain('given up')
  }
})

test('a recording that was tampered with on the disk is named, and one that is gone too', async () => {
  const [first, second] = await Promise.all(story.sessions.map((id) => recordingOf(id)))
  const original = await readFile(first!)
  const changed = Buffer.from(original)
  changed[original.length - 2000]! ^= 1
  await writeFile(first!, changed)
  await rename(second!, `${second}.gone`)
  const file = fileOf('tampered.tar')
  const said = await curfew.run('sam', 'evidence', story.grant, '--recordings', '-o', file)
  expect([said.status, said.stderr]).toEqual([1, expect.stringContaining('NOT WHAT THE GATEWAY WROTE')])
  const found = await check(await readFile(file))
  expect(found.recordings.map(({ session, state }) => [session, state])).toEqual([
    [story.sessions[0], 'damaged'],
    [story.sessions[1], 'missing'],
  ])
  await writeFile(first!, original)
  await rename(`${second}.gone`, second!)
})

async function recordingOf(session: string): Promise<string> {
  const row = await gateway.gateway.state.sessions.session(session as `session-${string}`)
  const file = join(gateway.config.gateway.dataFolder, 'recordings', row!.recording!)
  expect((await stat(file)).isFile()).toBe(true)
  return file
}

test('a request that came to nothing has its evidence, too', async () => {
  const { access } = gateway.gateway
  const wish = { resource: 'prod-db', role: 'admin', lengthMs: 3_600_000, reason: 'why', ticket: null, startsAt: null }
  const asked = await access.ask(await gateway.person('alice'), { ...wish, origin: 'a test' })
  await access.decide(await gateway.person('bob'), asked.id, 'deny', 'no', { address: '127.0.0.1' })
  const found = await check(await take('olga', asked.id))
  expect(found).toMatchObject({ holds: true, manifest: { grant: null, sessions: 0, living: false } })
  expect(found.facts).toMatchObject({ grant: null, request: { state: 'denied' }, decisions: [{ verdict: 'deny' }] })
})

test('more time, and an emergency with its review, are part of the story', async () => {
  const { access } = gateway.gateway
  const [dave, bob] = [await gateway.person('dave'), await gateway.person('bob')]
  const grant = await gateway.grant('dave', 'readonly')
  const more = await access.extend(dave, grant.id, {
    lengthMs: 600_000,
    reason: 'more',
    ticket: null,
    origin: 'a test',
  })
  await access.decide(bob, more.id, 'approve', 'go on', { address: '127.0.0.1' })
  // Olga here and Sam below: nobody may take more than ten in a row.
  const bundles = [await take('olga', more.id), await take('olga', grant.id)]
  for (const one of bundles) {
    const found = await check(one)
    expect(found).toMatchObject({ holds: true, manifest: { request: grant.request, grant: grant.id, living: true } })
    expect(found.facts).toMatchObject({ extensions: [{ id: more.id, extends: grant.id }], decisions: [{}, {}] })
  }

  const wish = {
    resource: 'prod-db',
    role: 'admin',
    lengthMs: 600_000,
    reason: 'the checkout burns, since noon',
    ticket: null,
    startsAt: null,
  }
  const request = await access.ask(dave, { ...wish, origin: 'a test', emergency: true })
  const [now] = (await access.livingGrants(dave.id)).filter((one) => one.request === request.id)
  await access.handBack(dave, now!.id)
  expect(await check(await take('sam', request.id))).toMatchObject({ holds: true, manifest: { living: true } })
  const review = (await access.reviews.ofRequest(request.id))!
  await access.reviews.close(bob, review.id, 'justified', 'it did burn')
  const closed = await take('sam', request.id)
  expect(await check(closed)).toMatchObject({ holds: true, manifest: { living: false } })
  expect(JSON.parse(text(await unpack(closed), 'review.json'))).toMatchObject({
    ...{ id: review.id, verdict: 'justified', comment: 'it did burn', closedAt: expect.stringContaining('T') },
  })
})
