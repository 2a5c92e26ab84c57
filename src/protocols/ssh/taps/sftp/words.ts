/**
 * The numbers of SFTP version 3.
 * @see draft-ietf-secsh-filexfer-02 sections 3, 5, 6.3 and 7; OpenSSH's PROTOCOL, section 4
 */
export const packet = {
  init: 1,
  version: 2,
  open: 3,
  close: 4,
  read: 5,
  write: 6,
  lstat: 7,
  fstat: 8,
  setstat: 9,
  fsetstat: 10,
  opendir: 11,
  readdir: 12,
  remove: 13,
  mkdir: 14,
  rmdir: 15,
  realpath: 16,
  stat: 17,
  rename: 18,
  readlink: 19,
  symlink: 20,
  status: 101,
  handle: 102,
  data: 103,
  name: 104,
  attributes: 105,
  extended: 200,
  extendedReply: 201,
} as const

export const openFlag = { write: 0x02, append: 0x04, create: 0x08, truncate: 0x10 } as const

const endOfFile = 1
const failure = 4
const codes: Readonly<Record<number, string>> = {
  2: 'no such file',
  3: 'permission denied',
  5: 'bad message',
  6: 'no connection',
  7: 'connection lost',
  8: 'operation unsupported',
}

/** How a request ended. */
export interface Outcome {
  /** `ok`, or words. */
  readonly result: string
  /** The same without the server's own words, so that there are few of them. */
  readonly kind: string
  /** Nothing more to read: not a failure. */
  readonly isEnd: boolean
}

export const ok: Outcome = { result: 'ok', kind: 'ok', isEnd: false }
export const unfinished: Outcome = { result: 'unfinished', kind: 'unfinished', isEnd: false }
const atEnd: Outcome = { result: 'end of file', kind: 'end of file', isEnd: true }

/** Only of the codes that say little are the server's words shown, so that `ok` and the rest cannot be made up. */
export function outcomeOf(code: number, message: string): Outcome {
  if (code === 0) return ok
  if (code === endOfFile) return atEnd
  const known = codes[code]
  if (known !== undefined) return { result: known, kind: known, isEnd: false }
  const kind = code === failure ? 'failure' : `failure ${code}`
  const says = message === '' || message.toLowerCase() === 'failure' ? '' : `: ${message}`
  return { result: `${kind}${says}`, kind: 'failure', isEnd: false }
}
