import type { Command } from 'commander'
import * as z from 'zod'
import { readScopes, scopeWords, writeScopes, type Scope } from '../identity/scopes.ts'
import { tokenList, tokenMade } from '../web/api-schema.ts'
import { openGateway } from './gateway-client.ts'
import { thisProgram } from './login.ts'
import { asUsage, lengthOption } from './options.ts'
import { addExchange } from './token-exchange.ts'
import { forPeople, note, print, printJson, table } from './print.ts'
import { terminalLine } from './terminal-text.ts'

export function addToken(program: Command): void {
  const token = program
    .command('token')
    .summary('make, exchange, list and revoke tokens')
    .description(
      'Tokens are passwords for programs: psql "user=ROLE.token dbname=RESOURCE …" asks for one. With other scopes they speak to the API.',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  curfew token create --label nightly-report --for 8h\n  PGPASSWORD=$(curfew token) psql "host=gw.example.com user=readonly.token dbname=shop"\n  curfew token create --label audit-export --scope audit:read --for 1d\n  curfew token revoke token-abcdefghijklmnop\n',
    )
  addCreate(token)
  addExchange(token)
  addList(token)
  addRevoke(token)
}

interface CreateOptions {
  readonly label: string
  readonly for?: number
  readonly scope?: readonly Scope[]
  readonly json?: true
}

/** Given again, it adds; several may stand in one, between commas or spaces. */
const scopeOption = (text: string, before: readonly Scope[] = []) => [...before, ...readScopeOption(text)]
const readScopeOption = asUsage((text) => readScopes(text.replaceAll(',', ' ')))
const scopeTable = Object.entries(scopeWords).map(([name, words]) => `  ${name.padEnd(16)} ${words}`)

function addCreate(token: Command): void {
  token
    .command('create', { isDefault: true })
    .showHelpAfterError('  Try --help; its other commands (exchange, list, revoke): curfew token --help')
    .summary('make a token and print it, once')
    .option('--label <text>', 'what it is for', thisProgram())
    .option('--for <length>', 'how long it lasts, such as 8h', lengthOption)
    .option('--scope <scope>', 'what it may be used for (sessions); may be given again', scopeOption)
    .option('--json', 'print one line of JSON')
    .addHelpText('after', `\nScopes:\n${scopeTable.join('\n')}\n`)
    .action(async ({ label, for: lengthMs, scope: scopes, json }: CreateOptions) => {
      const { client } = await openGateway()
      await using _ = client
      const wish = { label, ...(lengthMs !== undefined && { lengthMs }), ...(scopes !== undefined && { scopes }) }
      const { text, token: made } = (await client.call('POST', '/tokens', tokenMade, wish)).value
      if (json) return printJson({ text, ...made })
      print(terminalLine(text))
      note(
        `${terminalLine(made.id)} lasts until ${forPeople(made.expiresAt)}, for: ${writeScopes(made.scopes)}. Its text is not shown again.`,
      )
    })
}

function addList(token: Command): void {
  token
    .command('list')
    .summary('list your tokens that still work')
    .option('--json', 'print one line of JSON each')
    .action(async ({ json }: { json?: true }) => {
      const { client } = await openGateway()
      await using _ = client
      const { tokens } = (await client.call('GET', '/tokens', tokenList)).value
      if (json) return tokens.forEach(printJson)
      if (tokens.length === 0) return note('You have no tokens. Make one: curfew token create')
      const rows = tokens.map(({ id, kind, label, scopes, expiresAt, lastUsedAt }) => [
        terminalLine(id),
        kind,
        terminalLine(label),
        writeScopes(scopes),
        forPeople(expiresAt),
        lastUsedAt === null ? 'never' : forPeople(lastUsedAt),
      ])
      print(table(['ID', 'KIND', 'LABEL', 'SCOPES', 'UNTIL', 'LAST USED'], rows))
    })
}

function addRevoke(token: Command): void {
  token
    .command('revoke')
    .summary('revoke a token and end the sessions that came in by it')
    .argument('<id>', 'as `curfew token list` shows it')
    .option('--json', 'print one line of JSON')
    .action(async (id: string, { json }: { json?: true }) => {
      const { client } = await openGateway()
      await using _ = client
      await client.call('DELETE', `/tokens/${encodeURIComponent(id)}`, z.undefined())
      if (json) return printJson({ id, state: 'revoked' })
      print(`${terminalLine(id)} is revoked.`)
    })
}
