import { mask, maskPairs } from './mask-text.ts'

/** `--password hunter2`, `--secret-key=…`, `--token …` */
const namedOption =
  /(--?(?:[a-z]{1,20}-){0,3}(?:password|passwd|passphrase|pass|secret|token|key|auth)(?:-[a-z]{1,20}){0,3}[\s=]+)\S+/gi
/** `-u name:hunter2`, as curl and wget have it. */
const userOption = /((?:^|\s)(?:-u|-U|--user|--proxy-user)[\s=]*["']*[^\s:"']{1,256}:)[^\s"']+/g
/** `authorization: Bearer …` and its like, to the end of the quote. */
const header = /((?:authorization|x-api-key|x-auth-token|private-token|cookie)\s*:\s*)[^"'\n]+/gi
/** `AWS_SECRET_ACCESS_KEY=…` */
const assignment = /((?:^|[\s;&|])[a-z0-9_]{0,40}(?:pass|secret|token|key)[a-z0-9_]{0,40}=)[^\s;&|]+/gi
/** Programs whose `-p…` is a password, not a port or a folder. */
const takesPassword = /\b(?:mysql\w{0,20}|mariadb\S{0,20}|sshpass|mongo\w{0,20})\b/i
const passwordOption = /((?:^|\s)-p\s?)[^\s-]\S*/g

/** Takes what looks like a password out of a command of a shell: the PROGRAM of a COPY. */
export function maskCommand(command: string): string {
  const named = command
    .replaceAll(header, `$1${mask}`)
    .replaceAll(userOption, `$1${mask}`)
    .replaceAll(namedOption, `$1${mask}`)
    .replaceAll(assignment, `$1${mask}`)
  return maskPairs(takesPassword.test(command) ? named.replaceAll(passwordOption, `$1${mask}`) : named)
}
