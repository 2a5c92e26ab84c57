import type { Command } from 'commander'
import * as z from 'zod'
import { lock as lockShape, lockList } from '../web/api-schema.ts'
import { openGateway } from './gateway-client.ts'
import { lengthOption } from './options.ts'
import { forPeople, note, print, printJson, table } from './print.ts'
import { CliProblem } from './problem.ts'
import { terminalLine } from './terminal-text.ts'

type Lock = z.output<typeof lockShape>

interface Options {
  readonly person?: string
  readonly machine?: string
  readonly group?: string
  readonly resource?: string
  readonly role?: string
  readonly address?: string
  readonly for?: number
  readonly reason: string
  readonly json?: true
}

export function addLock(program: Command): void {
  program
    .command('lock')
    .summary('stop people, machines, resources, networks now (operators)')
    .description(
      'Ends live sessions that match everything that you name, at once, and refuses new ones until the lock is lifted or its time is over.',
    )
    .option('--person <who>', 'e-mail address or id')
    .option('--machine <name>', 'a machine of the configuration, also before it ever came')
    .option('--group <name>', 'whoever is in it, as the identity provider calls it')
    .option('--resource <name>', 'one resource')
    .option('--role <name>', 'one role')
    .option('--address <network>', 'where clients come from: 203.0.113.9 or 203.0.113.0/24')
    .option('--for <length>', 'how long it stands, such as 2h (default: until it is lifted)', lengthOption)
    .requiredOption('--reason <text>', 'why; those it stops read it')
    .option('--json', 'print one line of JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  curfew lock --person alice@example.com --reason "stolen laptop"\n  curfew lock --resource prod-db --role admin --for 2h --reason "INC-4821: data is being restored"\n  curfew lock --address 203.0.113.0/24 --reason "odd traffic"\n',
    )
    .action(placeLock)
}

async function placeLock({ for: lengthMs, json, ...wish }: Options): Promise<void> {
  const { reason: _, ...scope } = wish
  if (Object.keys(scope).length === 0) {
    throw new CliProblem('a lock needs to know what to stop', {
      hint: 'Give at least one of --person, --machine, --group, --resource, --role, --address.',
      exitCode: 2,
    })
  }
  const { client } = await openGateway()
  await using _client = client
  const body = { ...wish, ...(lengthMs === undefined ? {} : { lengthMs }) }
  const { value } = await client.call('POST', '/locks', lockShape, body)
  if (json) return printJson(value)
  print(`${terminalLine(scopeOf(value))} is locked${value.until === null ? '' : ` until ${forPeople(value.until)}`}.`)
  note(`Lift it with: curfew unlock ${terminalLine(value.id)}`)
}

export function addLocks(program: Command): void {
  program
    .command('locks')
    .summary('list locks (operators)')
    .description('Lists the locks that stand.')
    .option('--all', 'also the last of those that are over')
    .option('--json', 'print one line of JSON each')
    .action(async ({ all, json }: { all?: true; json?: true }) => {
      const { client } = await openGateway()
      await using _ = client
      const { locks, past } = (await client.call('GET', '/locks', lockList)).value
      const shown = all ? [...locks, ...past] : locks
      if (json) return shown.forEach(printJson)
      if (shown.length === 0) return note('Nothing is locked.')
      print(table(['ID', 'WHAT', 'STATE', 'UNTIL', 'BY', 'REASON'], shown.map(row)))
    })
}

function row(lock: Lock): readonly string[] {
  const until = lock.liftedAt ?? lock.until
  return [
    terminalLine(lock.id),
    terminalLine(scopeOf(lock)),
    lock.state,
    until === null ? '' : forPeople(until),
    terminalLine(lock.placedBy.displayName),
    terminalLine(lock.reason),
  ]
}

function scopeOf({ person, machine, group, resource, role, address }: Lock): string {
  const parts = [
    person?.displayName,
    machine === null ? undefined : `machine ${machine}`,
    group === null ? undefined : `group ${group}`,
    resource === null ? undefined : `resource ${resource}`,
    role === null ? undefined : `role ${role}`,
    address === null ? undefined : `from ${address}`,
  ]
  return parts.filter((part) => part !== undefined).join(', ')
}

export function addUnlock(program: Command): void {
  program
    .command('unlock')
    .summary('lift a lock (operators)')
    .description('Lifts a lock at once. Sessions that it ended stay ended.')
    .argument('<id>', 'as `curfew locks` shows it')
    .option('--json', 'print one line of JSON')
    .action(async (id: string, { json }: { json?: true }) => {
      const { client } = await openGateway()
      await using _ = client
      await client.call('DELETE', `/locks/${encodeURIComponent(id)}`, z.undefined())
      if (json) return printJson({ id, state: 'lifted' })
      print(`${terminalLine(id)} is lifted.`)
    })
}
