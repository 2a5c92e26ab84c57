import { copyFile, open, stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { auditEvent } from '../../src/audit/event.ts'
import { toOpenSessions } from '../../src/identity/tokens.ts'
import { startPages, type Pages, type SignedIn } from './harness.ts'

// Goal: each page says what is true, to those who may see it. Method: real rooms; forms and pages over HTTPS.
let pages: Pages
let erin: SignedIn
let ada: SignedIn
let sam: SignedIn
let olga: SignedIn

beforeAll(async () => {
  pages = await startPages()
  erin = await pages.signIn('erin')
  ada = await pages.signIn('ada')
  sam = await pages.signIn('sam')
  olga = await pages.signIn('olga')
}, 60_000)
afterAll(async () => pages?.[Symbol.asyncDispose]())

async function askAs(who: SignedIn, more: Record<string, string> = {}): Promise<string> {
  const form = { resource: 'prod-db', role: 'readonly', for: '1h', reason: `because ${Math.random()}`, ...more }
  const asked = await who.post('/ask', form)
  expect(asked.status, asked.text).toBe(303)
  return asked.location!.split('/').at(-1)!
}

async function recorded(sql: string): Promise<string> {
  await erin.post('/ask', { resource: 'staging', role: 'readonly', for: '1h', reason: '' })
  const admission = await pages.openSession(erin.person, 'staging', 'readonly')
  admission.recorder.event('q', { n: 1, sql })
  admission.recorder.event('c', { n: 1, tag: 'SELECT 2', rows: 2, ms: 3.1 })
  await admission.end({ by: 'client', bytesFromClient: 10, bytesFromTarget: 20 })
  return admission.session.id
}

async function auditTypesOf(who: SignedIn): Promise<string[]> {
  const events = await pages.state.audit.search({ limit: 200 })
  return events
    .map(({ json }) => JSON.parse(json))
    .filter((event) => event.person === who.person.id)
    .map(({ type }) => type)
}

test('what was typed is shown as text on every page that shows it', async () => {
  const evil = '<img src=x onerror=alert(1)>"\'&'
  const request = await askAs(erin, { reason: evil })
  await pages.state.audit.append([auditEvent('request.opened', 1 as never, { id: null, name: evil }, { reason: evil })])
  for (const [who, path] of [
    [erin, `/requests/${request}`],
    [ada, `/approvals/${request}`],
    [ada, '/approvals'],
    [sam, '/audit'],
    [erin, `/ask?resource=prod-db&role=readonly&reason=${encodeURIComponent(evil)}`],
  ] as const) {
    const { text } = await who.get(path)
    expect(text).toContain('&lt;img src=x')
    expect(text).not.toContain('<img')
  }
})

test('asking keeps what was typed when something is missing, and says which field', async () => {
  const form = { resource: 'prod-db', role: 'readonly', for: '2h', reason: '', ticket: 'INC-77' }
  const refused = await erin.post('/ask', form)
  expect(refused.status).toBe(422)
  expect(refused.text).toMatch(/<textarea[^>]*aria-invalid="true"/)
  expect(refused.text).toMatch(/<option value="2h"\s+selected/)
  expect(refused.text).toContain('value="INC-77"')
  const wrongTicket = await erin.post('/ask', { ...form, reason: 'why', ticket: 'nonsense' })
  expect(wrongTicket.text).toMatch(/id="ticket"[^>]*aria-invalid="true"/)
  const tooLong = await erin.post('/ask', { ...form, reason: 'why', for: '9h' })
  expect(tooLong.text).toMatch(/id="for"[^>]*aria-invalid="true"/)
})

test('a start is read in the zone that was chosen', async () => {
  const day = new Date(Date.now() + 7 * 86_400_000).toISOString().slice(0, 10)
  const request = await askAs(erin, { startsAt: `${day}T14:30`, zone: 'Asia/Kolkata' })
  const { request: stored } = await pages.access.view(erin.person, request as never)
  expect(stored.startsAt).toBe(Date.parse(`${day}T09:00:00Z`))
})

test('one link for both: the requester watches, the approver decides', async () => {
  const request = await askAs(erin)
  const { text } = await erin.get(`/requests/${request}`)
  expect(text).toContain('One more person must approve')
  expect(text).toMatch(new RegExp(`<code[^>]*>\\s*https?://[^<]+/requests/${request}\\s*</code`))
  expect((await ada.get(`/requests/${request}`)).location).toBe(`/approvals/${request}`)
  expect((await erin.get(`/approvals/${request}`)).text).toContain('your own request')
  expect((await olga.get(`/approvals/${request}`)).text).not.toContain('>Approve<')
})

test('an approved request tells exactly what to type', async () => {
  const request = await askAs(erin)
  const decided = await ada.post(`/approvals/${request}`, { verdict: 'approve', comment: 'go' })
  expect(decided.location).toBe(`/approvals/${request}`)
  const { text } = await erin.get(`/requests/${request}`)
  expect(text).toContain(
    'psql &quot;host=localhost port=6432 user=readonly dbname=prod-db sslmode=verify-full sslrootcert=/etc/curfew/ca.pem&quot;',
  )
})

test('access to an SSH target tells what to type, what it allows and what is kept', async () => {
  const facts = 'login ops · shell, commands, files (SFTP), local forwards · recorded, but not what is typed'
  expect((await erin.get('/ask?resource=web-1&role=ops')).text).toContain(`Look after the server · ${facts}`)
  const request = await askAs(erin, { resource: 'web-1', role: 'ops' })
  const { text } = await erin.get(`/requests/${request}`)
  expect(text).toContain('>ssh -p 2222 ops@web-1@localhost</code')
  expect(text).toContain('>sftp -P 2222 ops@web-1@localhost</code')
  expect(text).toContain('Copy the sftp command for web-1')
  expect(text).toContain(facts)
  expect((await sam.get(`/approvals/${request}`)).text).toContain(facts)
})

test('a second tap and a slower colleague both read what happened', async () => {
  const request = await askAs(erin)
  await ada.post(`/approvals/${request}`, { verdict: 'deny', comment: 'not today' })
  expect((await ada.post(`/approvals/${request}`, { verdict: 'deny' })).status).toBe(303)
  const late = await sam.post(`/approvals/${request}`, { verdict: 'approve' })
  expect(late.location).toBe(`/approvals/${request}?late=approve`)
  const { text } = await sam.get(late.location!)
  expect(text).toContain('Your approval came too late.')
  expect(text).toContain('Refused by ada@example.test')
  expect(text).toContain('not today')
})

test('only the two words decide; anything else refuses', async () => {
  const request = await askAs(erin)
  await ada.post(`/approvals/${request}`, { verdict: 'APPROVE!' })
  expect((await pages.access.view(erin.person, request as never)).request.state).toBe('denied')
})

test('a sign-in page shows who asks; confirming leads to what is missing', async () => {
  const signIn = await pages.identity.inBand.begin({
    purpose: 'postgres',
    address: '203.0.113.9',
    application: 'psql',
    resource: 'prod-db',
    role: 'admin',
    secretHash: null,
  })
  const page = await erin.get(`/s/${signIn.code.toLowerCase()}`)
  expect(page.text).toContain(signIn.code)
  expect(page.text).toContain('203.0.113.9')
  expect(page.text).not.toMatch(/name="remember"[^>]* checked/)
  const answered = await erin.post(`/s/${signIn.code}`, { answer: 'confirm' })
  const after = await erin.get(answered.location!)
  expect(after.text).toContain('/ask?resource=prod-db&amp;role=admin')
  expect((await ada.get(answered.location!)).status).toBe(404)
  // A second tap, or a page that stood open: told how it went, not scolded.
  const again = await erin.post(`/s/${signIn.code}`, { answer: 'refuse' })
  expect(again.location).toBe(answered.location)
  expect((await erin.get(again.location!)).text).toContain('You are signed in there')
})

test('a live session is seen and ended by its person and by operators, by nobody else', async () => {
  await erin.post('/ask', { resource: 'staging', role: 'readonly', for: '1h', reason: '' })
  const admission = await pages.openSession(erin.person, 'staging', 'readonly')
  const path = `/sessions/${admission.session.id}`
  expect((await erin.get('/sessions')).text).toContain(admission.session.id)
  expect((await olga.get('/sessions')).text).toContain(admission.session.id)
  expect((await ada.get('/sessions')).text).not.toContain(admission.session.id)
  expect((await ada.get(path)).status).toBe(404)
  expect((await ada.post(`${path}/end`, { comment: 'x' })).status).toBeGreaterThanOrEqual(400)
  expect(admission.cutOff.aborted).toBe(false)
  expect((await olga.post(`${path}/end`, { comment: 'maintenance' })).status).toBe(303)
  expect(admission.cutOff.aborted).toBe(true)
  admission.told()
  await admission.end({ by: 'gate', bytesFromClient: 0, bytesFromTarget: 0 })
  expect((await erin.get(path)).text).toContain('maintenance')
})

test('a recording is a timeline with its seal; looking and exporting are audited', async () => {
  const session = await recorded("select '<b>' as bold")
  const { text } = await sam.get(`/recordings/${session}`)
  expect(text).toContain('Sealed and unchanged')
  expect(text).toContain('select &#39;&lt;b&gt;&#39; as bold')
  expect(text).toContain('2 rows')
  const jsonl = await sam.get(`/recordings/${session}/export/jsonl`)
  expect(jsonl.headers.get('content-disposition')).toBe(`attachment; filename="${session}.jsonl"`)
  expect(JSON.parse(jsonl.text.split('\n')[1]!)).toEqual([
    expect.any(Number),
    'q',
    { n: 1, sql: "select '<b>' as bold" },
  ])
  expect((await sam.get(`/recordings/${session}/export/sql`)).text).toContain("select '<b>' as bold;")
  expect((await sam.get(`/recordings/${session}/export/exe`)).status).toBe(404)
  const types = await auditTypesOf(sam)
  expect(types.filter((type) => type === 'recording.replayed')).toHaveLength(1)
  expect(types.filter((type) => type === 'recording.exported')).toHaveLength(2)
})

test('a person sees their own recordings only; operators without review see none of others', async () => {
  const session = await recorded('select 1')
  expect((await erin.get(`/recordings/${session}`)).status).toBe(200)
  for (const who of [ada, olga]) {
    expect((await who.get(`/recordings/${session}`)).status).toBe(404)
    expect((await who.get(`/recordings/${session}/export/curfew`)).status).toBe(404)
    expect((await who.get('/recordings')).text).not.toContain(session)
  }
  expect((await sam.get('/recordings?person=ERIN&resource=staging')).text).toContain(session)
  expect((await sam.get('/recordings?person=nobody')).text).toContain('No recording matches.')
})

test('a search says how far back it has looked, and goes on from there', async () => {
  const search = vi.spyOn(pages.state.sessions, 'searchRecorded')
  const next = { before: Date.UTC(2026, 4, 3, 8) as never, behind: 'session-last' as never }
  search.mockResolvedValueOnce({ rows: [], next })
  const { text } = await sam.get('/recordings?person=rare')
  expect(text).not.toContain('No recording matches.')
  expect(text.replaceAll(/<[^>]*>/g, '')).toMatch(/Nothing matches from 3 May 2026, 08:00(?: UTC)? on\. Before that/)
  const further = /href="([^"]*)">Look further back/.exec(text)![1]!.replaceAll('&amp;', '&')
  await sam.get(further)
  expect(search.mock.calls.at(-1)).toMatchObject([{ name: 'rare', place: next }])
  search.mockRestore()
})

