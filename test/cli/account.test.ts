import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Program } from '../clients/program.ts'
import { startTestGateway } from '../servers/gateway.ts'
import type { Login, TestGateway } from '../servers/gateway.ts'

const main = join(import.meta.dirname, '../../src/main.ts')

let gateway: TestGateway
let home: string
beforeAll(async () => {
  gateway = await startTestGateway()
  home = await mkdtemp(join(tmpdir(), 'curfew-cli-'))
})
afterAll(async () => {
  await gateway[Symbol.asyncDispose]()
  await rm(home, { recursive: true })
})

function curfew(who: Login, ...words: string[]): Program {
  return new Program(process.execPath, [main, ...words], { env: { XDG_CONFIG_HOME: join(home, who) } })
}

async function run(who: Login, ...words: string[]) {
  await using program = curfew(who, ...words)
  return await program.exited()
}

/** As a person does it: the link from the terminal, opened and answered in a browser. */
async function login(who: Login, answer: 'confirm' | 'refuse' = 'confirm', words = named()) {
  await using program = curfew(who, 'login', ...words)
  const [link] = await program.until(/https:\/\/\S+\/s\/\S+/)
  const visitor = await gateway.visitor(who)
  expect((await visitor.open(new URL(link), who)).body).toContain('curfew CLI on ')
  await visitor.post(new URL(link), { answer })
  return await program.exited()
}

const named = () => ['--gateway', gateway.url.href, '--ca', gateway.caFile]

const sessionFile = (who: Login) => join(home, who, 'curfew/session.json')

