import { setTimeout as delay } from 'node:timers/promises'
import type { Command } from 'commander'
import type * as z from 'zod'
import { formatDuration } from '../kernel/durations.ts'
import { request as requestShape, requestList } from '../web/api-schema.ts'
import { openGateway, type GatewayClient } from './gateway-client.ts'
import { lengthOption } from './options.ts'
import { forPeople, note, print, printJson, table } from './print.ts'
import { CliProblem } from './problem.ts'
import { terminalLine } from './terminal-text.ts'

type Request = z.output<typeof requestShape>

interface Options {
  readonly for?: number
  readonly reason?: string
  readonly ticket?: string
  readonly forMachine?: string
  readonly emergency?: true
  readonly wait?: true
  readonly json?: true
}

const pollMs = 2000
const idHint = 'as `curfew requests` shows it'

export function addRequest(program: Command): void {
  program
    .command('request')
    .summary('ask for access')
    .description(
      'Asks for a role on a resource. Where the policy needs nobody, you have it at once; else the request waits for those who decide.\nExit code with --wait: 0 approved, 1 not.',
    )
    .argument('<resource>', 'what you need')
    .argument('[role]', 'as what; may be left out where you may ask for one only')
    .option('--for <length>', 'how long, such as 1h (default: what the policy says)', lengthOption)
    .option('--reason <text>', 'why; those who decide read it')
    .option('--ticket <id>', 'ticket, in the form that the policy asks for')
    .option('--emergency', 'at once, where a policy allows it: security is told, and somebody looks at it afterwards')
    .option('--for-machine <name>', 'the machine that is to have it, instead of you; it must name you')
    .option('--wait', 'wait until it is decided; Ctrl-C leaves it open')
    .option('--json', 'print one line of JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  curfew request prod-db readonly --for 1h --reason "look at INC-4821" --ticket INC-4821\n  curfew request prod-db readonly --reason "nightly repair" --wait && ./repair\n',
    )
    .action(ask)
}

async function ask(resource: string, role: string | undefined, options: Options): Promise<void> {
  const { for: lengthMs, reason, ticket, forMachine: onBehalfOf, emergency, wait, json } = options
  const { client } = await openGateway()
  await using _ = client
  const wish = Object.entries({ resource, role, lengthMs, reason, ticket, onBehalfOf, emergency }).filter(
    ([, value]) => value !== undefined,
  )
  const asked = (await client.call('POST', '/requests', requestShape, Object.fromEntries(wish))).value
  if (wait && asked.state === 'requested') note(waitText(asked))
  const request = wait ? await decided(client, asked) : asked
  if (json) printJson(request)
  else print(outcome(request))
  if (request.emergency && !json)
    note('Security and those who review it are told. Somebody will look at it afterwards.')
  if (wait && request.state !== 'approved') process.exitCode = 1
}

function waitText({ id, link, lapsesAt }: Request): string {
  return `${terminalLine(id)} waits for a decision until ${forPeople(lapsesAt)} (Ctrl-C leaves it open): ${terminalLine(link)}`
}

async function decided(client: GatewayClient, asked: Request): Promise<Request> {
  for (let request = asked; ;) {
    if (request.state !== 'requested') return request
    await delay(pollMs)
    request = (await client.call('GET', pathOf(asked.id), requestShape)).value
  }
}

/** How it stands, in a sentence. */
function outcome(request: Request): string {
  const what = terminalLine(`${request.resource} as ${request.role}`)
  const id = terminalLine(request.id)
  switch (request.state) {
    case 'requested':
      return `${id}: ${what} waits for ${request.missing === 1 ? 'one approval' : `${request.missing} approvals`}. ${terminalLine(request.link)}`
    case 'approved':
      return `${id}: ${what} is approved${grantWords(request)}.`
    case 'denied':
      return `${id}: ${what} was refused${saying(request, 'deny')}`
    case 'cancelled':
      return `${id}: ${what} was called off.`
    case 'lapsed':
      return `${id}: ${what} lapsed: not enough people decided in time.`
  }
}

