import { findNewerPsql } from '../../scripts/newer-psql.ts'
import { Program } from './program.ts'
import { connectionString, type PsqlOptions } from './psql.ts'

export interface NewerPsqlOptions extends PsqlOptions {
  /** Of the provider; without it psql cannot sign in by itself. */
  readonly oauth?: { readonly issuer: URL; readonly clientId: string }
}

/** Whether `npm test`, or scripts/newer-psql.ts, could get one. */
export const hasNewerPsql: boolean = findNewerPsql() !== undefined

/** psql 18, which signs in by itself. Its provider may speak plain http; what they say to each other comes on stderr. */
export function startNewerPsql(options: NewerPsqlOptions): Program {
  const psql = findNewerPsql()!
  const commands = (options.commands ?? []).flatMap((command) => ['-c', command])
  const { oauth, password } = options
  const own = oauth === undefined ? '' : `oauth_issuer=${oauth.issuer.origin} oauth_client_id=${oauth.clientId}`
  const words = ['-X', '-w', '-A', '-t', ...(options.args ?? []), ...commands]
  return new Program(psql.command, [...psql.args, ...words, `${connectionString(options)} ${own}`], {
    ...options,
    env: { PGOAUTHDEBUG: 'UNSAFE', ...(password !== undefined && { PGPASSWORD: password }), ...options.env },
  })
}
