import type { BundleVerification } from '../evidence/verify.ts'
import { forPeople, styled } from './print.ts'
import { keyText, type KeysUsed } from './recording-keys.ts'
import { terminalLine } from './terminal-text.ts'

/** As for recordings: sealed, or the first of these that it is not. */
export function bundleVerdict({ holds, trusted }: BundleVerification): 'sealed' | 'untrusted' | 'tampered' {
  if (!holds) return 'tampered'
  return trusted ? 'sealed' : 'untrusted'
}

/** For programs: everything but the long list of files. */
export function checkedBundle(found: BundleVerification) {
  const { key, manifest, findings, recordings, audit, facts } = found
  const { files, ...about } = manifest ?? { files: [] }
  return {
    ...{ kind: 'evidence', verdict: bundleVerdict(found), key, findings, audit, recordings },
    manifest: manifest === null ? null : { ...about, files: files.length },
    states: facts && { request: facts.request.state, grant: facts.grant?.state ?? null },
  }
}

const words = {
  sealed: ['green', 'evidence, whole and signed'],
  untrusted: ['yellow', 'evidence, whole, but not all of it is signed by keys that are trusted here'],
  tampered: ['red', 'evidence that is NOT AS IT WAS MADE'],
} as const

/** For people: what holds, part by part. */
export function bundleText(file: string, found: BundleVerification, keys: KeysUsed): string {
  const [format, text] = words[bundleVerdict(found)]
  const lines = [`${terminalLine(file)}: ${styled(format, text)}`]
  if (found.manifest !== null) {
    const { subject, gateway, madeAt, madeBy, living } = found.manifest
    lines.push(
      terminalLine(`about ${subject.id}, made by ${gateway} on ${forPeople(madeAt)} for ${madeBy.displayName}`),
    )
    if (living) lines.push('It was made while more could still happen: take it again when it is over.')
  }
  const width = Math.max(...found.findings.map(({ part }) => part.length))
  for (const { part, holds, says } of found.findings) {
    const mark = holds ? styled('green', 'ok ') : styled('red', 'NOT')
    lines.push(`${mark} ${part.padEnd(width)}  ${terminalLine(says)}`)
  }
  lines.push(keyText(found.key, keys))
  return lines.filter((line) => line !== '').join('\n  ')
}
