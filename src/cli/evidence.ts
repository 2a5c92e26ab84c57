import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import type { Command } from 'commander'
import { verifyBundle, type BundleVerification } from '../evidence/verify.ts'
import { openFile } from '../recording/source.ts'
import { keySet } from '../web/api-schema.ts'
import { checkedBundle } from './bundle-words.ts'
import { openGateway, type GatewayClient } from './gateway-client.ts'
import { note, print, printJson } from './print.ts'
import { CliProblem } from './problem.ts'
import { sizeInWords } from './recording-words.ts'
import { terminalLine } from './terminal-text.ts'

interface Options {
  readonly output?: string
  readonly recordings?: true
  readonly json?: true
}

export function addEvidence(program: Command): void {
  program
    .command('evidence')
    .summary('take the story of a request away, with proofs (reviewers, operators)')
    .description(
      'Writes one archive about a request or a grant: request, decisions, grant, sessions, the signatures under their recordings, and what the audit log says, with proofs. `curfew verify` checks it without the gateway. That it was made is written in the audit log.',
    )
    .argument('<id>', 'of a request (request-…) or a grant (grant-…)')
    .option('-o, --output <file>', 'where to write it (default: curfew-evidence-ID.tar); - is standard output')
    .option('--recordings', 'with the recordings themselves (reviewers)')
    .option('--json', 'print one line of JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  curfew evidence request-abcdefghijklmnop\n  curfew evidence grant-abcdefghijklmnop --recordings -o INC-4821.tar\n  curfew verify INC-4821.tar --key public.jwks\n',
    )
    .action(takeEvidence)
}

async function takeEvidence(id: string, { output, recordings, json }: Options): Promise<void> {
  const path = pathOf(id, recordings === true)
  const { client } = await openGateway()
  await using _ = client
  if (output === '-') return await pipeline(await client.download(path), process.stdout, { end: false })
  const file = output ?? `curfew-evidence-${id}.tar`
  await save(client, path, file)
  const found = await checkWith(client, file)
  if (json) return printJson({ file, ...checkedBundle(found) })
  const { manifest, facts } = found
  print(`${terminalLine(file)}: ${sizeInWords(await sizeOf(file))}, ${manifest?.files.length ?? 0} files, checked.`)
  if (manifest?.living === true) note('More can still happen under it: take it again when it is over.')
  if (facts !== null) note('Check it anywhere: curfew verify FILE --key KEYS')
}

function pathOf(id: string, whole: boolean): string {
  const kind = /^(request|grant)-[a-z0-9]+$/.exec(id)?.[1]
  if (kind === undefined) {
    throw new CliProblem(`${id} is neither a request nor a grant`, {
      hint: 'Ids look like request-abcdefghijklmnop; curfew requests lists yours.',
      exitCode: 2,
    })
  }
  return `/${kind}s/${id}/evidence${whole ? '?recordings=true' : ''}`
}

/** Under its name only when it is whole. */
async function save(client: GatewayClient, path: string, file: string): Promise<void> {
  const aside = `${file}.part`
  try {
    await pipeline(await client.download(path), createWriteStream(aside, { mode: 0o600 }))
    await rename(aside, file)
  } catch (error) {
    await rm(aside, { force: true })
    throw error
  }
}

/** @throws CliProblem when what came is not what the gateway signs */
async function checkWith(client: GatewayClient, file: string): Promise<BundleVerification> {
  const keys = (await client.call('GET', '/keys', keySet)).value
  await using source = await openFile(file)
  const found = await verifyBundle(source, keys)
  const broken = found.findings.find(({ holds }) => !holds)
  if (broken === undefined && found.trusted) return found
  throw new CliProblem(`${file} does not hold: ${broken?.says ?? 'it is signed by another key than this gateway’s'}`, {
    hint: 'Keep the file and tell your security people.',
  })
}

async function sizeOf(file: string): Promise<number> {
  await using source = await openFile(file)
  return source.sizeBytes
}
