import { findNewerPsql } from '../../scripts/newer-psql.ts'
import { Program } from './program.ts'
import { connectionString, type PsqlOptions } from './psql.ts'

export interface OAuthPsqlOptions extends PsqlOptions {
  readonly issuer: URL
  readonly clientId: string
}

/** Whether `npm test`, or scripts/newer-psql.ts, could get one. */
export const hasNewerPsql: boolean = findNewerPsql() !== undefined

/** psql 18, which signs in by itself. Its provider may speak plain http; what they say to each other comes on stderr. */
export function startNewerPsql(options: OAuthPsqlOptions): Program {
  const psql = findNewerPsql()!
  const commands = (options.commands ?? []).flatMap((command) => ['-c', command])
  const oauth = `oauth_issuer=${options.issuer.origin} oauth_client_id=${options.clientId}`
  const words = ['-X', '-w', '-A', '-t', ...(options.args ?? []), ...commands]
  return new Program(psql.command, [...psql.args, ...words, `${connectionString(options)} ${oauth}`], {
    ...options,
    env: { PGOAUTHDEBUG: 'UNSAFE', ...options.env },
  })
}
