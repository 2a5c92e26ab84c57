import type { Command } from 'commander'
import * as z from 'zod'
import { grantList } from '../web/api-schema.ts'
import { openGateway, type GatewayClient } from './gateway-client.ts'
import { forPeople, note, print, printJson, table } from './print.ts'
import { CliProblem } from './problem.ts'
import { lifeWords } from './request-hours.ts'
import { terminalLine } from './terminal-text.ts'

type Grant = z.output<typeof grantList>['grants'][number]

export function addGrants(program: Command): void {
  program
    .command('grants')
    .summary('list the access that you have')
    .description('Lists your access that is open now or begins later.')
    .option('--json', 'print one line of JSON each')
    .action(async ({ json }: { json?: true }) => {
      const { client } = await openGateway()
      await using _ = client
      const grants = await livingGrants(client)
      if (json) return grants.forEach(printJson)
      if (grants.length === 0) return note('You have no access now. Ask with: curfew request RESOURCE')
      const rows = grants.map(({ id, state, startsAt, expiresAt, ...grant }) => [
        ...[terminalLine(id), whatOf(grant), state, forPeople(startsAt), forPeople(expiresAt), lifeWords(grant)],
      ])
      print(table(['ID', 'WHAT', 'STATE', 'FROM', 'UNTIL', ''], rows))
    })
}

export function addEnd(program: Command): void {
  program
    .command('end')
    .summary('hand access back before its time')
    .description('Ends access that you have, and its live sessions.')
    .argument('<what>', 'resource, or the id of a grant as `curfew grants` shows it')
    .argument('[role]', 'where you have the resource in several')
    .option('--json', 'print one line of JSON')
    .addHelpText('after', '\nExamples:\n  curfew end prod-db\n  curfew end prod-db admin\n')
    .action(async (what: string, role: string | undefined, { json }: { json?: true }) => {
      const { client } = await openGateway()
      await using _ = client
      const grant = chosen(await livingGrants(client), what, role)
      await client.call('POST', `/grants/${encodeURIComponent(grant.id)}/end`, z.undefined())
      if (json) return printJson({ id: grant.id, state: 'ended' })
      print(`${whatOf(grant)} is handed back.`)
    })
}

/** @throws CliProblem when there is none, or more than one */
export function chosen(grants: readonly Grant[], what: string, role: string | undefined): Grant {
  const found = grants.filter(
    ({ id, resource, role: as }) => id === what || (resource === what && (role === undefined || role === as)),
  )
  const [grant, another] = found
  if (grant !== undefined && another === undefined) return grant
  const wanted = role === undefined ? what : `${what} as ${role}`
  if (grant === undefined) {
    throw new CliProblem(`you have no access to ${wanted} now`, { hint: 'See what you have: curfew grants' })
  }
  throw new CliProblem(`you have ${wanted} more than once`, {
    hint: `Say which: ${found.map(({ id, role: as }) => `${as} (${id})`).join(', ')}`,
    exitCode: 2,
  })
}

export function addRevoke(program: Command): void {
  program
    .command('revoke')
    .summary('end the access of somebody else (operators, approvers)')
    .description('Ends a grant and its live sessions at once. For operators, and for those who could have refused it.')
    .argument('<grant>', 'its id (grant-…), as `curfew approve` said it')
    .option('--comment <text>', 'why; whoever is cut off reads it')
    .option('--json', 'print one line of JSON')
    .action(async (id: string, { comment, json }: { comment?: string; json?: true }) => {
      const { client } = await openGateway()
      await using _ = client
      await client.call(
        'POST',
        `/grants/${encodeURIComponent(id)}/revoke`,
        z.undefined(),
        comment === undefined ? {} : { comment },
      )
      if (json) return printJson({ id, state: 'revoked' })
      print(`${terminalLine(id)} is revoked.`)
    })
}

export async function livingGrants(client: GatewayClient): Promise<readonly Grant[]> {
  return (await client.call('GET', '/grants', grantList)).value.grants
}

export function whatOf({ resource, role }: Pick<Grant, 'resource' | 'role'>): string {
  return terminalLine(`${resource} as ${role}`)
}
