import type { Command } from 'commander'
import { asFault } from '../kernel/fault.ts'
import { type Verification, verifyRecording } from '../recording/verify.ts'
import { print, printJson, styled } from './print.ts'
import { describeSession, offsetTime, sizeInWords } from './recording-words.ts'
import { trustedKeys } from './recording-keys.ts'
import { terminalLine } from './terminal-text.ts'

/** The worst of several files counts; tampering is the worst. */
export const verifyExitCodes = { sealed: 0, incomplete: 3, untrusted: 4, unreadable: 2, tampered: 1 } as const
export type Verdict = keyof typeof verifyExitCodes

const verdicts = Object.keys(verifyExitCodes) as Verdict[] // from best to worst

export function addVerify(program: Command): void {
  program
    .command('verify')
    .summary('check recordings, without a gateway')
    .description(
      `Checks every hash, the chain and the signature of recordings. Needs no gateway.
Exit code: 0 sealed and unchanged, 1 tampered, 2 unreadable, 3 incomplete (not sealed) but unchanged as far as it goes,
4 unchanged but signed by a key that is not trusted.`,
    )
    .argument('<file...>', 'recordings (.curfew)')
    .option('--key <file>', 'public keys to trust: a JWK or a JWK set (default: keys/public.jwks of the data folder)')
    .option('--json', 'print one JSON object per file')
    .action(async (files: string[], options: { key?: string; json?: boolean }) => {
      const found = await Promise.all(files.map((file) => checkFile(file, options.key)))
      for (const one of found) {
        if (options.json === true) printJson(one)
        else print(verdictText(one))
      }
      process.exitCode = verifyExitCodes[verdicts.findLast((verdict) => found.some((one) => one.verdict === verdict))!]
    })
}

export interface CheckedFile {
  readonly file: string
  readonly verdict: Verdict
  readonly keyFile: string | null
  readonly keysBeside: boolean
  /** Why it could not be read. */
  readonly error: string | null
  readonly verification: Verification | null
}

/** @throws Fault INPUT_INVALID for a key file that holds no key. */
export async function checkFile(file: string, keyFile: string | undefined): Promise<CheckedFile> {
  const keys = await trustedKeys(file, keyFile)
  const known = { file, keyFile: keys.file, keysBeside: keys.beside }
  try {
    const verification = await verifyRecording(file, keys.keys)
    return { ...known, verdict: verdictOf(verification), error: null, verification }
  } catch (error) {
    const fault = asFault(error)
    if (fault === undefined) throw error
    return { ...known, verdict: 'unreadable', error: fault.message, verification: null }
  }
}

function verdictOf({ state, key }: Verification): Verdict {
  if (state === 'tampered') return 'tampered'
  if (state === 'unsealed') return 'incomplete'
  return key?.trusted === true ? 'sealed' : 'untrusted'
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
  if (checked.verification === null) lines.push(terminalLine(checked.error ?? ''))
  else lines.push(...details(checked.verification, checked.verdict), keyText(checked.verification, checked))
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

function keyText({ key }: Verification, keys: Pick<CheckedFile, 'keyFile' | 'keysBeside'>): string {
  if (key === null) return ''
  const kid = terminalLine(key.kid)
  if (!key.trusted) {
    const where = keys.keyFile === null ? 'no public keys lie beside it' : `it is not in ${keys.keyFile}`
    return `Key ${kid}: ${where}. Give the keys that the gateway publishes with --key FILE.`
  }
  const beside = keys.keysBeside ? ' (beside the recording; --key FILE takes a copy that you keep elsewhere)' : ''
  return `signed by key ${kid}, trusted by ${keys.keyFile}${beside}`
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}

function sentence(what: string): string {
  return terminalLine(`${what.slice(0, 1).toUpperCase()}${what.slice(1)}`)
}
