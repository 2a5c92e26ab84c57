import { afterAll, beforeAll, expect, test } from 'vitest'
import { startPages, type Pages, type SignedIn } from './harness.ts'
import { openShell, recordUsualWork, sha256, startSshRecording } from './ssh-recording.ts'

// Goal: an SSH recording says what happened, to those who may see it. Method: the real recorder, pages over HTTPS.
let pages: Pages
let erin: SignedIn
let sam: SignedIn
let ada: SignedIn
let usual: string

beforeAll(async () => {
  pages = await startPages()
  erin = await pages.signIn('erin')
  sam = await pages.signIn('sam')
  ada = await pages.signIn('ada')
  const recording = await startSshRecording(pages, erin)
  await recordUsualWork(recording)
  await recording.seal()
  usual = `/recordings/${recording.id}`
}, 60_000)
afterAll(async () => pages?.[Symbol.asyncDispose]())

test('the page tells what ran, with files, forwards, refusals and what the gateway said', async () => {
  const { text } = await sam.get(usual)
  for (const words of [
    'Sealed and unchanged',
    'SSH, OpenSSH_9.2p1',
    'xterm-256color, 80 x 24',
    'df -h /var &amp;&amp; false',
    'exit 1',
    '/etc/nginx/sites/shop.conf',
    '↑ to the target',
    sha256('nginx.conf'),
    'Permission denied',
    '→ /tmp/b',
    'db.internal:5432',
    'Refused: remote forward of 0.0.0.0:8080',
    'Your access to web-1 as ops ends in 5 minutes.',
  ])
    expect(text).toContain(words)
})

test('files are found by path and by operation', async () => {
  const paths = async (search: string) => {
    const { text } = await sam.get(`${usual}?${search}`)
    const table = /<table class="files">.*?<\/table>/s.exec(text)?.[0] ?? ''
    return [...table.matchAll(/<span class="sql">([^<]*)/g)].map(([, path]) => path)
  }
  const all = await paths('op=all')
  expect(all).toEqual(['.', ...(await paths(''))])
  expect((await sam.get(usual)).text).toContain('1 that only looked (stat, realpath and the like) is left out.')
  expect(await paths('op=realpath')).toEqual(['.'])
  expect(await paths('op=up')).toEqual(['/etc/nginx/sites/shop.conf'])
  expect(await paths('path=LOG&op=read')).toEqual(['/var/log/nginx/access.log'])
  expect(await paths('path=/tmp/b')).toEqual(['/tmp/a'])
  expect((await sam.get(`${usual}?path=nowhere`)).text).toContain('No file operation matches.')
})

test('what a terminal showed is found, as it looked, with the time to jump to', async () => {
  const { text } = await sam.get(`${usual}?ch=1&find=STATUS%20nginx`)
  expect(text).toMatch(/data-seek="[\d.]+"[^>]*>0:00:0\d<\/a\s*>\s*<span class="sql">ops@web-1:~\$ systemctl <mark>/)
  expect(text).toContain('<mark>status nginx</mark>')
  expect((await sam.get(`${usual}?ch=1&find=complain`)).text).toContain('Nothing like that was shown.')
  expect((await sam.get(`${usual}?ch=3&find=complain`)).text).toContain('<mark>complain</mark>')
})

test('each terminal is taken as asciicast or text, everything as JSON lines', async () => {
  const cast = await sam.get(`${usual}/export/cast?ch=1`)
  const id = usual.split('/').at(-1)
  expect(cast.headers.get('content-disposition')).toBe(`attachment; filename="${id}-1.cast"`)
  expect(JSON.parse(cast.text.split('\n')[0]!)).toMatchObject({ version: 3, term: { cols: 80, rows: 24 } })
  const v2 = await sam.get(`${usual}/export/cast-v2?ch=1`)
  expect(JSON.parse(v2.text.split('\n')[0]!)).toMatchObject({ version: 2, width: 80, height: 24 })
  const txt = await sam.get(`${usual}/export/txt?ch=1`)
  expect(txt.text).toContain('ops@web-1:~$ systemctl status nginx\n')
  expect(txt.headers.get('content-type')).toBe('text/plain; charset=utf-8')
  const jsonl = (await sam.get(`${usual}/export/jsonl`)).text.trimEnd().split('\n')
  const output = jsonl
    .slice(1)
    .map((line) => JSON.parse(line))
    .filter(([, code]) => code === '=o')
  expect(Buffer.from(output[0][2].base64, 'base64').toString()).toContain('ops@web-1')
  for (const wrong of ['sql', 'cast', 'cast?ch=99', 'txt?ch=x', 'exe']) {
    const refused = await sam.get(`${usual}/export/${wrong}`)
    expect(refused.status, wrong).toBe(404)
    expect(refused.headers.get('content-disposition'), wrong).toBeNull()
  }
})

