/** Where real PostgreSQL clients are tried: the whole gateway, Debian's server behind it, and what libpq is told. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { Program } from './program.ts'
import { startTestGateway, type TestGateway } from '../servers/gateway.ts'
import { startPostgres } from '../servers/postgres.ts'

export interface Ran {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

const runMsMax = 60_000

/** Alice is admin, the owner of the database `shop`, who may make databases; `readonly` is granted, too. */
export async function openPostgresPlace(): Promise<PostgresPlace> {
  await using stack = new AsyncDisposableStack()
  const postgres = stack.use(await startPostgres({ debian: true, settings: { max_connections: 300 } }))
  await postgres.query('alter role shop_admin createdb')
  const gateway = stack.use(
    await startTestGateway({
      postgres,
      configure: ({ resources }) => {
        const shop = resources?.['prod-db']
        if (shop?.kind !== 'postgres') throw new Error('prod-db is a PostgreSQL server')
        Object.assign(shop.roles['admin']!, { databases: ['shop', 'postgres', 'fresh'] })
      },
    }),
  )
  for (const role of ['admin', 'readonly'] as const) await gateway.grant('alice', role)
  return new PostgresPlace(gateway, await gateway.token('alice'), stack.move())
}

export class PostgresPlace implements AsyncDisposable {
  readonly gateway: TestGateway
  /** A password for every role of Alice's, with `.token` behind its name. */
  readonly token: string
  readonly #stack: AsyncDisposableStack

  constructor(gateway: TestGateway, token: string, stack: AsyncDisposableStack) {
    this.gateway = gateway
    this.token = token
    this.#stack = stack
  }

  /** For libpq: admin of `prod-db`, verified TLS. */
  get environment(): Readonly<Record<string, string>> {
    return {
      PGHOST: 'localhost',
      PGPORT: String(this.gateway.postgresPort),
      PGUSER: 'admin.token',
      PGPASSWORD: this.token,
      PGDATABASE: 'prod-db',
      PGSSLMODE: 'verify-full',
      PGSSLROOTCERT: this.gateway.caFile,
      HOME: this.gateway.folder,
    }
  }

  file(name: string): string {
    return join(this.gateway.folder, name)
  }

  /** @returns the path of a new file. */
  async write(name: string, text: string): Promise<string> {
    await writeFile(this.file(name), text)
    return this.file(name)
  }

  start(command: readonly string[], env: Readonly<Record<string, string>> = {}): Program {
    const [program = '', ...args] = command
    return new Program(program, args, { env: { ...this.environment, ...env }, waitMsMax: runMsMax })
  }

  /** Runs to its end, whatever that is. */
  async end(command: readonly string[], env?: Readonly<Record<string, string>>): Promise<Ran> {
    await using program = this.start(command, env)
    return await program.exited()
  }

  /** Runs to its end. @throws what it said when it fails. */
  async run(command: readonly string[], env?: Readonly<Record<string, string>>): Promise<string> {
    const { status, stdout, stderr } = await this.end(command, env)
    expect(status, `${command.join(' ')}\n${stderr}`).toBe(0)
    return stdout
  }

  /** Each command is a `-c` of one psql. */
  psql(...commands: readonly string[]): Promise<string> {
    return this.run([...quietPsql, ...commands.flatMap((command) => ['-c', command])])
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync()
  }
}

/** No startup file, unaligned rows only, stops at the first error. */
export const quietPsql = ['psql', '-XAtq', '-v', 'ON_ERROR_STOP=1'] as const
