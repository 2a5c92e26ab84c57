import type { Command } from 'commander'
import * as z from 'zod'
import { notificationList } from '../web/api-schema.ts'
import { openGateway, type GatewayClient } from './gateway-client.ts'
import { forPeople, note, print, printJson, table } from './print.ts'
import { CliProblem } from './problem.ts'
import { terminalLine } from './terminal-text.ts'

type Overview = z.output<typeof notificationList>
type Receiver = Overview['receivers'][number]

export function addNotify(program: Command): void {
  const notify = program
    .command('notify')
    .summary('see and test notifications (operators)')
    .description('What people are told by mail, Slack and webhooks: whether it gets through, and a test.')
    .addHelpText('after', '\nExamples:\n  curfew notify status\n  curfew notify test chat-ops\n')
  addStatus(notify)
  addTest(notify)
  addSwitchOn(notify)
}

function addStatus(notify: Command): void {
  notify
    .command('status', { isDefault: true })
    .summary('say what waits, and what did not get through')
    .option('--json', 'print one line of JSON')
    .action(async ({ json }: { json?: true }) => {
      const { client } = await openGateway()
      await using _ = client
      const overview = await overviewOf(client)
      if (json) return printJson(overview)
      report(overview)
    })
}

function report({ receivers, recent }: Overview): void {
  if (receivers.length === 0) return note('No mail, Slack or webhook is configured.')
  const rows = receivers.map((one) => [
    ...[terminalLine(nameOf(one)), terminalLine(one.place), stateOf(one), String(one.waiting)],
    one.oldestReadyAt === null ? '' : forPeople(one.oldestReadyAt),
  ])
  print(table(['RECEIVER', 'PLACE', 'STATE', 'WAITING', 'OLDEST'], rows))
  const troubled = recent.filter(({ state }) => state === 'waiting' || state === 'given-up')
  if (troubled.length === 0) return
  const lines = troubled.map(({ type, channel, recipient, state, attempts, at, problem }) => [
    ...[terminalLine(type), terminalLine(`${channel} ${recipient}`), state, String(attempts), forPeople(at)],
    terminalLine(problem ?? ''),
  ])
  print(`\n${table(['MESSAGE', 'TO', 'STATE', 'TRIES', 'WHEN', 'PROBLEM'], lines)}`)
}

function addTest(notify: Command): void {
  notify
    .command('test')
    .summary('send a message that says nothing')
    .description('Queues a test message. `curfew notify status` says what became of it.')
    .argument('[receiver]', 'mail, slack or the name of a webhook (default: each that there is)')
    .option('--json', 'print one line of JSON for each')
    .action(async (name: string | undefined, { json }: { json?: true }) => {
      const { client } = await openGateway()
      await using _ = client
      for (const receiver of chosen((await overviewOf(client)).receivers, name)) {
        const { channel, name: its, testGoesTo } = receiver
        await client.call('POST', '/notifications/test', z.undefined(), { channel, name: its })
        if (json) printJson({ channel, name: its, goesTo: testGoesTo })
        else print(`A test message to ${terminalLine(`${nameOf(receiver)} (${testGoesTo})`)} is queued.`)
      }
    })
}

function addSwitchOn(notify: Command): void {
  notify
    .command('switch-on')
    .summary('send to a webhook again that had said it wants no more')
    .argument('<webhook>', 'its name')
    .option('--json', 'print one line of JSON')
    .action(async (name: string, { json }: { json?: true }) => {
      const { client } = await openGateway()
      await using _ = client
      await client.call('POST', '/notifications/switch-on', z.undefined(), { name })
      if (json) return printJson({ channel: 'webhook', name, switchedOffAt: null })
      print(`${terminalLine(name)} is switched on.`)
    })
}

/** @throws CliProblem when nobody can be sent anything */
function chosen(receivers: readonly Receiver[], name: string | undefined): readonly Receiver[] {
  const named = receivers.filter((one) => name === undefined || nameOf(one) === name)
  const able = named.filter(({ testGoesTo, switchedOffAt }) => testGoesTo !== null && switchedOffAt === null)
  if (able.length > 0) return able
  if (named.length > 0) {
    throw new CliProblem('there is nobody that a test message could go to', { hint: 'See: curfew notify status' })
  }
  const names = receivers.map(nameOf).join(', ')
  throw new CliProblem(
    name === undefined ? 'no mail, Slack or webhook is configured' : `there is no receiver ${name}`,
    {
      ...(names !== '' && { hint: `There are: ${names}` }),
    },
  )
}

function nameOf({ channel, name }: Receiver): string {
  return channel === 'webhook' ? name : channel
}

function stateOf({ switchedOffAt, waiting }: Receiver): string {
  if (switchedOffAt !== null) return 'switched off'
  return waiting > 0 ? 'waiting' : 'ok'
}

async function overviewOf(client: GatewayClient): Promise<Overview> {
  return (await client.call('GET', '/notifications', notificationList)).value
}