test('one changed byte is seen, and said', async () => {
  const session = await recorded('select 2')
  const row = await pages.state.sessions.session(session as never)
  await using file = await open(join(pages.folder, 'recordings', row!.recording!), 'r+')
  const { size } = await file.stat()
  const byte = Buffer.alloc(1)
  await file.read(byte, 0, 1, size - 300)
  byte[0]! ^= 1
  await file.write(byte, 0, 1, size - 300)
  const { text } = await sam.get(`/recordings/${session}`)
  expect(text).toContain('Not what the gateway wrote')
  expect(text).not.toContain('Sealed and unchanged')
})

test('a recording whose end was cut off does not pass for one that a crash left', async () => {
  const session = await recorded('select 5')
  const row = await pages.state.sessions.session(session as never)
  const file = join(pages.folder, 'recordings', row!.recording!)
  await truncate(file, (await stat(file)).size - 300)
  const { text } = await sam.get(`/recordings/${session}`)
  expect(text).toContain('Its end is missing')
  expect(text).not.toContain('the gateway stopped before it could sign')
})

test('the whole recording of another session in the place of one is seen, and said', async () => {
  const [one, other] = [await recorded('drop table accounts'), await recorded('select 3')]
  const fileOf = async (session: string) => {
    const row = await pages.state.sessions.session(session as never)
    return join(pages.folder, 'recordings', row!.recording!)
  }
  await copyFile(await fileOf(other), await fileOf(one))
  const { text } = await sam.get(`/recordings/${one}`)
  expect(text).toContain('Not the recording of this session')
  expect(text).not.toContain('Sealed and unchanged')
})

