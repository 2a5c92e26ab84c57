import { Option, type Command } from 'commander'
import type * as z from 'zod'
import { csvText } from '../kernel/csv.ts'
import { formatDuration } from '../kernel/durations.ts'
import { campaignList, campaignView, entryCells, entryCsvKeys } from '../web/api-schema.ts'
import { openGateway } from './gateway-client.ts'
import { lengthOption, listOption } from './options.ts'
import { forPeople, note, print, printJson, printRaw, table } from './print.ts'
import { CliProblem } from './problem.ts'
import { terminalLine } from './terminal-text.ts'

type View = z.output<typeof campaignView>
type Entry = View['entries'][number]

const usualMs = 14 * 86_400_000

export function addCampaign(program: Command): void {
  const campaign = program
    .command('campaign')
    .summary('review standing access (operators, reviewers)')
    .description(
      'Looks at access that stands: long and recurring grants, long tokens, and policies that ask nobody. What nobody confirms until a campaign is due, ends.',
    )
  addStart(campaign)
  addList(campaign)
  addShow(campaign)
  addWord(campaign, 'confirm')
  addWord(campaign, 'end')
}

interface StartOptions {
  readonly for: number
  readonly grants?: number
  readonly tokens?: number
  readonly reviewers?: readonly string[]
  readonly json?: true
}

function addStart(campaign: Command): void {
  campaign
    .command('start')
    .summary('begin one')
    .description('Takes down what stands now, and asks the reviewers.')
    .argument('<name>', 'what people know it by')
    .addOption(
      new Option('--for <length>', 'until it is due').default(usualMs, formatDuration(usualMs)).argParser(lengthOption),
    )
    .option('--grants <length>', 'grants that last at least so long (default: 7d)', lengthOption)
    .option('--tokens <length>', 'tokens that last at least so long (default: 7d)', lengthOption)
    .option(
      '--reviewers <group>',
      'whose word counts; may be repeated (default: the reviewers of the gateway)',
      listOption,
    )
    .option('--json', 'print one line of JSON')
    .addHelpText('after', '\nExample:\n  curfew campaign start "autumn" --for 14d --reviewers leads\n')
    .action(
      async (name: string, { for: lengthMs, grants: grantMs, tokens: tokenMs, reviewers, json }: StartOptions) => {
        const { client } = await openGateway()
        await using _ = client
        const wish = Object.entries({ name, lengthMs, grantMs, tokenMs, reviewers }).filter(
          ([, one]) => one !== undefined,
        )
        const { value } = await client.call('POST', '/campaigns', campaignView, Object.fromEntries(wish))
        if (json) return printJson(value)
        print(
          `${terminalLine(value.id)}: ${counted(value.entries.length)}, due ${forPeople(value.dueAt)}. ${terminalLine(value.link)}`,
        )
      },
    )
}

function counted(entries: number): string {
  return entries === 1 ? 'one entry' : `${entries} entries`
}

function addList(campaign: Command): void {
  campaign
    .command('list')
    .summary('list campaigns')
    .description('Lists the campaigns that you may see, the last first.')
    .option('--json', 'print one line of JSON each')
    .action(async ({ json }: { json?: true }) => {
      const { client } = await openGateway()
      await using _ = client
      const { campaigns } = (await client.call('GET', '/campaigns', campaignList)).value
      if (json) return campaigns.forEach(printJson)
      if (campaigns.length === 0) return note('There was no campaign yet. Begin one with: curfew campaign start NAME')
      const rows = campaigns.map(({ id, name, dueAt, finishedAt, entries, waiting }) => [
        ...[terminalLine(id), terminalLine(name), forPeople(dueAt)],
        ...[finishedAt === null ? `${waiting} to decide` : 'finished', `${entries}`],
      ])
      print(table(['ID', 'NAME', 'DUE', 'STATE', 'ENTRIES'], rows))
    })
}

interface ShowOptions {
  readonly all?: true
  readonly csv?: true
  readonly json?: true
}

function addShow(campaign: Command): void {
  campaign
    .command('show')
    .summary('show one, with its entries')
    .description('Shows what waits to be decided. The whole report, as CSV or JSON, has every entry.')
    .argument('<id>', 'as `curfew campaign list` shows it (campaign-…)')
    .option('--all', 'also what is decided')
    .addOption(new Option('--csv', 'print all as comma-separated values (RFC 4180)').conflicts('json'))
    .option('--json', 'print all as one line of JSON')
    .action(async (id: string, { all, csv, json }: ShowOptions) => {
      const { client } = await openGateway()
      await using _ = client
      const { value } = await client.call('GET', pathOf(id), campaignView)
      if (json) return printJson(value)
      if (csv) return await printRaw(csvText(entryCsvKeys, value.entries.map(entryCells)))
      const shown = value.entries.filter(({ state }) => all || state === 'waiting')
      if (shown.length === 0) return note('Nothing of it waits.')
      print(table(['ID', 'WHAT', 'WHO', 'UNTIL', 'STATE', 'DETAILS'], shown.map(row)))
    })
}

function row({ id, title, holder, expiresAt, state, mayDecide, details }: Entry): readonly string[] {
  return [
    ...[terminalLine(id), terminalLine(title), holder === null ? '' : terminalLine(holder.displayName)],
    ...[expiresAt === null ? '' : forPeople(expiresAt), mayDecide ? 'waits for you' : state, terminalLine(details)],
  ]
}

const words = {
  confirm: { summary: 'say that an entry is still needed', comment: 'why it is still needed; it stays on record' },
  end: { summary: 'end what an entry is about', comment: 'why; whoever is cut off reads it' },
} as const

function addWord(campaign: Command, word: 'confirm' | 'end'): void {
  const { summary, comment: about } = words[word]
  const command = campaign
    .command(word)
    .summary(summary)
    .description(
      word === 'confirm'
        ? 'Your word that somebody else’s access is still needed.'
        : 'Ends a grant or a token at once, with its sessions. A policy stands until its operator changes the file.',
    )
    .argument('<campaign>', 'its id (campaign-…)')
    .argument('<entry>', 'its id (entry-…), as `curfew campaign show` shows it')
  const option = `--comment <text>`
  if (word === 'confirm') command.requiredOption(option, about)
  else command.option(option, about)
  command
    .option('--json', 'print the entry as one line of JSON')
    .action(async (id: string, entry: string, { comment, json }: { comment?: string; json?: true }) => {
      const { client } = await openGateway()
      await using _ = client
      const path = `${pathOf(id)}/entries/${encodeURIComponent(entry)}/${word}`
      const { value } = await client.call('POST', path, campaignView, comment === undefined ? {} : { comment })
      const settled = value.entries.find((one) => one.id === entry)
      if (settled === undefined) throw new CliProblem('the gateway answered about another campaign')
      if (json) return printJson(settled)
      print(outcome(settled))
    })
}

function outcome({ title, holder, state, kind }: Entry): string {
  const what = terminalLine(holder === null ? title : `${title} of ${holder.displayName}`)
  if (state === 'gone') return `${what} was over already.`
  if (state === 'confirmed') return `${what} is confirmed.`
  if (kind === 'policy') return `${what} should end. It stands until its operator changes the configuration file.`
  return `${what} is ended.`
}

function pathOf(id: string): string {
  if (id.startsWith('campaign-')) return `/campaigns/${encodeURIComponent(id)}`
  throw new CliProblem('that is no campaign', { hint: 'Give an id (campaign-…): curfew campaign list', exitCode: 2 })
}
