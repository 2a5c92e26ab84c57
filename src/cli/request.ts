import { setTimeout as delay } from 'node:timers/promises'
import type { Command } from 'commander'
import { formatDuration } from '../kernel/durations.ts'
import { request as requestShape, requestBundle, requestList } from '../web/api-schema.ts'
import { openGateway, type GatewayClient } from './gateway-client.ts'
import { lengthOption } from './options.ts'
import { patiently } from './patience.ts'
import { forPeople, note, print, printJson, table } from './print.ts'
import { CliProblem } from './problem.ts'
import { daysOption, hoursOf, hoursOption, type HourOptions } from './request-hours.ts'
import { outcome, waitsWords, type Request } from './request-words.ts'
import { terminalLine } from './terminal-text.ts'

interface Options extends HourOptions {
  readonly bundle?: string
  readonly for?: number
  readonly reason?: string
  readonly ticket?: string
  readonly forMachine?: string
  readonly emergency?: true
  readonly wait?: true
  readonly json?: true
}

const pollMs = 2000

export function addRequest(program: Command): void {
  program
    .command('request')
    .summary('ask for access')
    .description(
      'Asks for a role on a resource. Where the policy needs nobody, you have it at once; else the request waits for those who decide.\nExit code with --wait: 0 approved, 1 not.',
    )
    .argument('[resource]', 'what you need')
    .argument('[role]', 'as what; may be left out where you may ask for one only')
    .option('--for <length>', 'how long, such as 1h (default: what the policy says)', lengthOption)
    .option('--reason <text>', 'why; those who decide read it')
    .option('--ticket <id>', 'ticket, in the form that the policy asks for')
    .option('--bundle <name>', 'all that is in this bundle, instead of one resource')
    .option(
      '--hours <from-to>',
      'only at these hours, such as 09:00-17:00, again and again for the length',
      hoursOption,
    )
    .option('--days <days>', 'on these days: weekdays (default), weekend, daily, or mon,wed', daysOption)
    .option('--zone <name>', 'time zone of the hours, such as Europe/Berlin (default: of this machine)')
    .option('--emergency', 'at once, where a policy allows it: security is told, and somebody looks at it afterwards')
    .option('--for-machine <name>', 'the machine that is to have it, instead of you; it must name you')
    .option('--wait', 'wait until it is decided; Ctrl-C leaves it open')
    .option('--json', 'print one line of JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  curfew request prod-db readonly --for 1h --reason "look at INC-4821" --ticket INC-4821\n  curfew request prod-db readonly --reason "nightly repair" --wait && ./repair\n  curfew request prod-db readonly --hours 09:00-17:00 --zone Europe/Berlin --for 14d --reason shifts\n  curfew request --bundle onboarding --reason "first day"\n',
    )
    .action(ask)
}

async function ask(resource: string | undefined, role: string | undefined, options: Options): Promise<void> {
  if (options.bundle !== undefined) return askForBundle(resource, options.bundle, options)
  if (resource === undefined)
    throw new CliProblem('say what you need: a resource, or --bundle', { hint: 'Try --help.', exitCode: 2 })
  const { for: lengthMs, reason, ticket, forMachine: onBehalfOf, emergency, wait, json } = options
  const hours = hoursOf(options)
  const { client } = await openGateway()
  await using _ = client
  const wish = Object.entries({ resource, role, lengthMs, reason, ticket, hours, onBehalfOf, emergency }).filter(
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

async function askForBundle(resource: string | undefined, bundle: string, options: Options): Promise<void> {
  const { for: lengthMs, reason, ticket, forMachine: onBehalfOf, emergency, wait, json } = options
  if (resource !== undefined || emergency || hoursOf(options) !== undefined) {
    throw new CliProblem('--bundle goes with --for, --reason, --ticket, --for-machine, --wait and --json only', {
      exitCode: 2,
    })
  }
  const { client } = await openGateway()
  await using _ = client
  const wish = Object.entries({ bundle, lengthMs, reason, ticket, onBehalfOf }).filter(
    ([, value]) => value !== undefined,
  )
  const { requests } = (await client.call('POST', '/requests', requestBundle, Object.fromEntries(wish))).value
  if (wait) requests.filter(({ state }) => state === 'requested').forEach((request) => note(waitText(request)))
  const settled = wait ? await Promise.all(requests.map((request) => decided(client, request))) : requests
  settled.forEach((request) => (json ? printJson(request) : print(outcome(request))))
  if (wait && settled.some(({ state }) => state !== 'approved')) process.exitCode = 1
}

export function waitText({ id, link, lapsesAt }: Request): string {
  return `${terminalLine(id)} waits for a decision until ${forPeople(lapsesAt)} (Ctrl-C leaves it open): ${terminalLine(link)}`
}

export async function decided(client: GatewayClient, asked: Request): Promise<Request> {
  for (let request = asked; ;) {
    if (request.state !== 'requested') return request
    await delay(pollMs)
    request = await patiently(async () => (await client.call('GET', pathOf(asked.id), requestShape)).value)
  }
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
      if (own.length > 0) print(table(['YOUR REQUEST', 'WHAT', 'FOR', 'STATE', 'ASKED', 'WAITS FOR'], own.map(ownRow)))
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

function ownRow(request: Request): readonly string[] {
  const { id, person, askedBy, resource, role, lengthMs, state, askedAt } = request
  const behalf = askedBy === null ? '' : ` for ${person.displayName}`
  return [
    terminalLine(id),
    terminalLine(`${resource} as ${role}${behalf}`),
    formatDuration(lengthMs),
    state,
    forPeople(askedAt),
    waitsWords(request),
  ]
}

function pathOf(id: string): string {
  return `/requests/${encodeURIComponent(id)}`
}