test('only the page with a player may run WebAssembly', async () => {
  const policyOf = async (path: string) => (await sam.get(path)).headers.get('content-security-policy')
  expect(await policyOf(usual)).toContain("script-src 'self' 'wasm-unsafe-eval';")
  expect(await policyOf('/recordings')).toContain("script-src 'self';")
  expect(await policyOf(`${usual}/replay/1`)).toContain("script-src 'self';")
})

test('the player gets what it plays from whom it may get it, and looking is written down before', async () => {
  const index = JSON.parse((await sam.get(`${usual}/replay/1?skip=yes`)).text)
  expect(index).toMatchObject({ version: 1, term: { cols: 80, rows: 24 }, segments: [{ start: 0 }] })
  const part = JSON.parse((await sam.get(index.segments[0].url)).text)
  expect(part.events.map(([, , text]: [number, string, string]) => text).join('')).toContain('7120 (nginx)   Größe')
  for (const path of [`${usual}/replay/1`, `${usual}/replay/1/0`, index.segments[0].url]) {
    expect((await ada.get(path)).status, path).toBe(404)
    expect((await pages.stranger().get(path)).status, path).toBe(303)
  }
  for (const path of ['9', 'x', '1/7', '1/-1', '1/0.5']) {
    expect((await sam.get(`${usual}/replay/${path}`)).status, path).toBe(404)
  }
  await erin.get(`${usual}/replay/1/0`)
  const events = await pages.state.audit.search({ limit: 50 })
  const looked = events.map(({ json }) => JSON.parse(json)).filter(({ type }) => type === 'recording.replayed')
  expect(looked.map(({ person }) => person)).toContain(erin.person.id)
})

test('a shell that the gateway cut says so, and one that was closed before says that', async () => {
  const recording = await startSshRecording(pages, erin)
  openShell(recording, 1)
  recording.event('end', { ch: 1, bytesUp: 1, bytesDown: 1 })
  openShell(recording, 2)
  recording.event('m', { kind: 'cut', text: 'Your access ended.', code: 'GRANT_EXPIRED' })
  recording.event('end', { ch: 2, bytesUp: 1, bytesDown: 1 })
  await recording.seal()
  const { text } = await sam.get(`/recordings/${recording.id}`)
  const table = /<h2>What ran<\/h2>.*?<\/table>/s.exec(text)?.[0] ?? ''
  expect([...table.matchAll(/class="chip[^>]*>\s*([^<]*?)\s*</g)].map(([, words]) => words)).toEqual([
    'closed',
    'cut: grant expired',
  ])
})

test('what clients and targets chose is text, and turns no line around', async () => {
  const evil = '</script><img src=x onerror=alert(1)>"\'&'
  const recording = await startSshRecording(pages, erin)
  openShell(recording, 1)
  await recording.output(1, `${evil}\r\n`)
  recording.event('ch', { ch: 2, kind: 'session' })
  recording.event('run', { ch: 2, what: 'exec', command: `${evil} \u202Egnp.exe` })
  await recording.output(2, 'x')
  recording.event('f', { ch: 2, op: 'rename', path: evil, to: evil, result: evil, ms: 1 })
  recording.event('x', { ch: 2, signal: evil })
  recording.event('ch', { ch: 3, kind: 'forward-local', to: evil, from: evil })
  recording.event('fw', { address: evil, action: 'listen', ok: true })
  recording.event('no', { what: evil, why: evil })
  recording.event('m', { kind: 'notice', text: evil })
  await recording.seal()
  const here = `/recordings/${recording.id}`
  for (const path of [here, `${here}?ch=2&find=%3Cimg&path=%3Cimg&op=%22%3E`, `${here}?find=img`, '/recordings']) {
    const { text, status } = await sam.get(path)
    expect(status, path).toBe(200)
    expect(text.includes('<img') || text.includes('\u202E'), path).toBe(false)
  }
  expect((await sam.get(`${here}?find=img`)).text).toContain('&lt;<mark>img</mark> src=x')
})

test('a session that is open shows what is on disk, and can be ended there', async () => {
  const recording = await startSshRecording(pages, erin)
  openShell(recording, 1)
  await recording.output(1, 'so far so good\r\n')
  const here = `/recordings/${recording.id}`
  await expect.poll(async () => (await erin.get(`${here}/replay/1`)).status).toBe(200)
  const { text } = await erin.get(here)
  expect(text).toContain('Being recorded')
  expect(text).toContain('this is what is on disk so far')
  expect(text).toContain(`action="/sessions/${recording.id}/end"`)
  // who fetches parts while it grows gets those of the index that they began with
  const index = JSON.parse((await erin.get(`${here}/replay/1`)).text)
  await recording.output(1, 'later\r\n')
  await recording.seal()
  const part = JSON.parse((await erin.get(index.segments[0].url)).text)
  expect(part.events.at(-1)[0]).toBe(index.duration)
  expect((await sam.get(here)).text).not.toContain('/end"')
})

test('the list names what ran, without arguments', async () => {
  const { text } = await sam.get('/recordings')
  expect(text).toContain('shell, sftp, df, …')
  expect(text).not.toContain('/var')
})
