import type { Command } from 'commander'
import { isoTime, type Instant } from '../kernel/time.ts'
import { request as requestShape } from '../web/api-schema.ts'
import { openGateway } from './gateway-client.ts'
import { lengthOption, listOption, momentOption } from './options.ts'
import { print, printJson } from './print.ts'
import { CliProblem } from './problem.ts'
import { outcome } from './request-words.ts'

interface Word {
  readonly comment?: string
  readonly json?: true
}
interface Approval extends Word {
  readonly for?: number
  readonly from?: Instant
  readonly role?: string
  readonly database?: readonly string[]
  readonly network?: readonly string[]
}

export function addApprove(program: Command): void {
  decision(program, 'approve')
    .summary('approve a request of somebody else, or less of it')
    .description(
      'Your word for a request. Access begins when as many people as each step asks for have approved. You may give less than was asked for, never more; of several approvers, each may take something away.',
    )
    .option('--for <length>', 'for at most so long, such as 30m', lengthOption)
    .option('--from <time>', 'not before, such as 2026-11-23T09:00 (by your clock) or 2026-11-23T09:00Z', momentOption)
    .option('--role <name>', 'as another role of the resource')
    .option('--database <name>', 'only this database; may be given several times', listOption)
    .option('--network <network>', 'only from this address or network; may be given several times', listOption)
    .addHelpText(
      'after',
      '\nExamples:\n  curfew approve request-23m4du5qcyh64shj --comment "go ahead"\n  curfew approve request-23m4du5qcyh64shj --for 30m --role readonly --network 10.1.0.0/16\n',
    )
    .action((id: string, { comment, json, ...less }: Approval) =>
      decide('approve', id, { comment, ...wishOf(less) }, json),
    )
}

export function addDeny(program: Command): void {
  decision(program, 'deny')
    .summary('refuse a request of somebody else')
    .description('Your word against a request. One refusal decides, unless the policy asks for more of them.')
    .action((id: string, { comment, json }: Word) => decide('deny', id, { comment }, json))
}

export function addCancel(program: Command): void {
  program
    .command('cancel')
    .summary('call off a request of yours')
    .description('Calls off a request that is not decided yet. What waits for it ends, too.')
    .argument('<id>', 'as `curfew requests` shows it')
    .option('--json', 'print one line of JSON')
    .action((id: string, { json }: Word) => decide('cancel', id, {}, json))
}

function decision(program: Command, verdict: string): Command {
  return program
    .command(verdict)
    .argument('<id>', 'as `curfew requests` shows it')
    .option('--comment <text>', 'what you have to say; the requester reads it')
    .option('--json', 'print one line of JSON')
}

function wishOf({ for: lengthMs, from, role, database, network }: Approval) {
  return { lengthMs, startsAt: from && isoTime(from), role, databases: database, networks: network }
}

async function decide(verdict: string, id: string, word: object, json: true | undefined): Promise<void> {
  if (!id.startsWith('request-')) {
    throw new CliProblem('that is no request', { hint: 'Give an id (request-…): curfew requests', exitCode: 2 })
  }
  const { client } = await openGateway()
  await using _ = client
  const given = Object.fromEntries(Object.entries(word).filter(([, value]) => value !== undefined))
  const { value } = await client.call('POST', `/requests/${encodeURIComponent(id)}/${verdict}`, requestShape, given)
  if (json) printJson(value)
  else print(outcome(value))
}