test('a token is shown once, listed, and revoked', async () => {
  const made = await erin.post('/sign-ins/tokens', {
    ...{ label: 'weekly <report>', for: '8h', 'scope-sessions': 'yes', 'scope-requests:read': 'yes' },
  })
  const [text] = /curfew_[\w-]{43}/.exec(made.text) ?? []
  expect(text).toBeDefined()
  const { person, token } = await pages.identity.tokens.verify(text!, toOpenSessions, { address: '127.0.0.1' })
  expect(person.id).toBe(erin.person.id)
  const list = await erin.get('/sign-ins')
  expect(list.text).not.toContain(text)
  expect(list.text).toContain('weekly &lt;report&gt;')
  expect((await ada.post(`/sign-ins/${token.id}/revoke`)).status).toBe(404)
  expect((await erin.post(`/sign-ins/${token.id}/revoke`)).status).toBe(303)
  expect((await erin.get('/sign-ins')).text).not.toContain('weekly')
  expect(pages.logLines.join('\n')).not.toContain(text)
})

test('the audit log is for reviewers, and reading it is written once a visit', async () => {
  expect((await erin.get('/audit')).status).toBe(403)
  await sam.get('/audit')
  await sam.get('/audit?type=token.made')
  expect((await auditTypesOf(sam)).filter((type) => type === 'audit.read')).toHaveLength(1)
  const filtered = await sam.get('/audit?type=request.denied')
  expect(filtered.text).not.toMatch(/mono line">\s*person\.signed-in/)
})

test('operators lock and lift; a lock names a person by e-mail', async () => {
  expect((await erin.get('/locks')).status).toBe(403)
  expect((await erin.post('/locks', { person: 'ada@example.test', reason: 'x' })).status).toBe(403)
  const mistyped = await olga.post('/locks', {
    person: 'nobody@example.test',
    role: 'readonly',
    reason: 'stolen laptop',
  })
  expect(mistyped.status).toBe(422)
  expect(mistyped.text).toContain('Nothing was locked. Nobody with that e-mail address')
  expect(mistyped.text).toContain('value="nobody@example.test"')
  expect(mistyped.text).toContain('value="stolen laptop"')
  expect(mistyped.text).toMatch(/<option value="readonly"\s+selected>\s*readonly/)
  expect((await olga.post('/locks', { reason: 'empty' })).status).toBe(422)
  expect((await olga.post('/locks', { person: 'ADA@example.test', reason: 'on leave' })).status).toBe(303)
  const [lock] = await pages.access.locks()
  expect(lock?.scope.person).toBe(ada.person.id)
  expect((await olga.get('/locks')).text).toContain('on leave')
  expect((await ada.get('/')).text).toMatch(/Locked for you: Everything\.\s+“on leave”/)
  expect((await erin.get('/')).text).not.toContain('on leave')
  expect((await olga.post(`/locks/${lock!.id}/lift`)).status).toBe(303)
  expect(await pages.access.locks()).toEqual([])
})

test('the CLI logs in by a page, gets one token, and uses it', async () => {
  const cli = pages.stranger()
  const started = await cli.json('POST', '/api/v1/login', { application: 'curfew on laptop-7' })
  expect(started.status).toBe(201)
  const { id, secret, code, link } = started.body
  expect(link).toBe(`${pages.url.origin}/s/${code}`)
  expect((await cli.json('POST', '/api/v1/login/poll', { id, secret: 'wrong' })).status).toBe(404)
  expect((await cli.json('POST', '/api/v1/login/poll', { id, secret })).status).toBe(202)
  await sam.post(`/s/${code}`, { answer: 'confirm' })
  const polls = await Promise.all([1, 2].map(() => cli.json('POST', '/api/v1/login/poll', { id, secret })))
  expect(new Set(polls.map(({ status }) => status))).toEqual(new Set([200, 410]))
  const { token, person } = polls.find(({ status }) => status === 200)!.body
  expect(person.displayName).toBe('sam@example.test')

  const bearer = { authorization: `Bearer ${token}` }
  expect((await cli.json('GET', '/api/v1/me', undefined, bearer)).body).toMatchObject({
    reviewer: true,
    operator: false,
  })
  const made = await cli.json('POST', '/api/v1/tokens', { label: 'psql' }, bearer)
  expect(made.status).toBe(201)
  expect((await cli.json('GET', '/api/v1/tokens', undefined, bearer)).body.tokens).toHaveLength(2)
  const asProgram = { authorization: `Bearer ${made.body.text}` }
  expect((await cli.json('GET', '/api/v1/requests', undefined, asProgram)).status).toBe(403)
  expect((await cli.json('DELETE', `/api/v1/tokens/${made.body.token.id}`, undefined, bearer)).status).toBe(204)
  const audit = await cli.json('GET', '/api/v1/audit?after=0&limit=2', undefined, bearer)
  expect(audit.body.events.map(({ sequence }: { sequence: number }) => sequence)).toEqual([1, 2])
  expect((await cli.json('GET', '/api/v1/audit/checkpoints', undefined, bearer)).body.checkpoints).toEqual([])
  expect((await cli.json('GET', '/api/v1/keys', undefined, bearer)).body.keys).toHaveLength(1)
  expect((await cli.json('POST', '/api/v1/logout', undefined, bearer)).status).toBe(204)
  expect((await cli.json('GET', '/api/v1/me', undefined, bearer)).status).toBe(401)
})

test('a refused CLI login says so', async () => {
  const cli = pages.stranger()
  const { id, secret, code } = (await cli.json('POST', '/api/v1/login', { application: 'curfew' })).body
  await erin.post(`/s/${code}`, { answer: 'refuse' })
  expect((await cli.json('POST', '/api/v1/login/poll', { id, secret })).body).toMatchObject({ code: 'SIGN_IN_REFUSED' })
  expect((await cli.json('POST', '/api/v1/login', { application: '' })).body).toMatchObject({ code: 'INPUT_INVALID' })
})

test('a CLI login that was confirmed gives nothing once its person has signed out', async () => {
  const cli = pages.stranger()
  const { id, secret, code } = (await cli.json('POST', '/api/v1/login', { application: 'curfew' })).body
  const victim = await pages.signIn('erin')
  await victim.post(`/s/${code}`, { answer: 'confirm' })
  await victim.post('/sign-out')
  const poll = await cli.json('POST', '/api/v1/login/poll', { id, secret })
  expect([poll.status, poll.body.code]).toEqual([401, 'SIGNED_OUT'])
})

test('nobody looks at recordings without a pause', async () => {
  const busy = await pages.signIn('erin')
  const session = await recorded('select 1')
  const looks = await Promise.all(Array.from({ length: 40 }, () => busy.get(`/recordings/${session}`)))
  expect(new Set(looks.map(({ status }) => status))).toEqual(new Set([200, 429]))
})

test.each(['', 'nope', 'constructor', '__proto__'])('there is no stream of events about "%s"', async (topic) => {
  expect((await erin.get(`/events?topic=${topic}`)).status).toBe(404)
})

test('the list of recordings leaves none out, however many began at one instant', async () => {
  const row = await pages.state.sessions.session((await recorded('select 4')) as never)
  const ids = Array.from({ length: 120 }, (_, index) => `session-twin${index}` as const)
  await pages.state.sessions.transact(async (tx) => {
    for (const id of ids) await tx.insertSession({ ...row!.session, id, startedAt: 1000 as never }, row!.recording)
  })
  const seen: string[] = []
  let next: string | undefined = '/recordings?to=1970-01-02'
  while (next !== undefined) {
    const { text } = await sam.get(next)
    seen.push(...text.matchAll(/\/recordings\/(session-twin\d+)"/g).map(([, id]) => id!))
    next = /href="(\/recordings\?[^"]*)">Older/.exec(text)?.[1]?.replaceAll('&amp;', '&')
  }
  expect(seen.toSorted()).toEqual(ids.toSorted())
})
