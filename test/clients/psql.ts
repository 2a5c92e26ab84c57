import { Program, type ProgramOptions } from './program.ts'

export interface PsqlOptions extends ProgramOptions {
  readonly host?: string
  readonly port: number
  readonly user: string
  readonly database: string
  /** Path of a PEM file. Without it the certificate is not checked (`sslmode=require`). */
  readonly caFile?: string
  readonly sslMode?: 'disable' | 'prefer' | 'require' | 'verify-ca' | 'verify-full'
  readonly password?: string
  /** The startup parameter, such as `-c curfew.reason=…`. */
  readonly options?: string
  /** Run one after the other, then it ends. Without them it reads what is typed with `send`. */
  readonly commands?: readonly string[]
  readonly args?: readonly string[]
}

/** The real psql: unaligned rows only (`-At`), no prompt, no startup file. */
export function startPsql(options: PsqlOptions): Program {
  const commands = (options.commands ?? []).flatMap((command) => ['-c', command])
  const args = ['-X', '-w', '-A', '-t', ...(options.args ?? []), ...commands, connectionString(options)]
  return new Program('psql', args, {
    ...options,
    env: { ...(options.password !== undefined && { PGPASSWORD: options.password }), ...options.env },
  })
}

/** Keywords and values, as libpq reads them. */
export function connectionString(options: PsqlOptions): string {
  const words = {
    host: options.host ?? 'localhost',
    port: String(options.port),
    user: options.user,
    dbname: options.database,
    sslmode: options.sslMode ?? (options.caFile === undefined ? 'require' : 'verify-full'),
    ...(options.caFile !== undefined && { sslrootcert: options.caFile }),
    ...(options.options !== undefined && { options: options.options }),
  }
  return Object.entries(words)
    .map(([keyword, value]) => `${keyword}='${value.replaceAll(/[\\']/g, String.raw`\$&`)}'`)
    .join(' ')
}
