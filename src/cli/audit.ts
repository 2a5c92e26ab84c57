import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import type { Command } from 'commander'
import * as z from 'zod'
import type { AuditEvent } from '../audit/event.ts'
import type { ChainedEvent, Checkpoint } from '../audit/store.ts'
import { verifyAudit } from '../audit/verify.ts'
import type { AuditVerification } from '../audit/verify.ts'
import { isoTime } from '../kernel/time.ts'
import { auditPage, checkpointList, keySet } from '../web/api-schema.ts'
import { CliProblem } from './problem.ts'
import { openGateway } from './gateway-client.ts'
import type { GatewayClient } from './gateway-client.ts'
import { countOption } from './options.ts'
import { patiently } from './patience.ts'
import { note, print, printJson, styled } from './print.ts'
import { readKeys } from './recording-keys.ts'
import { terminalLine } from './terminal-text.ts'

const pageEvents = 1000
const followMs = 1000

export function addAudit(program: Command): void {
  const audit = program
    .command('audit')
    .summary('read and verify the audit log')
    .description('The audit log: read it, follow it, verify it.')
  addTail(audit)
  addVerify(audit)
}

function addTail(audit: Command): void {
  audit
    .command('tail')
    .summary('print the newest events')
    .option('--lines <count>', 'how many; 0 means all', countOption, 20)
    .option('--follow', 'go on as events happen')
    .option(
      '--json',
      'one line of JSON per event, as it is hashed; with its checkpoints this is what `audit verify` reads',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  curfew audit tail --follow\n  curfew audit tail --lines 0 --json > audit.jsonl\n',
    )
    .action(tail)
}

async function tail({ lines, follow, json }: { lines: number; follow?: true; json?: true }): Promise<void> {
  const { client } = await openGateway()
  await using _ = client
  const show = json ? printJson : (event: ChainedEvent) => print(line(event))
  const { head } = await page(client, 0, 1)
  let after = lines === 0 ? 0 : Math.max(0, head.sequence - lines)
  for (;;) {
    const newest = async () => {
      for await (const event of eventsAfter(client, after)) {
        show(event)
        after = event.sequence
      }
    }
    await (follow === true ? patiently(newest) : newest())
    if (follow !== true) break
    await delay(followMs)
  }
  // One that was made since the last page would point past the last event.
  if (json) (await checkpointsOf(client)).filter(({ sequence }) => sequence <= after).forEach(printJson)
}

function line({ sequence, json }: ChainedEvent): string {
  const { type, at, personName, data } = JSON.parse(json) as AuditEvent
  const facts = Object.entries(data).map(
    ([key, value]) => `${key}=${Array.isArray(value) ? value.join(',') : String(value)}`,
  )
  const who = personName === null ? '-' : personName
  return [
    styled('dim', `${sequence} ${isoTime(at)}`),
    styled('bold', terminalLine(type)),
    terminalLine(who),
    terminalLine(facts.join(' ')),
  ].join('  ')
}

async function page(client: GatewayClient, after: number, limit: number): Promise<z.output<typeof auditPage>> {
  return (await client.call('GET', `/audit?after=${after}&limit=${limit}`, auditPage)).value
}

async function* eventsAfter(client: GatewayClient, start: number): AsyncGenerator<ChainedEvent> {
  for (let after = start; ;) {
    const { events } = await page(client, after, pageEvents)
    yield* events
    after = events.at(-1)?.sequence ?? after
    if (events.length < pageEvents) return
  }
}

async function checkpointsOf(client: GatewayClient): Promise<readonly Checkpoint[]> {
  return (await client.call('GET', '/audit/checkpoints', checkpointList)).value.checkpoints
}

function addVerify(audit: Command): void {
  audit
    .command('verify')
    .summary('check that the log is what the gateway wrote')
    .description(
      'Checks the hash chain from the first event and the signatures of the checkpoints: of the gateway that you are logged in to, or of an export (`curfew audit tail --lines 0 --json`).',
    )
    .argument('[file]', 'an export; - reads standard input')
    .option('--key <file>', 'public keys to trust, a JWK or a JWK set; without it those that the gateway tells')
    .option('--data <folder>', 'the same from the data folder of the gateway')
    .option('--json', 'print one line of JSON')
    .addHelpText('after', '\nExamples:\n  curfew audit verify\n  curfew audit verify audit.jsonl --key public.jwks\n')
    .action(async (file: string | undefined, options: VerifyOptions) => {
      const result = file === undefined ? await verifyGateway(options) : await verifyExport(file, options)
      if (options.json) printJson(result)
      else report(result)
      if (!result.ok) process.exitCode = 1
    })
}

