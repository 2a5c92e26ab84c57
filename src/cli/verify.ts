import path from 'node:path'
import type { Command } from 'commander'
import type { JSONWebKeySet } from 'jose'
import { blockBytes } from '../evidence/tar.ts'
import { verifyBundle, type BundleVerification } from '../evidence/verify.ts'
import { asFault } from '../kernel/fault.ts'
import { openFile } from '../recording/source.ts'
import { type Verification, verifyRecording } from '../recording/verify.ts'
import { bundleText, bundleVerdict, checkedBundle } from './bundle-words.ts'
import { print, printJson, styled } from './print.ts'
import { describeSession, offsetTime, sizeInWords } from './recording-words.ts'
import { givenKeys, keysBeside, keyText, type KeysUsed, type TrustedKeys } from './recording-keys.ts'
import { terminalLine } from './terminal-text.ts'

/** The worst of several files counts; tampering is the worst. */
export const verifyExitCodes = { sealed: 0, incomplete: 3, untrusted: 4, unreadable: 2, tampered: 1 } as const
export type Verdict = keyof typeof verifyExitCodes

const verdicts = Object.keys(verifyExitCodes) as Verdict[] // from best to worst

export function addVerify(program: Command): void {
  program
    .command('verify')
    .summary('check recordings and evidence, without a gateway')
    .description(
      `Checks every hash, the chain and the signature of recordings, and all parts of evidence. Needs no gateway.
Exit code: 0 sealed and unchanged, 1 tampered, 2 unreadable, 3 incomplete (not sealed) but unchanged as far as it goes,
4 unchanged but signed by a key that is not trusted.`,
    )
    .argument('<file...>', 'recordings (.curfew) and evidence (.tar)')
    .option(
      '--key, --keys <file>',
      'public keys to trust: a JWK or a JWK set, in a file or at https://GATEWAY/.well-known/curfew/keys.json (default: keys/public.jwks of the data folder)',
    )
    .option('--json', 'print one JSON object per file')
    .action(async (files: string[], options: { keys?: string; json?: boolean }) => {
      const found = new Set<Verdict>()
      const given = await givenKeys(options.keys)
      // One after the other: there may be more of them than files that may be open at once.
      for (const file of files) {
        const one = await checkFile(file, given)
        show(one, options.json === true)
        found.add(one.verdict)
      }
      process.exitCode = verifyExitCodes[verdicts.findLast((verdict) => found.has(verdict))!]
    })
}

function show(one: CheckedFile, asJson: boolean): void {
  if (asJson) printJson(one.evidence === null ? one : { ...one, evidence: checkedBundle(one.evidence) })
  else print(one.evidence === null ? verdictText(one) : bundleText(one.file, one.evidence, one))
}

export interface CheckedFile extends KeysUsed {
  readonly file: string
  readonly verdict: Verdict
  /** Why it could not be read, or is not what its name says. */
  readonly error: string | null
  /** Of a recording. */
  readonly verification: Verification | null
  /** Of a bundle of evidence. */
  readonly evidence: BundleVerification | null
}

/** @param given null: the keys that lie beside it. */
export async function checkFile(file: string, given: TrustedKeys | null): Promise<CheckedFile> {
  const keys = given ?? (await keysBeside(file))
  const known = { file, keyFile: keys.file, keysBeside: keys.beside, evidence: null }
  try {
    const evidence = await checkBundle(file, keys.keys)
    if (evidence !== null) {
      return { ...known, verdict: bundleVerdict(evidence), error: null, verification: null, evidence }
    }
    const verification = await verifyRecording(file, keys.keys)
    const misnamed = misnamedWords(file, verification)
    return {
      ...known,
      verdict: misnamed === null ? verdictOf(verification) : 'tampered',
      error: misnamed,
      verification,
    }
  } catch (error) {
    const fault = asFault(error)
    if (fault === undefined) throw error
    return { ...known, verdict: 'unreadable', error: fault.message, verification: null }
  }
}

/** Null for what is no archive. */
async function checkBundle(file: string, keys: JSONWebKeySet): Promise<BundleVerification | null> {
  await using source = await openFile(file)
  const start = await source.read(0, blockBytes)
  return start.toString('latin1', 257, 262) === 'ustar' ? await verifyBundle(source, keys) : null
}

function verdictOf({ state, key }: Verification): Verdict {
  if (state === 'tampered') return 'tampered'
  if (state === 'unsealed') return 'incomplete'
  return key?.trusted === true ? 'sealed' : 'untrusted'
}

/** The gateway names a file after its session: a whole recording in the place of another holds, but not as that one. */
function misnamedWords(file: string, { header, state }: Verification): string | null {
  const named = /^(session-[a-z2-7]{16})\.curfew$/.exec(path.basename(file))?.[1]
  if (named === undefined || header === null || state === 'tampered' || header['session'] === named) return null
  return `It is named after another session than it is of: ${String(header['session'])}.`
}

const words: Readonly<Record<Verdict, readonly [format: 'green' | 'yellow' | 'red', text: string]>> = {
  sealed: ['green', 'sealed and unchanged'],
  incomplete: ['yellow', 'incomplete: not sealed, unchanged as far as it goes'],
  untrusted: ['yellow', 'whole, but signed by a key that is not trusted here'],
  unreadable: ['red', 'cannot be read'],
  tampered: ['red', 'TAMPERED'],
}

/** For people; colours only where the terminal wants them. */
export function verdictText(checked: CheckedFile): string {
  const [format, text] = words[checked.verdict]
  const lines = [`${terminalLine(checked.file)}: ${styled(format, text)}`]
  lines.push(terminalLine(checked.error ?? ''))
  if (checked.verification !== null)
    lines.push(...details(checked.verification, checked.verdict), keyText(checked.verification.key, checked))
  return lines.filter((line) => line !== '').join('\n  ')
}

function details(found: Verification, verdict: Verdict): string[] {
  const lines = [found.header === null ? '' : describeSession(found.header)]
  const size = `${count(found.segments, 'segment')}, ${count(found.events, 'event')}, ${sizeInWords(found.goodBytes)}`
  if (found.problem !== null) {
    const where = found.problem.segment === null ? '' : `segment ${found.problem.segment}, `
    lines.push(`${sentence(found.problem.what)} (${where}byte ${found.problem.offset}).`)
    lines.push(
      found.goodBytes === 0
        ? 'Nothing before that can be trusted. Is it a recording at all?'
        : `Before that everything is as it was written: ${size}, up to ${offsetTime(found.lastUs / 1e6)}.`,
    )
    return lines
  }
  lines.push(`${size}, up to ${offsetTime(found.lastUs / 1e6)}`)
  if (verdict === 'incomplete') {
    lines.push('The gateway stopped while it was writing, or still is: what came after is not here, and nobody signed.')
    if (found.tailBytes > 0)
      lines.push(`The last ${count(found.tailBytes, 'byte')} are half a record; they are left out.`)
  }
  const gap = found.manifest?.gap
  if (gap !== undefined) {
    lines.push(`Recording stopped ${offsetTime(gap.fromUs / 1e6)} into the session: ${terminalLine(gap.why)}`)
  }
  return lines
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}

function sentence(what: string): string {
  return terminalLine(`${what.slice(0, 1).toUpperCase()}${what.slice(1)}`)
}