function grantWords({ grant }: Request): string {
  if (grant === null) return ''
  if (grant.state === 'scheduled') return `, from ${forPeople(grant.startsAt)} until ${forPeople(grant.expiresAt)}`
  if (grant.state !== 'active') return ', and the access is over'
  return ` until ${forPeople(grant.expiresAt)} (${terminalLine(grant.id)})`
}

function saying({ decisions }: Request, verdict: 'approve' | 'deny'): string {
  const last = decisions.findLast((decision) => decision.verdict === verdict)
  if (last === undefined) return '.'
  const by = ` by ${terminalLine(last.person.displayName)}`
  return last.comment === '' ? `${by}.` : `${by}: ${terminalLine(last.comment)}`
}

export function addRequests(program: Command): void {
  program
    .command('requests')
    .summary('list your requests, and those that wait for your word')
    .description('Lists the requests that wait for your word, oldest first, and your own, newest first.')
    .option('--json', 'print one line of JSON each')
    .action(async ({ json }: { json?: true }) => {
      const { client } = await openGateway()
      await using _ = client
      const { own, toDecide } = (await client.call('GET', '/requests', requestList)).value
      if (json) return [...toDecide, ...own].forEach(printJson)
      if (toDecide.length > 0) {
        print(table(['TO DECIDE', 'WHO', 'WHAT', 'FOR', 'RISK', 'LAPSES', 'REASON'], toDecide.map(toDecideRow)))
      }
      if (toDecide.length > 0 && own.length > 0) print('')
      if (own.length > 0) print(table(['YOUR REQUEST', 'WHAT', 'FOR', 'STATE', 'ASKED'], own.map(ownRow)))
      if (own.length + toDecide.length === 0) note('You have asked for nothing. Ask with: curfew request RESOURCE')
    })
}

function toDecideRow({ id, person, resource, role, lengthMs, lapsesAt, reason, risk }: Request): readonly string[] {
  const what = terminalLine(`${resource} as ${role}`)
  const who = terminalLine(person.displayName)
  return [
    terminalLine(id),
    who,
    what,
    formatDuration(lengthMs),
    riskWords(risk),
    forPeople(lapsesAt),
    terminalLine(reason),
  ]
}

function riskWords(risk: Request['risk']): string {
  return risk === null ? '' : `${risk.level} ${risk.score}`
}

function ownRow({ id, person, askedBy, resource, role, lengthMs, state, askedAt }: Request): readonly string[] {
  const behalf = askedBy === null ? '' : ` for ${person.displayName}`
  return [terminalLine(id), terminalLine(`${resource} as ${role}${behalf}`), formatDuration(lengthMs), state, forPeople(askedAt)]
}

export function addApprove(program: Command): void {
  addDecision(program, 'approve', {
    summary: 'approve a request of somebody else',
    description: 'Your word for a request. Access begins when as many people as the policy asks for have approved.',
  })
}

export function addDeny(program: Command): void {
  addDecision(program, 'deny', {
    summary: 'refuse a request of somebody else',
    description: 'Your word against a request. One refusal decides.',
  })
}

interface About {
  readonly summary: string
  readonly description: string
}

function addDecision(program: Command, verdict: 'approve' | 'deny', { summary, description }: About): void {
  program
    .command(verdict)
    .summary(summary)
    .description(description)
    .argument('<id>', idHint)
    .option('--comment <text>', 'what you have to say; the requester reads it')
    .option('--json', 'print one line of JSON')
    .action(async (id: string, { comment, json }: { comment?: string; json?: true }) => {
      if (!id.startsWith('request-')) {
        throw new CliProblem('that is no request', { hint: 'Give an id (request-…): curfew requests', exitCode: 2 })
      }
      const { client } = await openGateway()
      await using _ = client
      const { value } = await client.call(
        'POST',
        `${pathOf(id)}/${verdict}`,
        requestShape,
        comment === undefined ? {} : { comment },
      )
      if (json) return printJson(value)
      print(outcome(value))
    })
}

function pathOf(id: string): string {
  return `/requests/${encodeURIComponent(id)}`
}
