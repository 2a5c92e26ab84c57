import type { Command } from 'commander'
import { request as requestShape } from '../web/api-schema.ts'
import { openGateway } from './gateway-client.ts'
import { chosen, livingGrants } from './grant.ts'
import { lengthOption } from './options.ts'
import { note, print, printJson } from './print.ts'
import { decided, waitText } from './request.ts'
import { outcome } from './request-words.ts'

interface Options {
  readonly for?: number
  readonly reason?: string
  readonly ticket?: string
  readonly wait?: true
  readonly json?: true
}

export function addExtend(program: Command): void {
  program
    .command('extend')
    .summary('ask for more time for access that you have')
    .description(
      'Asks for more time, counted from the end; what is connected lives on. It is decided as the access was.\nExit code with --wait: 0 approved, 1 not.',
    )
    .argument('<what>', 'resource, or the id of a grant as `curfew grants` shows it')
    .argument('[role]', 'where you have the resource in several')
    .option('--for <length>', 'how much more, such as 30m (default: what the policy says)', lengthOption)
    .option('--reason <text>', 'why; those who decide read it')
    .option('--ticket <id>', 'ticket, in the form that the policy asks for')
    .option('--wait', 'wait until it is decided; Ctrl-C leaves it open')
    .option('--json', 'print one line of JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  curfew extend prod-db --for 30m --reason "the index is not built yet"\n  curfew extend prod-db admin --wait\n',
    )
    .action(extend)
}

async function extend(what: string, role: string | undefined, options: Options): Promise<void> {
  const { for: lengthMs, reason, ticket, wait, json } = options
  const { client } = await openGateway()
  await using _ = client
  const grant = chosen(await livingGrants(client), what, role)
  const wish = Object.entries({ lengthMs, reason, ticket }).filter(([, value]) => value !== undefined)
  const path = `/grants/${encodeURIComponent(grant.id)}/extend`
  const asked = (await client.call('POST', path, requestShape, Object.fromEntries(wish))).value
  if (wait && asked.state === 'requested') note(waitText(asked))
  const request = wait ? await decided(client, asked) : asked
  if (json) printJson(request)
  else print(outcome(request))
  if (wait && request.state !== 'approved') process.exitCode = 1
}
