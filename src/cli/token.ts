import type { Command } from 'commander'
import * as z from 'zod'
import { tokenList, tokenMade } from '../web/api-schema.ts'
import { openGateway } from './gateway-client.ts'
import { thisProgram } from './login.ts'
import { lengthOption } from './options.ts'
import { forPeople, note, print, printJson, table } from './print.ts'
import { terminalLine } from './terminal-text.ts'

export function addToken(program: Command): void {
  const token = program
    .command('token')
    .summary('make, list and revoke tokens')
    .description('Tokens are passwords for programs: psql "user=ROLE.token dbname=RESOURCE …" asks for one.')
    .addHelpText(
      'after',
      '\nExamples:\n  curfew token create --label nightly-report --for 8h\n  PGPASSWORD=$(curfew token) psql "host=gw.example.com user=readonly.token dbname=shop"\n  curfew token revoke token-abcdefghijklmnop\n',
    )
  addCreate(token)
  addList(token)
  addRevoke(token)
}

function addCreate(token: Command): void {
  token
    .command('create', { isDefault: true })
    .summary('make a token and print it, once')
    .option('--label <text>', 'what it is for', thisProgram())
    .option('--for <length>', 'how long it lasts, such as 8h', lengthOption)
    .option('--json', 'print one line of JSON')
    .action(async ({ label, for: lengthMs, json }: { label: string; for?: number; json?: true }) => {
      const { client } = await openGateway()
      await using _ = client
      const wish = { label, ...(lengthMs === undefined ? {} : { lengthMs }) }
      const { text, token: made } = (await client.call('POST', '/tokens', tokenMade, wish)).value
      if (json) return printJson({ text, ...made })
      print(terminalLine(text))
      note(`${terminalLine(made.id)} lasts until ${forPeople(made.expiresAt)}. Its text is not shown again.`)
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
      const rows = tokens.map(({ id, kind, label, expiresAt, lastUsedAt }) => [
        terminalLine(id),
        kind,
        terminalLine(label),
        forPeople(expiresAt),
        lastUsedAt === null ? 'never' : forPeople(lastUsedAt),
      ])
      print(table(['ID', 'KIND', 'LABEL', 'UNTIL', 'LAST USED'], rows))
    })
}

function addRevoke(token: Command): void {
  token
    .command('revoke')
    .summary('revoke a token and end the sessions that came in by it')
    .argument('<id>', 'as `curfew token list` shows it')
    .action(async (id: string) => {
      const { client } = await openGateway()
      await using _ = client
      await client.call('DELETE', `/tokens/${encodeURIComponent(id)}`, z.undefined())
      print(`${terminalLine(id)} is revoked.`)
    })
}
