import type { Command } from 'commander'
import type * as z from 'zod'
import { review as reviewShape, reviewList } from '../web/api-schema.ts'
import { openGateway } from './gateway-client.ts'
import { forPeople, note, print, printJson, table } from './print.ts'
import { CliProblem } from './problem.ts'
import { terminalLine } from './terminal-text.ts'

type Review = z.output<typeof reviewShape>

export function addReviews(program: Command): void {
  program
    .command('reviews')
    .summary('list emergencies that somebody has to look at')
    .description('Lists the emergencies that you may see and nobody has reviewed yet, oldest first.')
    .option('--all', 'also the last of those that were reviewed')
    .option('--json', 'print one line of JSON each')
    .action(async ({ all, json }: { all?: true; json?: true }) => {
      const { client } = await openGateway()
      await using _ = client
      const { open, closed } = (await client.call('GET', '/reviews', reviewList)).value
      const shown = all ? [...open, ...closed] : open
      if (json) return shown.forEach(printJson)
      if (shown.length === 0) return note('No emergency waits for its review.')
      print(table(['ID', 'WHO', 'WHAT', 'WHEN', 'STATE', 'REASON'], shown.map(row)))
    })
}

function row(review: Review): readonly string[] {
  const { id, person, startedAt, reason, state, verdict, mayClose } = review
  const open = mayClose ? 'waits for you' : 'open'
  return [
    ...[terminalLine(id), terminalLine(person.displayName), whatOf(review), forPeople(startedAt)],
    ...[state === 'open' ? open : verdictWords(verdict), terminalLine(reason)],
  ]
}

function verdictWords(verdict: Review['verdict']): string {
  return verdict === 'justified' ? 'justified' : 'not justified'
}

function whatOf({ resource, role }: Review): string {
  return terminalLine(`${resource} as ${role}`)
}

interface Options {
  readonly justified?: true
  readonly notJustified?: true
  readonly comment?: string
  readonly json?: true
}

export function addReview(program: Command): void {
  program
    .command('review')
    .summary('look at an emergency of somebody else, and close its review')
    .description(
      'Without a verdict it shows the emergency, with its sessions and recordings. With one it closes the review, once. --not-justified ends the access if it still lives; --justified can be said when it is over.',
    )
    .argument('<id>', 'as `curfew reviews` shows it (review-…)')
    .option('--justified', 'it was')
    .option('--not-justified', 'it was not')
    .option('--comment <text>', 'what you found; it stays on record, and the person reads it')
    .option('--json', 'print one line of JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  curfew review review-abc\n  curfew review review-abc --justified --comment "the outage of INC-4821; restarted two services"\n',
    )
    .action(review)
}

async function review(id: string, { json, ...options }: Options): Promise<void> {
  if (!id.startsWith('review-')) {
    throw new CliProblem('that is no review', { hint: 'Give an id (review-…): curfew reviews', exitCode: 2 })
  }
  const closing = closingOf(options)
  const { client } = await openGateway()
  await using _ = client
  const path = `/reviews/${encodeURIComponent(id)}`
  const { value } =
    closing === undefined
      ? await client.call('GET', path, reviewShape)
      : await client.call('POST', `${path}/close`, reviewShape, closing)
  if (json) printJson(value)
  else print(closing === undefined ? text(value) : `${terminalLine(id)} is closed: ${verdictWords(value.verdict)}.`)
}

function closingOf({ justified, notJustified, comment }: Options): object | undefined {
  if (justified === undefined && notJustified === undefined) {
    if (comment === undefined) return undefined
    throw new CliProblem('a comment needs a verdict', { hint: 'Give --justified or --not-justified.', exitCode: 2 })
  }
  if (justified && notJustified) {
    throw new CliProblem('it was justified or it was not', { hint: 'Give one of the two.', exitCode: 2 })
  }
  if (comment === undefined) {
    throw new CliProblem('a review is closed with a comment', { hint: 'Say what you found: --comment …', exitCode: 2 })
  }
  return { verdict: justified ? 'justified' : 'not-justified', comment }
}

function text(review: Review): string {
  const { person, sessions, closedBy, comment } = review
  const lines: readonly (readonly [string, string])[] = [
    ['Who', terminalLine(person.displayName)],
    ['What', whatOf(review)],
    ['When', `${forPeople(review.startedAt)} until ${forPeople(review.until)}`],
    ['Why', terminalLine(review.reason)],
    ...(review.ticket === null ? [] : [['Ticket', terminalLine(review.ticket)] as const]),
    ['Asked', terminalLine(review.origin)],
    ['To review', terminalLine(review.reviewers)],
    ...(review.risk === null ? [] : [['Risk', `${review.risk} of 100`] as const]),
    ...sessions.map(
      (one) => ['Session', `${forPeople(one.startedAt)}  ${terminalLine(one.recording ?? one.link)}`] as const,
    ),
    ['State', closedBy === null ? 'open' : `${verdictWords(review.verdict)}, by ${terminalLine(closedBy.displayName)}`],
    ...(comment === null ? [] : [['Comment', terminalLine(comment)] as const]),
    ['Page', terminalLine(review.link)],
  ]
  return lines.map(([label, value]) => `${label.padEnd(10)} ${value}`).join('\n')
}