interface VerifyOptions {
  readonly key?: string
  readonly data?: string
  readonly json?: true
}

async function verifyGateway(options: VerifyOptions): Promise<AuditVerification> {
  const kept = keysFile(options)
  const { client } = await openGateway()
  await using _ = client
  const keys = kept === undefined ? (await client.call('GET', '/keys', keySet)).value : await readKeys(kept)
  // Checkpoints first: one that is made while events are read would point past the last of them.
  const checkpoints = await checkpointsOf(client)
  return await verifyAudit(eventsAfter(client, 0), checkpoints, keys)
}

const exportLine = z.union([
  z.strictObject({ sequence: z.int(), json: z.string(), previous: z.string(), hash: z.string() }),
  z.strictObject({ sequence: z.int(), jws: z.string() }),
])

function keysFile({ key, data }: Pick<VerifyOptions, 'key' | 'data'>): string | undefined {
  return key ?? (data === undefined ? undefined : join(data, 'keys', 'public.jwks'))
}

/** Reads the file twice: checkpoints stand behind the events that they sign. */
async function verifyExport(file: string, options: VerifyOptions): Promise<AuditVerification> {
  const lines = file === '-' ? await allLines(process.stdin) : undefined
  const read = () => readExport(file, lines)
  const checkpoints: Checkpoint[] = []
  for await (const row of read()) if ('jws' in row) checkpoints.push(row)
  const keyFile = keysFile(options)
  if (keyFile === undefined && checkpoints.length > 0) {
    throw new CliProblem('the export has signed checkpoints, and there is no key to check them with', {
      hint: "Give --key FILE with the gateway's public keys, or --data FOLDER.",
      exitCode: 2,
    })
  }
  const publicKeys = keyFile === undefined ? { keys: [] } : await readKeys(keyFile)
  const result = await verifyAudit(onlyEvents(read()), checkpoints, publicKeys)
  // A chain of nothing holds, which would comfort whoever verifies the wrong file.
  if (result.ok && result.events === 0)
    throw new CliProblem(`${file === '-' ? 'standard input' : file} holds no events`)
  return result
}

/** @param lines what the file holds, where it can be read only once. */
async function* readExport(
  file: string,
  lines: readonly string[] | undefined,
): AsyncGenerator<z.output<typeof exportLine>> {
  let number = 0
  // Opened only when somebody takes the first line: it does not wait with those that nobody takes yet.
  for await (const text of lines ?? createInterface({ input: createReadStream(file) })) {
    number += 1
    if (text.trim() === '') continue
    const parsed = exportLine.safeParse(parseJson(text))
    if (!parsed.success) throw new CliProblem(`${file}:${number} is neither an event nor a checkpoint`)
    yield parsed.data
  }
}

async function* onlyEvents(rows: AsyncIterable<z.output<typeof exportLine>>): AsyncGenerator<ChainedEvent> {
  for await (const row of rows) if ('json' in row) yield row
}

async function allLines(input: NodeJS.ReadableStream): Promise<readonly string[]> {
  const lines: string[] = []
  for await (const text of createInterface({ input })) lines.push(text)
  return lines
}

/** Undefined never fits a schema, which then says what is wrong. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function report({ ok, events, head, checkpoints, signedUpTo, broken }: AuditVerification): void {
  if (broken !== null) {
    print(styled('red', `The audit log is not what the gateway wrote: ${broken.why} (event ${broken.sequence}).`))
    note('Keep the log and tell your security people.')
    return
  }
  print(
    `${ok ? 'The audit log is whole' : 'The audit log is not whole'}: ${events} events, head ${head.sequence} ${head.hash.slice(0, 16)}…`,
  )
  if (checkpoints === 1) print(`1 signed checkpoint vouches for it up to event ${signedUpTo}.`)
  else if (checkpoints > 1) print(`${checkpoints} signed checkpoints vouch for it up to event ${signedUpTo}.`)
  else note('No signed checkpoint was checked: only the hashes vouch for it.')
}
