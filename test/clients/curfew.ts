/** The real CLI, with a session as `curfew login` leaves it. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Scope } from '../../src/identity/scopes.ts'
import type { Login, TestGateway } from '../servers/gateway.ts'
import { Program } from './program.ts'

const main = join(import.meta.dirname, '../../src/main.ts')

export interface Curfew extends AsyncDisposable {
  /** A folder of its own for files. */
  readonly folder: string
  /** They have logged in; without it they do when they first type something. */
  login(who: Login): Promise<void>
  /** Goes on until it is disposed of, or ends by itself. */
  start(who: Login, ...words: string[]): Promise<Program>
  run(
    who: Login,
    ...words: string[]
  ): Promise<{ readonly status: number | null; readonly stdout: string; readonly stderr: string }>
  /** What one of its commands said with `--json`. */
  json(who: Login, ...words: string[]): Promise<Record<string, unknown>[]>
}

/** Everybody logs in when they first type something. @param scopes of those who have not all */
export async function openCurfew(
  gateway: TestGateway,
  scopes: Partial<Record<Login, readonly Scope[]>> = {},
): Promise<Curfew> {
  const home = await mkdtemp(join(tmpdir(), 'curfew-cli-'))
  const known = new Set<Login>()

  async function login(who: Login): Promise<void> {
    if (known.has(who)) return
    known.add(who)
    const wish = { label: 'a terminal', kind: 'cli', lengthMs: 3_600_000, scopes: scopes[who] } as const
    const { text } = await gateway.gateway.identity.tokens.make(await gateway.person(who), wish)
    const folder = join(home, who, 'curfew')
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const expiresAt = new Date(Date.now() + 3_600_000).toISOString()
    const session = { gateway: gateway.url.origin, ca: gateway.ca, token: text, person: who, expiresAt }
    await writeFile(join(folder, 'session.json'), JSON.stringify(session), { mode: 0o600 })
  }

  const start: Curfew['start'] = async (who, ...words) => {
    await login(who)
    return new Program(process.execPath, [main, ...words], { env: { XDG_CONFIG_HOME: join(home, who) } })
  }
  const run: Curfew['run'] = async (who, ...words) => {
    await using program = await start(who, ...words)
    return await program.exited()
  }
  return {
    folder: home,
    login,
    start,
    run,
    json: async (who, ...words) =>
      (await run(who, ...words, '--json')).stdout
        .trim()
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Record<string, unknown>),
    [Symbol.asyncDispose]: () => rm(home, { recursive: true }),
  }
}