describe('login', () => {
  test('prints link and code, waits, and keeps the session for its owner only', async () => {
    const { status, stdout, stderr } = await login('alice')
    expect(stderr).toMatch(/code {2}\S+/)
    expect([status, stdout]).toEqual([0, expect.stringMatching(/^You are alice@shop\.example until 20/)])
    expect((await stat(sessionFile('alice'))).mode & 0o777).toBe(0o600)
    expect((await stat(join(home, 'alice/curfew'))).mode & 0o777).toBe(0o700)
    expect((await run('alice', 'whoami')).stdout).toMatch(/^alice@shop\.example\n.*\ngroups {3}engineering\n/)
  })

  test('says when it was refused on the page, and keeps nothing', async () => {
    const { status, stderr } = await login('dave', 'refuse')
    expect([status, stderr]).toEqual([1, expect.stringContaining('curfew: The sign-in was refused')])
    await expect(stat(sessionFile('dave'))).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('goes to the one gateway that was used before, and trusts it as before', async () => {
    await login('carol')
    expect(await run('carol', 'logout')).toMatchObject({ status: 0 })
    const again = await login('carol', 'confirm', [])
    expect([again.status, again.stdout]).toEqual([0, expect.stringMatching(/^You are carol@shop\.example until 20/)])
    const file = join(home, 'carol/curfew/gateways.json')
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    const known = JSON.parse(await readFile(file, 'utf8')) as object[]
    await writeFile(file, JSON.stringify([...known, { gateway: 'https://other.example', ca: null }]))
    const several = await run('carol', 'login')
    expect([several.status, several.stderr]).toEqual([2, expect.stringContaining(', https://other.example\n')])
  })

  test('shows what a gateway says without letting it write on the terminal', async () => {
    const said = { type: 'x', title: 'x', status: 403, detail: 'no \u001b[2J', code: 'NOT_ALLOWED', hint: '\u009b31m' }
    const server = createServer((_, answer) => answer.writeHead(403).end(JSON.stringify({ ...said, requestId: '1' })))
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const { port } = server.address() as AddressInfo
    const { status, stderr } = await run('dave', 'login', '--gateway', `http://127.0.0.1:${port}`)
    expect([status, stderr]).toEqual([1, 'curfew: no \\x1b[2J\n  \\x9b31m\n'])
    server.close()
  })

  test('does not trust an authority that it was not told of', async () => {
    const { status, stderr } = await run('dave', 'login', '--gateway', gateway.url.href)
    expect([status, stderr]).toEqual([
      1,
      expect.stringMatching(/its certificate is not trusted here \(\w+\)\n {2}If the .* --ca FILE/),
    ])
  })
})

describe('token', () => {
  test('alone it prints a token on standard output that psql takes as a password', async () => {
    await gateway.grant('alice', 'reporting')
    const { status, stdout } = await run('alice', 'token')
    expect([status, stdout]).toEqual([0, expect.stringMatching(/^curfew_[\w-]{43}\n$/)])
    const password = stdout.trim()
    await using psql = gateway.psql({ user: 'reporting.token', password, commands: ['select 6 * 7'] })
    expect(await psql.exited()).toMatchObject({ status: 0, stdout: '42\n' })
  })

  test('tokens are listed, revoked, and then refused', async () => {
    const made = JSON.parse(
      (await run('alice', 'token', 'create', '--label', 'nightly', '--for', '2h', '--json')).stdout,
    ) as {
      id: string
      expiresAt: string
    }
    expect(Date.parse(made.expiresAt) - Date.now()).toBeLessThanOrEqual(2 * 3_600_000)
    expect((await run('alice', 'token', 'list')).stdout).toMatch(new RegExp(`${made.id} +access +nightly`))
    expect((await run('alice', 'token', 'revoke', made.id)).stdout).toBe(`${made.id} is revoked.\n`)
    expect((await run('alice', 'token', 'list', '--json')).stdout).not.toContain(made.id)
    expect(await run('alice', 'token', 'revoke', 'token-nonsense')).toMatchObject({ status: 1 })
  })

  test('a length beyond what the gateway allows is its fault, said in its words', async () => {
    const { status, stderr } = await run('alice', 'token', 'create', '--for', '3000d')
    expect([status, stderr]).toEqual([1, expect.stringMatching(/^curfew: \S.*\n {2}\S/)])
  })
})

describe('audit', () => {
  test('is closed to those who are no reviewers', async () => {
    const { status, stderr } = await run('alice', 'audit', 'tail')
    expect([status, stderr]).toEqual([1, expect.stringMatching(/^curfew: /)])
  })

  test('a reviewer reads it, follows it and verifies it', async () => {
    await login('sam')
    await using following = curfew('sam', 'audit', 'tail', '--follow', '--lines', '1')
    await following.until(/\d+ 20\d\d-/)
    const made = JSON.parse((await run('alice', 'token', 'create', '--json')).stdout) as { id: string }
    await following.until(new RegExp(`token\\.made.*${made.id}`))
    const verified = await run('sam', 'audit', 'verify')
    expect([verified.status, verified.stdout]).toEqual([
      0,
      expect.stringMatching(/^The audit log is whole: \d+ events/),
    ])
  })

  test('a job shows its token in the environment, and needs no login', async () => {
    const made = await run('sam', 'token', 'create', '--scope', 'reports:read')
    const env = {
      XDG_CONFIG_HOME: join(home, 'nobody'),
      CURFEW_TOKEN: made.stdout.trim(),
      CURFEW_GATEWAY: gateway.url.href,
      CURFEW_CA: gateway.caFile,
    }
    const job = async (change: object, ...words: string[]) => {
      await using program = new Program(process.execPath, [main, ...words], { env: { ...env, ...change } })
      return await program.exited()
    }
    const report = await job({}, 'report', 'unused', '--csv')
    expect([report.status, report.stderr]).toEqual([0, ''])
    expect((await job({}, 'requests')).stderr).toContain('requests:read')
    const refused = await job({ CURFEW_TOKEN: 'curfew_x' }, 'report')
    expect([refused.status, refused.stderr]).toEqual([
      1,
      'curfew: the gateway does not take the token in CURFEW_TOKEN\n  Make a new one: curfew token create --scope SCOPE\n',
    ])
    await using unnamed = new Program(process.execPath, [main, 'report'], {
      env: { XDG_CONFIG_HOME: join(home, 'nobody'), CURFEW_TOKEN: 'x' },
    })
    expect((await unnamed.exited()).stderr).toBe('curfew: which gateway?\n  Say it: CURFEW_GATEWAY=URL\n')
    const nowhere = await job({ CURFEW_GATEWAY: 'gw' }, 'report')
    expect([nowhere.status, nowhere.stderr]).toEqual([2, expect.stringContaining('CURFEW_GATEWAY: "gw" is not')])
  })

  test('a gateway’s own log is checked with the keys that one kept, where they are given', async () => {
    await gateway.restart() // a stop signs the head of the log
    const good = ['--data', gateway.config.gateway.dataFolder]
    expect(await run('sam', 'audit', 'verify', ...good)).toMatchObject({ status: 0 })
    const other = join(home, 'other.jwk')
    const { publicKey } = generateKeyPairSync('ed25519')
    await writeFile(other, JSON.stringify(publicKey.export({ format: 'jwk' })))
    const strange = await run('sam', 'audit', 'verify', '--key', other)
    expect([strange.status, strange.stdout]).toEqual([
      1,
      expect.stringContaining('a checkpoint has no valid signature'),
    ])
  })

  test('an export verifies without the gateway, and no longer after one changed character', async () => {
    const file = join(home, 'audit.jsonl')
    const { stdout } = await run('sam', 'audit', 'tail', '--lines', '0', '--json')
    await writeFile(file, stdout)
    const keys = ['--data', gateway.config.gateway.dataFolder]
    expect(await run('sam', 'audit', 'verify', file, ...keys)).toMatchObject({ status: 0 })
    await writeFile(file, stdout.replace('alice@shop.example', 'Alice@shop.example'))
    const broken = await run('sam', 'audit', 'verify', file, ...keys)
    expect([broken.status, broken.stdout]).toEqual([1, expect.stringContaining('is not what the gateway wrote')])
    await writeFile(file, '')
    expect(await run('sam', 'audit', 'verify', file)).toMatchObject({ status: 1, stdout: '' })
    await writeFile(file, `${stdout}{"surprise":1}\n`)
    expect((await run('sam', 'audit', 'verify', file)).stderr).toMatch(/audit\.jsonl:\d+ is neither an event nor/)
  })
})

describe('the session', () => {
  test('is not used when others may read it', async () => {
    const text = await readFile(sessionFile('sam'), 'utf8')
    await rm(sessionFile('sam'))
    await writeFile(sessionFile('sam'), text, { mode: 0o644 })
    const { status, stderr } = await run('sam', 'whoami')
    expect([status, stderr]).toEqual([1, expect.stringContaining('others may read')])
  })

  test('ends with logout, here and at the gateway', async () => {
    const text = await readFile(sessionFile('alice'), 'utf8')
    expect(await run('alice', 'logout')).toMatchObject({ status: 0 })
    expect((await run('alice', 'whoami')).stderr).toMatch(/^curfew: you are not logged in\n/)
    await writeFile(sessionFile('alice'), text, { mode: 0o600 })
    expect(await run('alice', 'whoami')).toMatchObject({ status: 1, stdout: '' })
  })

  test('that is over by a wrong clock only goes on, and ends with logout', async () => {
    const kept = await readFile(sessionFile('carol'), 'utf8')
    const session = JSON.parse(kept) as { token: string }
    await writeFile(sessionFile('carol'), JSON.stringify({ ...session, expiresAt: '2026-01-01T00:00:00.000Z' }))
    expect(await run('carol', 'whoami')).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('carol') as string,
    })
    const { status, stdout } = await run('carol', 'logout')
    expect([status, stdout]).toEqual([0, expect.stringMatching(/^Signed out of /)])
    await writeFile(sessionFile('carol'), kept, { mode: 0o600 })
    expect(await run('carol', 'whoami')).toMatchObject({ status: 1, stdout: '' }) // its token was ended
  })

  test('that is over is told from one that is not there, and logout forgets it with its key', async () => {
    const session = JSON.parse(await readFile(sessionFile('carol'), 'utf8')) as object
    await writeFile(sessionFile('carol'), JSON.stringify({ ...session, expiresAt: '2026-01-01T00:00:00.000Z' }))
    const folder = join(home, 'carol/curfew/ssh', gateway.url.host.replace(':', '_'))
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, 'id_ed25519'), 'a key')
    expect((await run('carol', 'whoami')).stderr).toMatch(
      /^curfew: your session is over\n {2}Log in again: curfew login/,
    )
    const { status, stdout } = await run('carol', 'logout')
    expect([status, stdout]).toEqual([0, expect.stringMatching(/was over; it is forgotten here, too\.\n$/)])
    await expect(stat(sessionFile('carol'))).rejects.toMatchObject({ code: 'ENOENT' })
    await expect(stat(join(folder, 'id_ed25519'))).rejects.toMatchObject({ code: 'ENOENT' })
  })
})
